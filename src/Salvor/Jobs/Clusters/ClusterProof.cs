using System.Globalization;
using System.Text;
using Salvor.Jobs.Drills;
using Salvor.Platform;
using Salvor.Postgres.Restore;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

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
        var backups = await ClusterBackup.AllAsync(catalog, damaged, cancellationToken);
        var log = await WalCatalog.LoadAsync(catalog.Vault, cancellationToken);
        var plan = await PlanAsync(log, backups, cancellationToken);
        var record = await Backups.ReadAsync(catalog, plan.Backup.Id, cancellationToken);
        var snapshot = await TreeBackups.OpenAsync(catalog.Vault, record, cancellationToken);
        var major = await MajorOfAsync(snapshot, record.Id, cancellationToken);
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
        LetPass(request.ScratchRoot, scratch.Path);
        var restored = await new ClusterRestore(snapshot, log, plan) { Progressed = request.Options.Progressed }
            .RunAsync(Path.Combine(scratch.Path, "data"), cancellationToken);
        var (replayed, check) = await RecoverAsync(programs, restored, plan, cancellationToken);
        var last = plan.LastCommit is { } commit ? Micros.ToTime(commit.TimeMicros) : (DateTimeOffset?)null;
        var fetched = restored.Files.FetchedBytes + restored.LogBytes;
        var proof = new VerifiedRestore(
            record.Branch, record.Position, last ?? record.Time, restored.Files.Bytes + restored.LogBytes, fetched, FromImage: false, check,
            Math.Round(time.GetElapsedTime(started).TotalSeconds, 3), DiscardedImage: "")
        {
            Cluster = new(programs.Major, record.Id, plan.End.Timeline, $"{replayed}", restored.Commits, last),
        };
        return (proof, fetched, null);
    }

    /// <summary>What cannot be reached is told although a server would recover: nobody would miss it until it is needed.</summary>
    async Task<RecoveryPlan> PlanAsync(WalCatalog log, IReadOnlyList<ClusterBackup> backups, CancellationToken cancellationToken)
    {
        RecoveryTarget target = request.Point.Time is { } at ? new RecoveryTarget.Time(at) : new RecoveryTarget.Latest();
        var plan = await new RecoveryPlanner(log, backups).PlanAsync(
            target, timeline: null, request.Point.BackupId, RecoveryAction.Promote, cancellationToken);
        return target is RecoveryTarget.Time || log.EndOf(plan.Branch.Number) <= plan.Log.End ? plan : throw new SalvorException(
            FailureKind.NotRestorable,
            $"no base backup leads past {plan.Log.End}, and the log of timeline {plan.End.Timeline} goes on to "
                + $"{log.EndOf(plan.Branch.Number)}",
            "Make a base backup now.");
    }

    async Task<(Lsn Replayed, string Check)> RecoverAsync(
        PostgresPrograms programs, RestoredCluster restored, RecoveryPlan plan, CancellationToken cancellationToken)
    {
        try
        {
            await programs.RunAsOwnerAsync(restored.Path, "pg_controldata", [restored.Path], cancellationToken);
        }
        catch (ProgramException e)
        {
            throw new SalvorException(
                FailureKind.Failure, $"the user of the server cannot read {restored.Path}: {e.Message}",
                "Let 'restore: { scratch: DIR }' in the configuration name a folder that every user may pass through.", e);
        }

        request.Options.Progressed?.Invoke(new WorkProgress("recovering"));
        await using var server = await PrivateServer.StartAsync(new ClusterDirectory(restored.Path), request.Role, time, cancellationToken);
        var replayed = await server.RecoveredAsync(plan.Promised, cancellationToken);
        if (restored.LogProblem is { } problem && plan.End.Stop is RecoveryStop.AtEnd)
        {
            throw new SalvorException(
                FailureKind.Integrity,
                $"the server stopped at {replayed}, and the log goes on to {plan.Log.End}: at {problem.At} {problem.What}",
                "Make a base backup now.");
        }

        request.Options.Progressed?.Invoke(new WorkProgress("checking"));
        var check = await server.CheckAsync(cancellationToken);
        await server.ShutDownAsync(cancellationToken);
        return (replayed, check);
    }

    /// <summary>Root starts the server as the owner of the cluster, who has to get there; the data directory lets in nobody else.</summary>
    static void LetPass(params IEnumerable<string?> folders)
    {
        const UnixFileMode Pass = UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
        foreach (var folder in folders.OfType<string>().Where(_ => Environment.IsPrivilegedProcess))
        {
            File.SetUnixFileMode(folder, File.GetUnixFileMode(folder) | Pass);
        }
    }

    static async Task<int> MajorOfAsync(TreeSnapshot snapshot, ulong id, CancellationToken cancellationToken)
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
