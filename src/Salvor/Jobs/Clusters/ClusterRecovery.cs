using System.Globalization;
using System.Text;
using Salvor.Postgres.Restore;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Clusters;

/// <summary>A recovery of a cluster as it was decided, with all that it is made of: a vault is listed once for it.</summary>
/// <param name="Log">The log of the vault.</param>
/// <param name="Plan">What is done.</param>
/// <param name="Record">The base backup that it begins with.</param>
/// <param name="Snapshot">The files of that.</param>
public sealed record ClusterRecovery(WalCatalog Log, RecoveryPlan Plan, BackupRecord Record, TreeSnapshot Snapshot)
{
    /// <summary>Throws <see cref="FailureKind.NotRestorable"/> where there is nothing yet that one could begin with.</summary>
    public static void ExpectBackup(VaultCatalog catalog)
    {
        if (catalog.Backups.Count == 0)
        {
            var source = catalog.Vault.Identity.Source;
            throw new SalvorException(
                FailureKind.NotRestorable, $"there is no base backup of source {source} yet", $"Run 'salvor backup {source}'.");
        }
    }

    /// <summary>Decides it. Throws <see cref="FailureKind.NotRestorable"/> where the vault does not lead there.</summary>
    /// <param name="catalog">What the vault holds.</param>
    /// <param name="wanted">Where to.</param>
    /// <param name="damaged">Told of each base backup that is damaged, and from which none begins.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<ClusterRecovery> PlanAsync(
        VaultCatalog catalog, WantedRecovery wanted, Action<DamagedObjectException> damaged, CancellationToken cancellationToken)
    {
        var backups = await ClusterBackup.AllAsync(catalog, damaged, cancellationToken);
        var log = await WalCatalog.LoadAsync(catalog.Vault, cancellationToken);
        var plan = await new RecoveryPlanner(log, backups).PlanAsync(
            wanted.Target, wanted.Timeline, wanted.BackupId, wanted.Action, cancellationToken);
        var record = await Backups.ReadAsync(catalog, plan.Backup.Id, cancellationToken);
        return new(log, plan, record, await TreeBackups.OpenAsync(catalog.Vault, record, cancellationToken));
    }

    /// <summary>When the newest transaction was committed that it brings back; null where there is none after the base backup.</summary>
    public DateTimeOffset? LastCommitAt => Plan.LastCommit is { } commit ? Micros.ToTime(commit.TimeMicros) : null;

    /// <summary>
    /// Throws where there is log that it does not reach, although a server would recover: nobody would miss it until it is needed.
    /// </summary>
    public void ExpectNewest()
    {
        if (Log.EndOf(Plan.Branch.Number) is var end && end > Plan.Log.End)
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                $"no base backup leads past {Plan.Log.End}, and the log of timeline {Plan.End.Timeline} goes on to {end}",
                "Make a base backup now.");
        }
    }

    /// <summary>The version of PostgreSQL that the cluster is of, as its own file says.</summary>
    public Task<int> MajorAsync(CancellationToken cancellationToken) => MajorAsync(Snapshot, Record.Id, cancellationToken);

    /// <summary>The same of a base backup.</summary>
    internal static async Task<int> MajorAsync(TreeSnapshot snapshot, ulong id, CancellationToken cancellationToken)
    {
        using var version = new MemoryStream();
        await TreeSearch.DumpAsync(snapshot, "/PG_VERSION"u8.ToArray(), version, cancellationToken);
        return int.TryParse(Encoding.ASCII.GetString(version.ToArray()), CultureInfo.InvariantCulture, out var major)
            ? major
            : throw new SalvorException(
                FailureKind.Integrity, $"PG_VERSION of backup {id} does not name a version of PostgreSQL from 10 on",
                "Make a base backup now.");
    }
}

/// <summary>Where a recovery is to lead.</summary>
/// <param name="Target">The state.</param>
/// <param name="Timeline">The timeline that is followed; null: the newest.</param>
/// <param name="BackupId">The base backup to begin with; null: the newest that leads there.</param>
/// <param name="Action">What the server does then.</param>
public sealed record WantedRecovery(RecoveryTarget Target, uint? Timeline, ulong? BackupId, RecoveryAction Action);
