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
