using Salvor.Jobs;
using Salvor.Text;
using Salvor.Vault;

namespace Salvor.Cli.Commands;

/// <summary>The options by which verbs choose a restore point.</summary>
static class RestorePoints
{
    /// <summary>The restore point of a backup.</summary>
    public static RestoreRequest Of(BackupRecord backup) => new(backup.Branch, Time: null, new Position(backup.Position));

    /// <summary>Throws <see cref="FailureKind.Usage"/> where both are given, or where one is not what it should be.</summary>
    public static RestoreRequest Request(int? branch, string? timestamp, string? position)
    {
        if (timestamp is not null && position is not null)
        {
            throw new SalvorException(FailureKind.Usage, "'--timestamp' and '--position' exclude each other", "Give one of them.");
        }

        return new RestoreRequest(
            (uint?)branch,
            timestamp is null ? null : InstantText.Parse(timestamp),
            position is null ? null
                : Position.TryParse(position, out var value) ? value
                : throw new SalvorException(
                    FailureKind.Usage, $"'{position}' is not a position", "A position is a decimal number; 'salvor list' shows them."));
    }
}
