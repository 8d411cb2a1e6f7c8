using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Jobs;

/// <summary>What to restore: at most one of time and position; neither means the newest point.</summary>
public sealed record RestoreRequest(uint? Branch, DateTimeOffset? Time, Position? Position)
{
    /// <summary>The backup whose restore point is meant; then all else is absent.</summary>
    public ulong? BackupId { get; init; }
}

/// <summary>Turns a request into a restore point, or refuses by name, saying how far the vault goes.</summary>
public static class RestoreTargets
{
    /// <summary>The same request, with the point of its backup where it names one.</summary>
    public static async Task<RestoreRequest> OfBackupAsync(
        VaultCatalog catalog, RestoreRequest request, CancellationToken cancellationToken) =>
        request.BackupId is { } id && await Backups.ReadAsync(catalog, id, cancellationToken) is { } backup
            ? new RestoreRequest(backup.Branch, Time: null, new Position(backup.Position))
            : request;

    public static async Task<RestorePoint> ResolveAsync(
        VaultCatalog catalog, RestorePlanner planner, RestoreRequest request, CancellationToken cancellationToken)
    {
        var branch = request.Branch ?? planner.NewestBranch;
        if (request.Position is { } position)
        {
            return await planner.PointAsync(branch, position, cancellationToken);
        }

        RestorePoint latest;
        var asking = Heads.FindAsync(catalog.Vault, cancellationToken);
        try
        {
            latest = await planner.LatestAsync(branch, cancellationToken);
        }
        catch (DamagedObjectException) when (request.Time is not null)
        {
            // What is before a damaged newest object does not need it. A time that may be in it is refused by the search.
            if (await planner.AtAsync(branch, request.Time.Value, cancellationToken) is { } point)
            {
                return point;
            }

            throw;
        }

        var head = await asking;
        if (request.Time is { } time)
        {
            return await AtAsync(planner, branch, time, latest, head, catalog, cancellationToken);
        }

        ExpectTail(catalog, head, branch, latest);
        return latest;
    }

    /// <summary>Everything committed up to this time is in the vault; null where nothing is.</summary>
    public static DateTimeOffset? CompleteAsOf(RestorePoint? latest, HeadEntry? head) =>
        head is not null && (latest is null || head.CompleteAsOf > latest.Time) ? head.CompleteAsOf : latest?.Time;

    static async Task<RestorePoint> AtAsync(
        RestorePlanner planner, uint branch, DateTimeOffset time, RestorePoint latest, HeadEntry? head, VaultCatalog catalog,
        CancellationToken cancellationToken)
    {
        if (time > CompleteAsOf(latest, head))
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"{InstantText.Format(time)} is later than vault {catalog.Vault.Location} is complete, "
                    + $"which is {InstantText.Format(CompleteAsOf(latest, head)!.Value)}",
                $"The newest restore point is {latest.Position}: use '--position {latest.Position}' or leave '--timestamp' out.");
        }

        if (time >= latest.Time)
        {
            ExpectTail(catalog, head, branch, latest);
        }

        if (await planner.AtAsync(branch, time, cancellationToken) is { } point)
        {
            return point;
        }

        var first = await planner.FirstAsync(catalog.PathTo(branch)[0].Number, cancellationToken) ?? latest;
        throw new SalvorException(
            FailureKind.NotRestorable,
            $"{InstantText.Format(time)} is earlier than the first restore point, which is {InstantText.Format(first.Time)}",
            $"Use '--timestamp {InstantText.Format(first.Time)}' or '--position {first.Position}' for the first one.");
    }

    /// <summary>The daemon said that it stored more than is there: somebody or something removed the newest objects.</summary>
    static void ExpectTail(VaultCatalog catalog, HeadEntry? head, uint branch, RestorePoint latest)
    {
        if (head is not null && head.Branch == branch && head.Number > catalog.Logs(branch).Last)
        {
            throw new SalvorException(
                FailureKind.Integrity,
                $"the newest objects of vault {catalog.Vault.Location} are missing: its log ends at number {catalog.Logs(branch).Last}, "
                    + $"and number {head.Number} was stored",
                $"Restore what is left with '--position {latest.Position}', or from another destination with '--from'.");
        }
    }
}
