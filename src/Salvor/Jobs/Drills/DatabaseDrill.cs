using Salvor.Sqlite.Native;
using Salvor.Sqlite.Restore;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Jobs.Drills;

/// <summary>A drill of a database of SQLite: it is checked by SQLite, and its rows are counted.</summary>
sealed class DatabaseDrill(DrillWork work) : DrillKind(work)
{
    string path = "";

    public override SmokeSubject Subject => SmokeSubject.Database(path);

    public override async Task<(DrillRecord Record, string Found)> RestoreAsync(
        DrillRecord record, VaultAccess vault, CancellationToken cancellationToken) =>
        await FreshListing.UseAsync(vault, catalog => RestoreAsync(record, catalog, cancellationToken), cancellationToken);

    public override Task<DrillRecord> CheckAsync(DrillRecord record, CancellationToken cancellationToken) => Task.Run(
        () =>
        {
            CheckIntegrity(cancellationToken);
            return CountRows(record, cancellationToken);
        },
        cancellationToken);

    public override string Keep(DrillScratch scratch, DrillRecord record) =>
        Path.Combine(scratch.Keep($"{record.Position}"), Path.GetFileName(path));

    async Task<(DrillRecord Record, string Found)> RestoreAsync(
        DrillRecord record, VaultCatalog catalog, CancellationToken cancellationToken)
    {
        var planner = new RestorePlanner(catalog);
        var point = await RestoreTargets.ResolveAsync(catalog, planner, Request.Point, cancellationToken);
        var known = Request.Point.Time is null
            ? RestoreTargets.CompleteAsOf(point, await Heads.FindAsync(catalog.Vault, cancellationToken))
            : null;
        var plan = await planner.PlanAsync(Request.Point.Branch ?? planner.NewestBranch, point.Position, cancellationToken);
        var name = Request.DatabasePath.Length > 0 ? Path.GetFileName(Request.DatabasePath) : $"{Request.Source.Replace('/', '-')}.db";
        using var target = RestoreTarget.Prepare(
            Path.Combine(Work.Folder, name), RestoreMode.Overwrite, new() { Progressed = Request.Progressed }, Work.Time);
        var restorer = new SqliteRestorer(catalog, plan) { Sized = Work.RequireSpace, Progressed = Request.Progressed };
        var image = await restorer.WriteAsync(target.File, cancellationToken);
        path = (await Task.Run(() => target.Commit(check: null, cancellationToken), cancellationToken)).Path;
        var found = $"position {point.Position} of {InstantText.Format(point.Time)}, {SizeText.Format(image.SizeBytes)}, "
            + $"checksum {image.Checksum:x16} as at the source";
        return (Aged(record, point, known) with
        {
            Destination = catalog.Vault.Location,
            Branch = point.Branch,
            Position = point.Position.Value,
            Time = point.Time,
            SizeBytes = image.SizeBytes,
            FetchedBytes = image.FetchedBytes,
            ChangeSets = image.ChangeSets,
            Checksum = $"{image.Checksum:x16}",
        }, found);
    }

    /// <summary>How old it is, and what a loss of the source could have cost.</summary>
    DrillRecord Aged(DrillRecord record, RestorePoint point, DateTimeOffset? known)
    {
        var now = record.StartedAt;
        var complete = known is { } at ? SourceKnowledge.CompleteAsOf(Request, point, at, now) : (DateTimeOffset?)null;
        return record with
        {
            BackupAgeSeconds = DrillJudgement.AgeOf(now, complete ?? point.Time),
            RpoSeconds = complete is { } asOf
                ? SmokeRunner.Seconds(DrillJudgement.LossOf(now, asOf, SourceKnowledge.WrittenAt(Request, point)))
                : null,
        };
    }

    void CheckIntegrity(CancellationToken cancellationToken)
    {
        var began = Work.Time.GetTimestamp();
        Request.Progressed?.Invoke(new WorkProgress(IntegrityCheck.PhaseOf(IntegrityCheckDepth.Full)));
        var (outcome, found) = (CheckOutcome.Pass, "ok");
        try
        {
            IntegrityCheck.Run(path, IntegrityCheckDepth.Full, cancellationToken);
        }
        catch (UncheckableDatabaseException e)
        {
            // It is what the source had, byte by byte; whether that is sound, the app's own SQLite can say in a check of the operator's.
            (outcome, found) = (CheckOutcome.Warn, e.Message);
        }
        catch (SalvorException e)
        {
            (outcome, found) = (CheckOutcome.Fail, e.Message);
        }

        Work.Add("integrity_check", outcome, "ok", found, began);
    }

    DrillRecord CountRows(DrillRecord record, CancellationToken cancellationToken)
    {
        var began = Work.Time.GetTimestamp();
        Request.Progressed?.Invoke(new WorkProgress("counting rows"));
        try
        {
            var (rows, uncounted) = RestoredDatabase.CountRows(path, cancellationToken);
            Work.AddRows(record, rows, uncounted, began);
            return record with { Rows = rows };
        }
        catch (SqliteException e) when (!e.IsInterrupted)
        {
            cancellationToken.ThrowIfCancellationRequested();
            Work.AddRows(CheckOutcome.Fail, e.Message, began);
            return record;
        }
    }
}
