using System.Globalization;
using System.Text;

namespace Salvor.Cli.Terminal;

/// <summary>An exit code as help and the manual explain it.</summary>
/// <param name="Code">From 0 to 255.</param>
/// <param name="Brief">A few words, for help.</param>
/// <param name="Meaning">Half a sentence, for the manual and docs/cli.md.</param>
sealed record ExitCode(int Code, string Brief, string Meaning);

/// <summary>All exit codes, in the order of their numbers. An app that <c>--exec</c> runs may have others.</summary>
static class ExitCodes
{
    const int LineLengthMax = 110;

    public static IReadOnlyList<ExitCode> All { get; } =
    [
        new(0, "ok", "done"),
        new((int)FailureKind.Failure, "failure", "failed, for no reason below"),
        new((int)FailureKind.Usage, "usage or configuration", "the command line, the configuration or the key is wrong"),
        new((int)FailureKind.SourceUnreadable, "source unreadable", "the source cannot be read"),
        new((int)FailureKind.DestinationUnreachable, "destination unreachable", "the destination cannot be reached"),
        new((int)FailureKind.Integrity, "corrupt or missing data", "stored data is corrupt or missing"),
        new((int)FailureKind.NotRestorable, "nothing to restore", "nothing to restore, or the target is not there"),
        new((int)FailureKind.Locked, "locked by another process", "another process holds what is needed"),
        new((int)FailureKind.Unhealthy, "unhealthy", "a check found an unhealthy state"),
        new((int)FailureKind.Partial, "partial", "finished, but named items could not be read"),
        new((int)FailureKind.Stale, "too old", "the newest restore point is older than it may be"),
        new((int)FailureKind.TimedOut, "timed out", "the time that was given ran out"),
        new((int)FailureKind.Interrupted, "interrupted", "stopped by a signal"),
    ];

    /// <summary>What help ends with.</summary>
    public static string Help()
    {
        var text = new StringBuilder("\nExit codes:\n");
        var line = new StringBuilder();
        foreach (var code in All)
        {
            var item = string.Create(CultureInfo.InvariantCulture, $"{(line.Length == 0 ? "  " : "   ")}{code.Code} {code.Brief}");
            if (line.Length + item.Length > LineLengthMax)
            {
                text.Append(line).Append('\n');
                line.Clear();
                item = "  " + item.TrimStart();
            }

            line.Append(item);
        }

        return text.Append(line).Append("\n  Any other code is a failure too.\n\n").ToString();
    }
}
