using System.CommandLine;
using Salvor.Cli.Manual;
using Salvor.Cli.Terminal;
using Salvor.Sqlite;

namespace Salvor.Cli.Commands;

static class CompletionsCommand
{
    public static Command Create() => new("completions", "Print completions for a shell, or the manual page.")
    {
        Printing("bash", "Print completions for bash: 'salvor completions bash > /etc/bash_completion.d/salvor'.", ShellCompletions.Bash),
        Printing("zsh", "Print completions for zsh, for a file _salvor in a folder of $fpath.", ShellCompletions.Zsh),
        Printing("man", "Print the manual page salvor(1).", root => ManualPage.Make(root, LocalState.Version)),
    };

    /// <summary>What is printed is for another program: neither --quiet nor --json changes it.</summary>
    static Command Printing(string name, string description, Func<VerbNode, string> make) => new Command(name, description)
        .WithAction(_ =>
        {
            Console.Out.Write(make(VerbTree.Of(CommandLine.CreateRoot())));
            return Task.FromResult(0);
        });
}
