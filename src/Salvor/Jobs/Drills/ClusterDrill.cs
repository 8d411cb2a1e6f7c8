using Salvor.Jobs.Clusters;
using Salvor.Platform;
using Salvor.Postgres.Restore;
using Salvor.Text;
using Salvor.Vault;

namespace Salvor.Jobs.Drills;

/// <summary>
/// A drill of a cluster of PostgreSQL: a server of its version, for nobody else, recovers it as far as the vault goes, PostgreSQL checks
/// it, and the rows of all databases are counted.
/// </summary>
sealed class ClusterDrill(DrillWork work) : DrillKind(work)
{
    ClusterRecovery recovery = null!;
    ClusterTrial trial = null!;
    PostgresPrograms programs = null!;
    RestoredCluster restored = null!;
    RestoredServer asked = null!;
    PrivateServer? server;

    public override SmokeSubject Subject => asked.Subject(restored.Path);

    bool IsNewest => Request.Point.Time is null;

    public override async Task<(DrillRecord Record, string Found)> RestoreAsync(
        DrillRecord record, VaultAccess vault, CancellationToken cancellationToken)
    {
        // Before the vault is listed: what comes later is no business of this drill.
        var followed = SourceKnowledge.Followed(Request);
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        ClusterRecovery.ExpectBackup(catalog);
        recovery = await PlanAsync(catalog, cancellationToken);
        var plan = recovery.Plan;
        var major = await recovery.MajorAsync(cancellationToken);
        programs = await Work.StepAsync("server", () => PostgresPrograms.FindAsync(major, cancellationToken));
        Work.RequireSpace(recovery.Record.SizeBytes + (2 * plan.Log.Length));
        trial = new ClusterTrial(recovery, Work.Folder, Work.Time) { Progressed = Request.Progressed };
        restored = await ExpectAsync(() => trial.RestoreAsync(Request.ScratchRoot, cancellationToken));
        var (at, bytes) = (recovery.LastCommitAt ?? recovery.Record.Time, restored.Files.Bytes + restored.LogBytes);
        var complete = SourceKnowledge.CompleteAsOf(followed, (plan.End.Timeline, plan.Log.End), at, record.StartedAt);
        var age = DrillJudgement.AgeOf(record.StartedAt, IsNewest ? complete : at);
        return (record with
        {
            Destination = vault.Location,
            Branch = plan.Branch.Number,
            Position = plan.Promised.Value,
            Time = at,
            BackupAgeSeconds = age,
            RpoSeconds = IsNewest ? age : null,
            SizeBytes = bytes,
            FetchedBytes = restored.Files.FetchedBytes + restored.LogBytes,
            Cluster = new(major, recovery.Record.Id, plan.End.Timeline, "", restored.Commits, recovery.LastCommitAt),
        }, $"backup {recovery.Record.Id} of {InstantText.Format(recovery.Record.Time)}, {restored.Files.Files} file(s), "
            + $"{SizeText.Format(restored.Files.Bytes)}, and {SizeText.Format(restored.LogBytes)} of log, every chunk as its hash says");
    }

    public override Task<DrillRecord> RecoverAsync(DrillRecord record, CancellationToken cancellationToken) => Work.PhaseAsync(
        "recover",
        () => Work.StepAsync("recovery", async () =>
        {
            var began = Work.Time.GetTimestamp();
            (server, var replayed) = await ExpectAsync(
                () => trial.RecoverAsync(programs, restored, Request.Role, cancellationToken));
            asked = await RestoredServer.OpenAsync(server, Request.Database, Work.Time, cancellationToken);
            var last = recovery.LastCommitAt is { } at ? $", the last of {InstantText.Format(at)}" : "";
            Work.Add(
                "recovery", CheckOutcome.Pass, $"at least {recovery.Plan.Promised}",
                $"{replayed} of timeline {recovery.Plan.End.Timeline}, by PostgreSQL {programs.Major}: {restored.Commits} transaction(s) "
                    + $"of its log{last}",
                began);
            return record with { Cluster = record.Cluster! with { Replayed = $"{replayed}" } };
        }));

    public override async Task<DrillRecord> CheckAsync(DrillRecord record, CancellationToken cancellationToken)
    {
        var began = Work.Time.GetTimestamp();
        Request.Progressed?.Invoke(new WorkProgress("checking"));
        try
        {
            var program = await server!.CheckAsync(cancellationToken);
            Work.Add("integrity_check", CheckOutcome.Pass, "ok", $"ok, by {program}", began);
        }
        catch (SalvorException e)
        {
            Work.Add("integrity_check", CheckOutcome.Fail, "ok", e.Message, began);
        }

        began = Work.Time.GetTimestamp();
        try
        {
            var (rows, uncounted) = await asked.CountRowsAsync(Request.Progressed, cancellationToken);
            Work.AddRows(record, rows, uncounted, began);
            return record with { Rows = rows };
        }
        catch (SalvorException e)
        {
            Work.AddRows(CheckOutcome.Fail, e.Message, began);
            return record;
        }
    }

    /// <summary>In order, so that nothing has to be recovered where it is started again.</summary>
    public override Task FinishAsync(CancellationToken cancellationToken) => Work.StepAsync("server", async () =>
    {
        await server!.ShutDownAsync(cancellationToken);
        await server.DisposeAsync();
        server = null;
        RecoveryFolder.Remove(restored.Path);
        return restored.Path;
    });

    /// <summary>Tablespaces are beside the data directory, and links to them say where.</summary>
    public override string Keep(DrillScratch scratch, DrillRecord record)
    {
        var kept = scratch.Keep($"{recovery.Plan.Promised}".Replace('/', '-'));
        var path = Path.Combine(kept, Path.GetFileName(restored.Path));
        foreach (var place in restored.Tablespaces.Values)
        {
            var link = Path.Combine(path, "pg_tblspc", Path.GetFileName(place));
            File.Delete(link);
            File.CreateSymbolicLink(link, Path.Combine(kept, Path.GetRelativePath(Work.Folder, place)));
        }

        return path;
    }

    public override async ValueTask DisposeAsync()
    {
        if (server is not null)
        {
            await server.DisposeAsync();
        }

        await base.DisposeAsync();
    }

    Task<ClusterRecovery> PlanAsync(VaultCatalog catalog, CancellationToken cancellationToken) => ExpectAsync(async () =>
    {
        RecoveryTarget target = Request.Point.Time is { } at ? new RecoveryTarget.Time(at) : new RecoveryTarget.Latest();
        var planned = await ClusterRecovery.PlanAsync(
            catalog, new(target, Timeline: null, Request.Point.BackupId, RecoveryAction.Promote),
            e => Work.Warn(e.Key, $"{e.Message}, and no recovery begins with it"), cancellationToken);
        if (IsNewest)
        {
            planned.ExpectNewest();
        }

        return planned;
    });

    /// <summary>Where there is a base backup, not to get to the newest state is damage, and not that there is nothing yet.</summary>
    async Task<T> ExpectAsync<T>(Func<Task<T>> part)
    {
        try
        {
            return await part();
        }
        catch (SalvorException e) when (IsNewest && e.Kind == FailureKind.NotRestorable)
        {
            throw new SalvorException(FailureKind.Integrity, e.Message, e.Hint, e);
        }
    }
}
