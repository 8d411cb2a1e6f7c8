using System.Text.RegularExpressions;
using Salvor.Cli.Manual;
using Salvor.Cli.Terminal;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;

namespace Salvor.Tests.Cli;

/// <summary>Completions and the manual page are made of the command line itself, and the real shells and formatters take them.</summary>
public sealed partial class ManualTests : IDisposable
{
    static readonly VerbNode Root = VerbTree.Of(CommandLine.CreateRoot());
    readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("salvor res", "restore")]
    [InlineData("salvor key ex", "export")]
    [InlineData("salvor list --gran", "")]
    [InlineData("salvor --progress a", "always auto")]
    [InlineData("salvor schedule export --format cron", "cron.d crontab crontab-user")]
    [InlineData("salvor schedule export --js", "--json")]
    [InlineData("salvor restore --out", "--output")]
    [InlineData("salvor restore --output sal", "salvor.yaml")]
    [InlineData("salvor restore --position 1", "")]
    public async Task Bash_completes(string line, string expected)
    {
        Assert.Equal(expected, await CompleteAsync("bash", ShellCompletions.Bash(Root), line));
    }

    [Theory]
    [InlineData("salvor res", "restore")]
    [InlineData("salvor restore --out", "--output")]
    public async Task Zsh_completes(string line, string expected)
    {
        // What a key press does in zsh needs a terminal; the function that it calls does not. zsh itself drops what does not fit.
        var script = ShellCompletions.Zsh(Root).Replace("complete -o", ": -o", StringComparison.Ordinal);
        Assert.Contains(expected, (await CompleteAsync("zsh", script, line)).Split(' '));
    }

    [Fact]
    public async Task The_manual_page_has_every_verb_and_option_and_is_formatted_without_a_warning()
    {
        var printed = await SalvorProcess.RunAsync("completions", "man");
        Assert.True(printed is { ExitCode: 0, Stderr: "" }, printed.ToString());
        var path = _scratch["salvor.1"];
        await File.WriteAllTextAsync(path, printed.Stdout);

        var page = await ChildProcess.RunAsync("groff", ["-man", "-Tutf8", "-ww", "-P-c", path]);
        Assert.True(page is { ExitCode: 0, Stderr: "" }, page.ToString());
        var text = Overstrike().Replace(page.Stdout, "");
        foreach (var node in Root.All.Where(node => node.Children.Count == 0))
        {
            Assert.Contains($"salvor {node.Name}", text, StringComparison.Ordinal);
            Assert.All(
                node.Options.Where(option => option.Name.StartsWith('-')),
                option => Assert.Contains(option.Name, text, StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Exit_codes_are_explained_alike_by_help_the_manual_page_and_the_documentation()
    {
        var documented = ExitCodeRow().Matches(Checkout.Read("docs/cli.md"))
            .Select(match => (Code: match.Groups["code"].Value, Meaning: match.Groups["meaning"].Value)).ToList();
        var page = ManualPage.Make(Root, "1");

        Assert.Equal(ExitCodes.All.Select(code => $"{code.Code}"), documented.Select(row => row.Code));
        Assert.All(
            ExitCodes.All.Zip(documented),
            pair => Assert.StartsWith(pair.First.Meaning, pair.Second.Meaning, StringComparison.Ordinal));
        Assert.All(ExitCodes.All, code => Assert.Contains($".B {code.Code}\n{code.Meaning}\n", page, StringComparison.Ordinal));
        Assert.All(ExitCodes.All, code => Assert.Contains($"  {code.Code} {code.Brief}", ExitCodes.Help(), StringComparison.Ordinal));
        Assert.All(ExitCodes.Help().Split('\n'), line => Assert.InRange(line.Length, 0, 110));
        Assert.All(Enum.GetValues<FailureKind>(), kind => Assert.Contains(ExitCodes.All, code => code.Code == (int)kind));
    }

    async Task<string> CompleteAsync(string shell, string script, string line)
    {
        var file = _scratch["completion"];
        await File.WriteAllTextAsync(file, script);
        await File.WriteAllTextAsync(_scratch["salvor.yaml"], "");
        var words = string.Join(' ', line.Split(' ').Select(word => $"'{word}'"));
        var program = $$"""
            {{(shell == "zsh" ? "autoload -U +X compinit && compinit -u -D; emulate -L bash; setopt KSH_ARRAYS BASH_REMATCH" : "")}}
            source '{{file}}'
            COMP_WORDS=({{words}}) COMP_CWORD={{line.Split(' ').Length - 1}}
            _salvor
            printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' '
            """;
        var result = await ChildProcess.RunAsync("env", ["-C", _scratch.Path, shell, "-c", program]);
        Assert.True(result is { ExitCode: 0, Stderr: "" }, result.ToString());
        return result.Stdout.Trim();
    }

    [GeneratedRegex(".\b")]
    private static partial Regex Overstrike();

    [GeneratedRegex(@"^\| (?<code>\d+) \| (?<meaning>[^|]+) \|", RegexOptions.Multiline)]
    private static partial Regex ExitCodeRow();
}
