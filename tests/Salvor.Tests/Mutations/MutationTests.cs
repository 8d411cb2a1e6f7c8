using System.Text.Json;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Mutations;

/// <summary>A fault that somebody could make, and the tests that must notice.</summary>
/// <param name="File">The path of the source file.</param>
/// <param name="Original">A piece of a line that the file has exactly once.</param>
/// <param name="Replacement">What the fault is.</param>
/// <param name="Tests">The tests that must go red: part of a method's name, or of a class's name where it ends in "Tests*".</param>
/// <param name="Meaning">The fault in words.</param>
sealed record Mutation(string File, string Original, string Replacement, string Tests, string Meaning);

/// <summary>
/// Tests of the tests: each fault in <c>mutations.json</c> must be noticed. To try them takes half an hour, so only <c>SALVOR_ALL=1</c>
/// does; that each still fits the code is checked always.
/// </summary>
[Collection(QuietMachine.Name)]
public sealed class MutationTests
{
    static readonly TimeSpan BuildMax = TimeSpan.FromMinutes(5);
    static readonly TimeSpan TestMax = TimeSpan.FromMinutes(2);
    static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    static List<Mutation> All { get; } =
        JsonSerializer.Deserialize<List<Mutation>>(Checkout.Read("tests/Salvor.Tests/Mutations/mutations.json"), Json)!;

    [Fact]
    public void Every_fault_still_fits_the_code()
    {
        Assert.InRange(All.Count, 20, int.MaxValue);
        Assert.Empty(
            from mutation in All
            let count = Checkout.Read(mutation.File).Split(mutation.Original).Length - 1
            where count != 1 || mutation.Original == mutation.Replacement || mutation.Original.Contains('\n')
            select $"{mutation.File} has '{mutation.Original}' {count} times, for: {mutation.Meaning}");
    }

    [Fact]
    public async Task Every_fault_is_noticed()
    {
        if (Environment.GetEnvironmentVariable("SALVOR_ALL") != "1")
        {
            return;
        }

        using var scratch = new ScratchDirectory();
        foreach (var path in Checkout.Files)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(scratch[path])!);
            File.Copy(Path.Combine(Checkout.Root, path), scratch[path]);
        }

        var unnoticed = new List<string>();
        foreach (var mutation in All)
        {
            if (await TryAsync(scratch, mutation) is { } reason)
            {
                unnoticed.Add($"{mutation.Meaning} ({mutation.File}): {reason}");
            }
        }

        Assert.Empty(unnoticed);
    }

    /// <summary>Null where the tests went red; else what happened instead.</summary>
    static async Task<string?> TryAsync(ScratchDirectory tree, Mutation mutation)
    {
        var path = tree[mutation.File];
        var text = await File.ReadAllTextAsync(path);
        await File.WriteAllTextAsync(path, text.Replace(mutation.Original, mutation.Replacement, StringComparison.Ordinal));
        try
        {
            // A fault may leave something unused; that is not what must notice it.
            await using var build = ChildProcess.Start(
                "dotnet",
                [
                    "build", "-c", "Release", "-p:TreatWarningsAsErrors=false", "-p:RunAnalyzers=false",
                    "tests/Salvor.Tests/Salvor.Tests.csproj",
                ],
                tree.Path);
            var built = await build.ExitAsync(BuildMax);
            if (built.ExitCode != 0)
            {
                return $"it does not build: {built}";
            }

            var filter = mutation.Tests.EndsWith("Tests*", StringComparison.Ordinal) ? "--filter-class" : "--filter-method";
            await using var tests = ChildProcess.Start(
                tree["artifacts/bin/Salvor.Tests/release/Salvor.Tests"],
                [filter, mutation.Tests, "--no-progress", "--no-ansi"],
                tree.Path);
            var result = await tests.ExitAsync(TestMax);

            // 2: a test failed. Above 128: the process of the tests died of it. Anything else says nothing about the fault.
            return result.ExitCode is 2 or > 128 ? null : $"exit code {result.ExitCode}";
        }
        catch (TimeoutException)
        {
            // Tests that never end have noticed too.
            return null;
        }
        finally
        {
            await File.WriteAllTextAsync(path, text);
        }
    }
}
