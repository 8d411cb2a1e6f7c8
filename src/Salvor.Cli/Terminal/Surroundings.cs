using System.CommandLine;

namespace Salvor.Cli.Terminal;

/// <summary>What a verb is given from outside of the command line: time and chance.</summary>
sealed class Surroundings : InvocationConfiguration
{
    public required TimeProvider Time { get; init; }

    public required Random Random { get; init; }

    /// <summary>Whether signals end the verb; false where the caller ends it.</summary>
    public required bool HandlesSignals { get; init; }

    /// <summary>
    /// What every failure ends with, where those that call the verb read exit codes in a way of their own; null where each kind has its
    /// own.
    /// </summary>
    public int? FailureCode { get; init; }
}
