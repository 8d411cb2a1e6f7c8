using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Text;
using Salvor.Vault;

namespace Salvor.Cli.Commands;

/// <summary>The options by which verbs choose a restore point.</summary>
static class RestorePoints
{
    /// <summary>Throws <see cref="FailureKind.Usage"/> where two exclude each other, or where one is not what it should be.</summary>
    public static RestoreRequest Request(
        Invocation invocation, Option<int?> backup, Option<int?> branch, Option<string?> timestamp, Option<string?> position)
    {
        var request = Parse(invocation, backup, branch, timestamp, position);
        return invocation.Has(backup) && (invocation.Has(timestamp) || invocation.Has(position) || invocation.Has(branch))
            ? throw new SalvorException(
                FailureKind.Usage, "'--backup-id' says which point to restore, and so does another option", "Give one of them.")
            : request;
    }

    /// <summary>As the other, where a backup may be named beside a point: a cluster is recovered from one to the other.</summary>
    public static RestoreRequest Parse(
        Invocation invocation, Option<int?> backup, Option<int?> branch, Option<string?> timestamp, Option<string?> position)
    {
        if (invocation.Get(timestamp) is not null && invocation.Get(position) is not null)
        {
            throw new SalvorException(FailureKind.Usage, "'--timestamp' and '--position' exclude each other", "Give one of them.");
        }

        return new RestoreRequest(
            (uint?)invocation.Get(branch),
            invocation.Get(timestamp) is { } time ? InstantText.Parse(time) : null,
            invocation.Get(position) is not { } text ? null
                : Position.TryParse(text, out var value) ? value
                : throw new SalvorException(
                    FailureKind.Usage, $"'{text}' is not a position", "A position is a decimal number; 'salvor list' shows them."))
        {
            BackupId = (ulong?)invocation.Get(backup),
        };
    }
}
