using Salvor.Platform;
using Salvor.Postgres.Restore;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Clusters;

/// <summary>
/// A recovery that is tried: in a folder of its own, by a server of the version of the cluster for nobody but us, which has to get as far
/// as was promised.
/// </summary>
/// <param name="recovery">What was decided.</param>
/// <param name="folder">Where; whoever gave it removes what is in it.</param>
/// <param name="time">The clock.</param>
sealed class ClusterTrial(ClusterRecovery recovery, string folder, TimeProvider time)
{
    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Restores it, and lets nothing start.</summary>
    /// <param name="root">A folder that the other is below, which is ours; null where it is for temporary files.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public Task<RestoredCluster> RestoreAsync(string? root, CancellationToken cancellationToken)
    {
        LetPass(root, folder);
        return new ClusterRestore(recovery.Snapshot, recovery.Log, recovery.Plan) { Progressed = Progressed }
            .RunAsync(Path.Combine(folder, "data"), cancellationToken);
    }

    /// <summary>
    /// Starts a server that recovers it. Throws <see cref="FailureKind.Integrity"/> or <see cref="FailureKind.NotRestorable"/> where it
    /// does not get as far as the vault does; then it has ended.
    /// </summary>
    /// <param name="programs">Those of its version.</param>
    /// <param name="restored">What was restored.</param>
    /// <param name="role">A role that may log in.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task<(PrivateServer Server, Lsn Replayed)> RecoverAsync(
        PostgresPrograms programs, RestoredCluster restored, string role, CancellationToken cancellationToken)
    {
        await ExpectReadableAsync(programs, restored, cancellationToken);
        Progressed?.Invoke(new WorkProgress("recovering"));
        var server = await PrivateServer.StartAsync(
            new ClusterDirectory(restored.Path), role, time, cancellationToken, Path.Combine(folder, "run"));
        try
        {
            var replayed = await server.RecoveredAsync(recovery.Plan.Promised, cancellationToken);
            restored.ExpectAllOfLog(replayed, recovery.Plan);
            return (server, replayed);
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    static async Task ExpectReadableAsync(PostgresPrograms programs, RestoredCluster restored, CancellationToken cancellationToken)
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
}
