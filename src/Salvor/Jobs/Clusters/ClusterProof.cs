using Salvor.Jobs.Drills;
using Salvor.Postgres.Restore;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Jobs.Clusters;

/// <summary>
/// Proves that a cluster can be recovered by recovering it: into scratch, by a server of its version for nobody else. How far that gets is
/// compared with what the vault has, and then it checks all that it holds. Nothing of it stays.
/// </summary>
/// <param name="catalog">The backups.</param>
/// <param name="request">What is verified.</param>
/// <param name="time">The clock.</param>
sealed class ClusterProof(VaultCatalog catalog, VerifyRequest request, TimeProvider time)
{
    /// <summary>
    /// The proof. Where no server of the version is on this machine, every chunk of the backup is read, and it is null, with the reason.
    /// Throws <see cref="FailureKind.Integrity"/> or <see cref="FailureKind.NotRestorable"/> where the cluster cannot be recovered.
    /// </summary>
    /// <param name="damaged">Told of each base backup that is damaged.</param>
    /// <param name="cancellationToken">Ends it, and removes what was made.</param>
    public async Task<(VerifiedRestore? Restore, long FetchedBytes, SalvorException? Lack)> RunAsync(
        Action<DamagedObjectException> damaged, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        RecoveryTarget target = request.Point.Time is { } at ? new RecoveryTarget.Time(at) : new RecoveryTarget.Latest();
        var recovery = await ClusterRecovery.PlanAsync(
            catalog, new(target, Timeline: null, request.Point.BackupId, RecoveryAction.Promote), damaged, cancellationToken);
        if (target is RecoveryTarget.Latest)
        {
            recovery.ExpectNewest();
        }

        var (plan, record, snapshot) = (recovery.Plan, recovery.Record, recovery.Snapshot);
        var major = await recovery.MajorAsync(cancellationToken);
        PostgresPrograms programs;
        try
        {
            programs = await PostgresPrograms.FindAsync(major, cancellationToken);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Failure)
        {
            return (null, await snapshot.ReadAllAsync(cancellationToken), e);
        }

        using var scratch = DrillScratch.Create(request.ScratchRoot, catalog.Vault.Identity.Source, time, "verify");
        var trial = new ClusterTrial(recovery, scratch.Path, time) { Progressed = request.Options.Progressed };
        var restored = await trial.RestoreAsync(request.ScratchRoot, cancellationToken);
        var (server, replayed) = await trial.RecoverAsync(programs, restored, request.Role, cancellationToken);
        string check;
        await using (server)
        {
            request.Options.Progressed?.Invoke(new WorkProgress("checking"));
            check = await server.CheckAsync(cancellationToken);
            await server.ShutDownAsync(cancellationToken);
        }

        var fetched = restored.Files.FetchedBytes + restored.LogBytes;
        var proof = new VerifiedRestore(
            record.Branch, record.Position, recovery.LastCommitAt ?? record.Time, restored.Files.Bytes + restored.LogBytes, fetched,
            FromImage: false, check, Math.Round(time.GetElapsedTime(started).TotalSeconds, 3), DiscardedImage: "")
        {
            Cluster = new(programs.Major, record.Id, plan.End.Timeline, $"{replayed}", restored.Commits, recovery.LastCommitAt),
        };
        return (proof, fetched, null);
    }
}
