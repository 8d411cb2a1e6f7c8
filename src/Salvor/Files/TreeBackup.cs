using Salvor.Platform;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Makes a backup of files: what is new of them goes into packs, and the record that is put last makes all of it count. Stopped before
/// that, nothing is offered, and the next run makes use of what was stored.
/// </summary>
/// <param name="vault">The first destination of the source.</param>
/// <param name="options">What is kept.</param>
/// <param name="time">The clock.</param>
public sealed class TreeBackup(VaultAccess vault, TreeOptions options, TimeProvider time)
{
    /// <summary>The kind of a vault of files.</summary>
    public const string Kind = "files";

    /// <summary>The keys of objects that a verification found damaged: what of them is there still is stored again.</summary>
    public IReadOnlySet<string> Damaged { get; init; } = new HashSet<string>();

    /// <summary>Told how far it is. How much there is, is taken from the snapshot before.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Makes one. Throws where a path is not there; what cannot be read below it is named in the result.</summary>
    public async Task<TreeBackupResult> RunAsync(BackupRequest request, CancellationToken cancellationToken)
    {
        var started = time.GetUtcNow();
        var roots = TreeRoot.Find(options.Paths);
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        if (catalog.IsEmpty)
        {
            await Forks.BeginAsync(catalog, epoch: 0, time, cancellationToken);
        }

        await using var writer = await TreeSnapshotWriter.BeginAsync(catalog, Damaged, cancellationToken);
        await using var parent = await OpenParentAsync(catalog, writer, cancellationToken);
        var report = new WalkReport(Progressed, parent?.Totals.Bytes ?? 0);
        await new TreeWalk(options, writer, parent, report, time).RunAsync(roots, cancellationToken);
        Progressed?.Invoke(new WorkProgress("storing the last of it"));
        var stored = await writer.FinishAsync(report.Totals, started, cancellationToken);
        var record = await TreeBackups.PutAsync(vault, request, stored, report.Totals.Bytes, started, time, cancellationToken);
        return new TreeBackupResult(record, report.Totals)
        {
            Problems = report.Problems,
            FilesRead = report.FilesRead,
            BytesRead = report.BytesRead,
            Anomaly = options.WarnsOfAnomalies && parent is { IsBroken: false }
                && parent.Anomalies.Find(report.BytesRead, record.AddedBytes) is { Count: > 0 } found
                ? new BackupAnomaly(record.Id, record.CreatedAt, catalog.Backups is [.., var before] ? before : null, found)
                : null,
        };
    }

    /// <summary>The newest snapshot that can be read; without one everything is read from the source.</summary>
    static async Task<ParentTree?> OpenParentAsync(VaultCatalog catalog, TreeSnapshotWriter writer, CancellationToken cancellationToken)
    {
        if (catalog.Snapshots.Count == 0)
        {
            return null;
        }

        try
        {
            var newest = catalog.Snapshots.MaxBy(snapshot => snapshot.Position);
            return await ParentTree.OpenAsync(
                await TreeSnapshot.OpenAsync(catalog.Vault, newest, cancellationToken), writer, cancellationToken);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Integrity)
        {
            // A verification tells it; here it only costs reading.
            return null;
        }
    }
}
