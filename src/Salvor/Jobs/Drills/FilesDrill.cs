using Salvor.Files;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Jobs.Drills;

/// <summary>A drill of files: they are counted where a database is checked, because the content of each was when it was written.</summary>
sealed class FilesDrill(DrillWork work) : DrillKind(work)
{
    readonly string path = Path.Combine(work.Folder, "files");
    BackupRecord backup = null!;
    TreeTotals totals;
    RestoredTree restored = null!;

    public override SmokeSubject Subject => new(path);

    public override async Task<(DrillRecord Record, string Found)> RestoreAsync(
        DrillRecord record, VaultAccess vault, CancellationToken cancellationToken)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        var wanted = Request.Point.Time is { } until ? InstantText.Format(until) : null;
        backup = await TreeBackups.FindAsync(catalog, wanted, cancellationToken);
        var snapshot = await TreeBackups.OpenAsync(vault, backup, cancellationToken);
        totals = snapshot.Details.Totals;
        Work.RequireSpace(backup.SizeBytes);
        restored = await new TreeRestorer(snapshot, new TreeRestoreOptions()).RunAsync(path, cancellationToken);
        var age = DrillJudgement.AgeOf(record.StartedAt, backup.Time);
        return (record with
        {
            Destination = vault.Location,
            Branch = backup.Branch,
            Position = backup.Position,
            Time = backup.Time,
            BackupAgeSeconds = age,
            RpoSeconds = Request.Point.Time is null ? age : null,
            SizeBytes = backup.SizeBytes,
            FetchedBytes = restored.FetchedBytes,
        }, $"backup {backup.Id} of {InstantText.Format(backup.Time)}, {restored.Files} file(s), {SizeText.Format(backup.SizeBytes)}, "
            + "the hash of every chunk as at the source");
    }

    public override async Task<DrillRecord> CheckAsync(DrillRecord record, CancellationToken cancellationToken)
    {
        if (restored.Problems is [var first, ..] problems)
        {
            Work.Add(new("attributes", "restore", CheckOutcome.Warn, "", $"{problems.Count} name(s) are not as they were: {first}", 0));
        }

        var began = Work.Time.GetTimestamp();
        var counted = await Work.StepAsync(
            "files", () => Task.Run(() => TreeCount.Of(path, cancellationToken), cancellationToken));
        Work.Add(DrillJudgement.OfFiles(totals, counted, restored, SmokeRunner.Seconds(Work.Time.GetElapsedTime(began))));
        return record;
    }

    public override string Keep(DrillScratch scratch, DrillRecord record) =>
        Path.Combine(scratch.Keep($"{backup.Id}"), Path.GetFileName(path));
}
