using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs.Commands;

namespace Salvor.Cli.Commands;

/// <summary>A command after <c>--</c>, behind the source.</summary>
static class CommandArgument
{
    public static Argument<string[]> Create(string description) => new("-- COMMAND")
    {
        Description = description, Arity = ArgumentArity.ZeroOrMore,
    };

    /// <summary>The command; null where none is given.</summary>
    public static ConfiguredCommand? In(Invocation invocation, Argument<string[]> argument)
    {
        var (given, after) = (invocation.Get(argument) ?? [], invocation.AfterDashes);
        if (given.Length > after.Count)
        {
            throw new SalvorException(
                FailureKind.Usage, $"'salvor {invocation.VerbName}' takes no '{given[0]}'",
                $"Run 'salvor {invocation.VerbName} --help' to see what it takes.");
        }

        return after.Count == 0 ? null
            : ConfiguredCommand.Problem(after) is { } problem ? throw new SalvorException(
                FailureKind.Usage, $"'{after[0]}' {problem}", "Write each argument by itself: '-- pg_dump app'.")
            : new ConfiguredCommand(after);
    }
}
