using System.Globalization;
using Salvor.Jobs.Recovery;
using Salvor.Platform;
using Salvor.Postgres.Restore;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Clusters;

/// <summary>A server that was recovered and goes on without us.</summary>
/// <param name="Replayed">Up to where its log was applied.</param>
/// <param name="ReadyAt">Since when it accepts queries.</param>
/// <param name="Process">Its number.</param>
/// <param name="Port">The port of its socket, and of loopback.</param>
/// <param name="SocketFolder">Where its socket is; empty where it has none.</param>
public sealed record StartedCluster(Lsn Replayed, DateTimeOffset ReadyAt, int Process, int Port, string SocketFolder);

/// <summary>
/// Starts a restored cluster: first for us alone, where it is recovered and what it has is compared with what the vault has, and only then
/// as its own settings say, for everybody who may connect.
/// </summary>
public static class ClusterStart
{
    /// <summary>The log of a server that was started by us, in its data directory.</summary>
    public const string LogName = "salvor_start.log";

    const int ErrorLines = 5;

    /// <summary>
    /// Throws where the server could not be started here, however well it is restored: nobody should learn that after hours of restoring.
    /// </summary>
    /// <param name="recovery">What is restored.</param>
    /// <param name="port">As for <see cref="RunAsync"/>.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task ExpectPossibleAsync(ClusterRecovery recovery, int? port, CancellationToken cancellationToken)
    {
        await PostgresPrograms.FindAsync(await recovery.MajorAsync(cancellationToken), cancellationToken);
        await ClusterPort.ExpectFreeAsync(port, recovery.Snapshot, cancellationToken);
    }

    /// <summary>A server that ends or stops short is an error with the end of its log.</summary>
    /// <param name="restored">The cluster.</param>
    /// <param name="user">A role that may log in.</param>
    /// <param name="plan">What was promised.</param>
    /// <param name="port">Instead of that of its settings.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends it; a server that runs already goes on.</param>
    public static async Task<StartedCluster> RunAsync(
        RestoredCluster restored, string user, RecoveryPlan plan, int? port, TimeProvider time, CancellationToken cancellationToken)
    {
        var (directory, replayed) = (new ClusterDirectory(restored.Path), Lsn.None);
        await using (var server = await PrivateServer.StartAsync(directory, user, time, cancellationToken))
        {
            replayed = await server.RecoveredAsync(plan.Promised, cancellationToken);
            restored.ExpectAllOfLog(replayed, plan);
            await server.ShutDownAsync(cancellationToken);
        }

        if (plan.End.Action == RecoveryAction.Promote)
        {
            RecoveryFolder.Remove(directory.Path);
        }

        await StartAsync(directory, port, cancellationToken);
        var (process, ownPort, folder) = ReadPidFile(directory.Path);
        return new StartedCluster(replayed, time.GetUtcNow(), process, ownPort, folder);
    }

    /// <summary>
    /// Options without which a server goes by its settings, which may name the directory and the file of the one that was backed up: then
    /// that is started, or hindered.
    /// </summary>
    /// <param name="path">The data directory.</param>
    public static string OwnPlace(string path) => $"-c {Shell.Quote($"data_directory={path}")} -c external_pid_file=";

    /// <summary>It ends with neither us nor the terminal. What is reachable from elsewhere is not decided by a restore.</summary>
    static async Task StartAsync(ClusterDirectory directory, int? port, CancellationToken cancellationToken)
    {
        var programs = await PostgresPrograms.FindAsync(directory.MajorVersion, cancellationToken);
        var log = Path.Combine(directory.Path, LogName);
        var options = $"-c listen_addresses=localhost {OwnPlace(directory.Path)}"
            + (port is { } number ? string.Create(CultureInfo.InvariantCulture, $" -p {number}") : "");
        const string Patience = "86400";
        try
        {
            await programs.RunAsOwnerAsync(
                directory.Path, "pg_ctl", ["-D", directory.Path, "-l", log, "-o", options, "-w", "-t", Patience, "start"],
                cancellationToken);
        }
        catch (ProgramException e)
        {
            var lines = File.Exists(log) ? File.ReadLines(log).Where(line => line.Length > 0).TakeLast(ErrorLines) : [];
            var said = string.Join(" | ", lines);
            throw new SalvorException(
                FailureKind.Failure,
                $"the cluster in {directory.Path} is recovered, and its server does not start: {(said.Length > 0 ? said : e.Message)}",
                $"Correct its settings, or choose another port, and start it: {programs.PathOf("pg_ctl")} -D {directory.Path} start.", e);
        }
    }

    /// <summary>Process, data directory, start, port, folder of the socket: a line each.</summary>
    static (int Process, int Port, string SocketFolder) ReadPidFile(string path)
    {
        const int LinesMin = 5;
        string[] lines = [.. File.ReadLines(Path.Combine(path, "postmaster.pid")).Take(LinesMin)];
        return lines.Length == LinesMin
            && int.TryParse(lines[0], CultureInfo.InvariantCulture, out var process)
            && int.TryParse(lines[3], CultureInfo.InvariantCulture, out var port)
            ? (process, port, lines[4])
            : throw new SalvorException(
                FailureKind.Failure, $"the server in {path} was started, and its postmaster.pid does not say where it listens",
                $"Look into {Path.Combine(path, LogName)}.");
    }
}
