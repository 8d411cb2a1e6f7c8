using System.Text.Json;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Vault.Vectors;

/// <summary>
/// A reader of vaults in another language that was written from <c>docs/format.md</c> and shares nothing with ours; see
/// <c>Tools/vault_reader.py</c>. What both say of a vault is what the page says.
/// </summary>
static class SecondReader
{
    /// <summary>The SHA-256 of restore points, each <c>BRANCH:POSITION</c> or <c>backup:ID</c>, in hexadecimal.</summary>
    /// <param name="options">What opens the vault.</param>
    public static async Task<IReadOnlyDictionary<string, string>> DigestsAsync(
        string vault, IEnumerable<string> options, IEnumerable<string> points)
    {
        var answer = await AnswerAsync([.. options, vault, "digest", .. points]);
        return answer.Deserialize<Dictionary<string, string>>()!;
    }

    /// <summary>What a command of the reader prints. Fails the test where it refuses.</summary>
    public static async Task<JsonElement> AnswerAsync(params IEnumerable<string> arguments)
    {
        var result = await Tool.RunAsync("vault_reader.py", arguments);
        Assert.True(result.ExitCode == 0, $"the second reader refuses: {result}");
        return JsonElement.Parse(result.Stdout);
    }

    /// <summary>The same for several commands, by one process.</summary>
    public static async Task<IReadOnlyList<JsonElement>> AnswersAsync(params IReadOnlyList<IEnumerable<string>> commands)
    {
        using var directory = new TemporaryDirectory();
        var path = Path.Combine(directory.Path, "commands");
        await File.WriteAllLinesAsync(path, commands.Select(command => JsonSerializer.Serialize(command)));
        var result = await Tool.RunAsync("vault_reader.py", "--many", path);
        Assert.True(result.ExitCode == 0, $"the second reader failed: {result}");
        var answers = result.Stdout.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line)).ToList();
        Assert.Equal(commands.Count, answers.Count);
        Assert.All(answers, answer => Assert.True(answer.GetProperty("code").GetInt32() == 0, $"the second reader refuses: {answer}"));
        return [.. answers.Select(answer => answer.GetProperty("result"))];
    }

    /// <summary>The restore points in an answer to <c>list</c>, in order, each <c>BRANCH:POSITION</c>.</summary>
    public static IEnumerable<string> PointsOf(JsonElement listing) => listing.GetProperty("branches").EnumerateArray()
        .SelectMany(branch => branch.GetProperty("points").EnumerateArray()
            .Select(point => $"{branch.GetProperty("branch")}:{point.GetProperty("position")}"));

    /// <summary>Writes all objects of a store into a directory, for a reader that knows only files.</summary>
    public static async Task SaveAsync(IObjectStore store, string directory)
    {
        await foreach (var row in store.ListAsync("", null, default))
        {
            var path = Path.Combine(directory, row.Key);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.WriteAllBytesAsync(path, (await store.GetAsync(row.Key, row.SizeBytes, default))!);
        }
    }
}
