using Salvor.Files;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Sqlite.Restore;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Restore;
using Salvor.Vault.Trees;

namespace Salvor.Jobs.Drills;

/// <summary>The restore of a drill: from the destination alone, into a folder of its own.</summary>
sealed class DrillRestore(DrillRequest request, string folder, TimeProvider time)
{
    /// <summary>What must stay free beside the restored database: the disk may be the one that the app writes to.</summary>
    const int ReservePercent = 10;

    readonly List<DrillCheck> checks = [];

    /// <summary>What there is to say beside the result: about the room on the disk, and about copies that were bad.</summary>
    public IReadOnlyList<DrillCheck> Checks => checks;

    /// <summary>The waiting for the destination.</summary>
    public StoreMeter Meter { get; } = new(time);

    /// <summary>Restores. Throws what is wrong with the destination, the vault or the disk.</summary>
    public async Task<DrilledImage> RunAsync(IReadOnlyList<SourceCopy> copies, CancellationToken cancellationToken)
    {
        return await FreshListing.UseAsync(Join(copies), catalog => RestoreAsync(catalog, cancellationToken), cancellationToken);
    }

    /// <summary>As the other, of files: into a folder of their own.</summary>
    public async Task<DrilledTree> RunFilesAsync(IReadOnlyList<SourceCopy> copies, CancellationToken cancellationToken)
    {
        var catalog = await VaultCatalog.LoadAsync(Join(copies), cancellationToken);
        var wanted = request.Point.Time is { } until ? InstantText.Format(until) : null;
        var record = await TreeBackups.FindAsync(catalog, wanted, cancellationToken);
        var snapshot = await TreeBackups.OpenAsync(catalog.Vault, record, cancellationToken);
        RequireSpace(record.SizeBytes);
        var target = Path.Combine(folder, "files");
        var restored = await new TreeRestorer(snapshot, new TreeRestoreOptions()).RunAsync(target, cancellationToken);
        return new DrilledTree(target, record, catalog.Vault.Location, snapshot.Details.Totals, restored);
    }

    VaultAccess Join(IReadOnlyList<SourceCopy> copies)
    {
        var measured = copies.Select(copy => copy.Vault is { } vault ? copy with { Vault = vault.At(Meter.Of(vault.Store)) } : copy);
        return SourceCopies.Join(
            [.. measured],
            _ => { },
            (bad, e) => Warn(e.Key, $"damaged at {bad.Location}, and read from another copy: {e.What}"))
            ?? throw new SalvorException(
                FailureKind.NotRestorable, $"nothing is backed up yet of source {request.Source}",
                "Start 'salvor daemon', then try again.");
    }

    async Task<DrilledImage> RestoreAsync(VaultCatalog catalog, CancellationToken cancellationToken)
    {
        var planner = new RestorePlanner(catalog);
        var point = await RestoreTargets.ResolveAsync(catalog, planner, request.Point, cancellationToken);
        var complete = request.Point.Time is null
            ? RestoreTargets.CompleteAsOf(point, await Heads.FindAsync(catalog.Vault, cancellationToken))
            : null;
        var plan = await planner.PlanAsync(request.Point.Branch ?? planner.NewestBranch, point.Position, cancellationToken);
        var name = request.DatabasePath.Length > 0 ? Path.GetFileName(request.DatabasePath) : $"{request.Source.Replace('/', '-')}.db";
        using var target = RestoreTarget.Prepare(
            Path.Combine(folder, name), RestoreMode.Overwrite, new() { Progressed = request.Progressed }, time);
        var restorer = new SqliteRestorer(catalog, plan)
        {
            Sized = RequireSpace,
            Progressed = request.Progressed,
        };
        var image = await restorer.WriteAsync(target.File, cancellationToken);
        var file = await Task.Run(() => target.Commit(check: null, cancellationToken), cancellationToken);
        return new DrilledImage(file.Path, point, catalog.Vault.Location, complete, image);
    }

    void RequireSpace(long sizeBytes)
    {
        var needed = sizeBytes + (sizeBytes / 100 * ReservePercent);
        var expected = $"{SizeText.Format(needed)} free in {folder}";
        checks.RemoveAll(check => check.Kind == "free_space");
        if (DiskSpace.FreeBytes(folder) is not { } free)
        {
            checks.Add(new DrillCheck("free_space", "free_space", CheckOutcome.Skipped, expected, "not known here", 0));
            return;
        }

        var isEnough = free >= needed;
        checks.Add(new DrillCheck(
            "free_space", "free_space", isEnough ? CheckOutcome.Pass : CheckOutcome.Fail, expected, SizeText.Format(free), 0));
        if (!isEnough)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"not enough room in {folder}: the drill needs {SizeText.Format(needed)}, has {SizeText.Format(free)} free",
                "Let 'restore: { scratch: DIR }' in the configuration name a folder on another disk.");
        }
    }

    void Warn(string name, string found) => checks.Add(new DrillCheck(name, "restore", CheckOutcome.Warn, "", found, 0));
}
