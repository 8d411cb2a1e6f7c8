using Salvor.Cli.Terminal;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

/// <summary>
/// A check each minute is a process of its own each time, and most of its life is the compilation of what it runs. What is counted here
/// is what was compiled, because that is the same on every machine.
/// </summary>
public sealed class StartTests
{
    /// <summary>A third more than today: whoever comes above it made every command slower, and should know.</summary>
    const int CheckMethodsMax = 1300;

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_check_compiles_no_other_verb_no_document_and_no_regular_expression()
    {
        using var folder = new TemporaryDirectory();
        var config = folder["salvor.yaml"];
        await File.WriteAllTextAsync(
            config,
            $"destinations: {{ here: {{ type: file, path: {folder["vault"]} }} }}\n"
                + $"sources: {{ app: {{ type: sqlite, path: {folder["app.db"]}, to: [here] }} }}\n",
            Cancel);

        var compiled = await CompiledByAsync(folder["compiled"], "status", "--check", "--config", config);

        Assert.Contains(compiled, method => method.Contains("Salvor.Cli.Commands.StatusCommand", StringComparison.Ordinal));
        Assert.DoesNotContain(compiled, method => method.Contains("Salvor.Cli.Commands.RestoreCommand", StringComparison.Ordinal));
        Assert.DoesNotContain(compiled, method => method.Contains("CliJson", StringComparison.Ordinal));
        Assert.DoesNotContain(compiled, method => method.Contains("CompiledRegexRunner", StringComparison.Ordinal));
        Assert.InRange(compiled.Length, 100, CheckMethodsMax);
    }

    [Fact]
    public void The_verb_that_is_named_first_is_made_alone() =>
        Assert.Equal(["status"], CommandLine.CreateRoot(["status", "app"]).Subcommands.Select(verb => verb.Name));

    [Theory]
    [InlineData]
    [InlineData("--help")]
    [InlineData("statsu")]
    [InlineData("--config", "status", "list")]
    public void Whoever_names_no_verb_first_gets_to_know_all(params string[] arguments) =>
        Assert.Equal(
            CommandLine.CreateRoot().Subcommands.Select(verb => verb.Name),
            CommandLine.CreateRoot(arguments).Subcommands.Select(verb => verb.Name));

    /// <summary>What the build made: beside the tests it may be compiled beforehand.</summary>
    static string Program => Path.Combine(Checkout.Root, "artifacts/bin/Salvor.Cli/release/Salvor.Cli.dll");

    /// <summary>The methods that the runtime compiled for a command, in its order.</summary>
    static async Task<string[]> CompiledByAsync(string file, params string[] arguments)
    {
        await ChildProcess.RunAsync(
            "env", ["DOTNET_JitDisasmSummary=1", $"DOTNET_JitStdOutFile={file}", "dotnet", Program, .. arguments]);
        return await File.ReadAllLinesAsync(file, Cancel);
    }
}
