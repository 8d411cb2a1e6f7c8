using Salvor.Cli.Terminal;
using Salvor.Jobs.Clusters;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Postgres.Restore;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Cli.Commands;

/// <summary>What a restore of a cluster is told.</summary>
/// <param name="Target">Where its recovery ends.</param>
/// <param name="Backup">The base backup that it begins with; null for the newest that leads there.</param>
/// <param name="Output">Where to; null for a folder of its own.</param>
/// <param name="Scratch">Where such folders are made.</param>
/// <param name="DryRun">Whether nothing is written.</param>
/// <param name="Timestamp">The time as it was typed; null where the target is none.</param>
sealed record ClusterRestoreRequest(
    RecoveryTarget Target, string? Backup, string? Output, string Scratch, bool DryRun, string? Timestamp);

/// <summary>A restore of a cluster of PostgreSQL, as <c>salvor restore</c> does it.</summary>
static class ClusterRestoreRun
{
    public static async Task<int> RunAsync(
        Invocation invocation, VaultAccess vault, ClusterRestoreRequest request, PostgresSourceConfig? configured)
    {
        var started = invocation.Time.GetTimestamp();
        var tablespaces = ClusterOptions.TablespacesOf(invocation);
        var owners = TreeRestoreRun.OwnersOf(invocation, new RestoreProfile());
        var recovery = await PlanAsync(invocation, vault, request);
        var plan = recovery.Plan;
        var source = vault.Identity.Source;
        var target = request.Output is null
            ? Path.Combine(request.Scratch, $"{source}-{plan.Promised}".Replace('/', '-'))
            : Path.GetFullPath(request.Output);
        using var progress = new ProgressLine(invocation, source);
        var restore = new ClusterRestore(recovery.Snapshot, recovery.Log, recovery.Plan)
        {
            Owners = owners,
            Tablespaces = tablespaces,
            MayMakeTablespaces = invocation.Get(ClusterOptions.MakesTablespaces),
            IsOver = invocation.Get(ClusterOptions.Delta),
            Progressed = progress.Reporter,
        };
        await restore.ExpectPossibleAsync(target, invocation.Cancellation);
        if (invocation.Get(ClusterOptions.Start))
        {
            await ClusterStart.ExpectPossibleAsync(recovery, invocation.Get(ClusterOptions.Port), invocation.Cancellation);
        }

        PrintPlan(invocation, source, target, plan, request);
        var body = new ClusterRestoreBody(
            plan.Backup.Id, plan.End.Timeline, plan.Log.First.ToString(), plan.Log.End.ToString(), plan.Log.Length, $"{request.Target}",
            Describe(plan), plan.LastCommit?.End.ToString(), recovery.LastCommitAt, plan.Promised.ToString(),
            invocation.Get(ClusterOptions.Action));
        RestoredCluster? restored = null;
        if (!request.DryRun)
        {
            restored = await RestoreAsync(restore, target, invocation.Cancellation);
            progress.Dispose();
            PrintResult(invocation, source, restored, plan);
            body = body with
            {
                Owner = OwnerOf(target), ReusedBytes = restored.Files.ReusedBytes, RemovedCount = restored.Files.RemovedCount,
                Server = await StartAsync(invocation, restored, plan, configured),
            };
        }

        invocation.PrintJson(
            new RestoreDocument(
                source, target, request.DryRun, plan.Branch.Number, plan.Promised.Value, recovery.LastCommitAt,
                (request.Target as RecoveryTarget.Time)?.At, 0, 0, 0, restored?.Files.Bytes ?? 0, restored?.Files.FetchedBytes ?? 0, "",
                request.DryRun ? "" : "ok", Math.Round(invocation.Time.GetElapsedTime(started).TotalSeconds, 3), "")
            {
                Cluster = body,
            },
            () => CliJson.Default.RestoreDocument);
        return 0;
    }

    static async Task<ClusterRecovery> PlanAsync(Invocation invocation, VaultAccess vault, ClusterRestoreRequest request)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, invocation.Cancellation);
        var id = request.Backup is { } name ? (await TreeBackups.FindAsync(catalog, name, invocation.Cancellation)).Id : (ulong?)null;
        return await ClusterRecovery.PlanAsync(
            catalog, new(request.Target, (uint?)invocation.Get(ClusterOptions.Timeline), id, ClusterOptions.ActionOf(invocation)),
            e => invocation.Tell($"warning: {e.Message}; a restore begins with another backup. hint: Run 'salvor repair'."),
            invocation.Cancellation);
    }

    /// <summary>A failure says what is there already, and how to go on.</summary>
    static async Task<RestoredCluster> RestoreAsync(ClusterRestore restore, string target, CancellationToken cancellationToken)
    {
        try
        {
            return await restore.RunAsync(target, cancellationToken);
        }
        catch (Exception e) when (restore.Unfinished is { } place)
        {
            throw TreeRestoreRun.Unfinished(
                e, $"What is restored so far waits in {place}, and no server starts from it: the same restore with '--delta' goes on.");
        }
    }

    static void PrintPlan(
        Invocation invocation, string source, string target, RecoveryPlan plan, ClusterRestoreRequest request)
    {
        invocation.Print($"{(request.DryRun ? "would restore" : "restoring")} \"{source}\" -> {target}");
        invocation.Print(
            $"target: {request.Target}"
                + (request.Timestamp is { } typed && !InstantText.HasZone(typed) ? " (given without a zone: that is UTC)" : ""));
        invocation.Print($"base backup {plan.Backup.Id} of {InstantText.Format(plan.Backup.Time)}, consistent at {plan.Backup.Log.End}");
        invocation.Print($"log: {plan.Log} of timeline {plan.End.Timeline}, {SizeText.Format(plan.Log.Length)}");
        invocation.Print($"stopping at: {Describe(plan)}");
        invocation.Print(plan.LastCommit is { } commit
            ? $"last transaction: {InstantText.Format(Micros.ToTime(commit.TimeMicros))}, at {commit.End}"
            : "last transaction: none after the base backup");
        invocation.Print($"promised: the server has everything up to {plan.Promised}");
    }

    static string Describe(RecoveryPlan plan) => plan.End.Stop switch
    {
        RecoveryStop.Consistent => $"the end of the base backup, {plan.Backup.Log.End}",
        RecoveryStop.At { Record: var record, Inclusive: var isIn } => $"{(isIn ? "after" : "before")} the record at {record}",
        _ => $"the end of the log, {plan.Log.End}",
    };

    static void PrintResult(Invocation invocation, string source, RestoredCluster restored, RecoveryPlan plan)
    {
        foreach (var problem in restored.Files.Problems)
        {
            invocation.Tell($"warning: {problem}");
        }

        invocation.Print($"Restored \"{source}\" -> {restored.Path}");
        invocation.Print(
            $"{restored.Files.Files} file(s), {SizeText.Format(restored.Files.Bytes)}, and {SizeText.Format(restored.LogBytes)} of log");
        invocation.Print($"downloaded: {SizeText.Format(restored.Files.FetchedBytes)}");
        if (invocation.Get(ClusterOptions.Delta))
        {
            invocation.Print(
                $"kept {SizeText.Format(restored.Files.ReusedBytes)} of {SizeText.Format(restored.Files.Bytes)}, which was there already, "
                    + $"and removed {restored.Files.RemovedCount} name(s)");
        }

        invocation.Print(restored.LogProblem is null
            ? $"{Symbols.Ok} every chunk matches its name, and the log is there without a gap up to {plan.Log.End}"
            : $"{Symbols.Ok} every chunk matches its name");
        if (restored.LogProblem is { } stop)
        {
            invocation.Tell(
                $"warning: the log goes on to {plan.Log.End}, and at {stop.At} {stop.What}: a server stops there, and has nothing "
                    + "of what follows. hint: Make a base backup now, and run 'salvor verify --deep'.");
        }

        invocation.Print($"all of it belongs to {OwnerOf(restored.Path)}, as whom the server is started");
        foreach (var (id, place) in restored.Tablespaces)
        {
            invocation.Print($"  tablespace {id} {Symbols.Arrow} {place}");
        }

        if (restored.Added.Count > 0)
        {
            invocation.Tell(
                $"warning: the backup has no {string.Join(" and no ", restored.Added)}, and a plain one was made in {restored.Path}. "
                    + "hint: Debian keeps them in /etc/postgresql, which a source of files can back up.");
        }
    }

    /// <summary>Starts the server where that is wanted, else says how.</summary>
    static async Task<ClusterServerBody?> StartAsync(
        Invocation invocation, RestoredCluster restored, RecoveryPlan plan, PostgresSourceConfig? configured)
    {
        var target = restored.Path;
        if (!invocation.Get(ClusterOptions.Start))
        {
            invocation.Print($"next: {await StartOfAsync(invocation, target)}");
            return null;
        }

        using var progress = new ProgressLine(invocation, configured?.Name ?? "server");
        progress.Reporter?.Invoke(new WorkProgress("recovering"));
        var server = await ClusterStart.RunAsync(
            restored, configured?.Server?.User ?? "postgres", plan, invocation.Get(ClusterOptions.Port), invocation.Time,
            invocation.Cancellation);
        progress.Dispose();
        invocation.Print(
            $"{Symbols.Ok} accepts queries at {InstantText.Format(server.ReadyAt)} on port {server.Port}, replayed to {server.Replayed}");
        invocation.Print($"process {server.Process}, socket in {server.SocketFolder}, log in {target}/{ClusterStart.LogName}");
        invocation.Print(plan.End.Action == RecoveryAction.Pause
            ? "paused there for reads; 'SELECT pg_wal_replay_resume()' ends the recovery"
            : "It listens on this machine alone until it is started again by itself, and archives nothing while 'archive_mode' is off.");
        return new ClusterServerBody(
            server.Process, server.Port, server.SocketFolder, server.Replayed.ToString(), server.ReadyAt);
    }

    static string OwnerOf(string target) =>
        FileStat.Of(Path.Combine(target, "PG_VERSION")) is { } stat ? Accounts.UserName(stat.UserId) : "";

    /// <summary>The command that starts the server, with the programs of its version where they are here.</summary>
    static async Task<string> StartOfAsync(Invocation invocation, string target)
    {
        var major = new ClusterDirectory(target).MajorVersion;
        string program;
        try
        {
            program = (await PostgresPrograms.FindAsync(major, invocation.Cancellation)).PathOf("pg_ctl");
        }
        catch (SalvorException e)
        {
            invocation.Tell($"warning: {e.Message}. hint: {e.Hint}");
            program = "pg_ctl";
        }

        var path = Jobs.Recovery.Shell.Quote(target);
        var command = $"{program} -D {path} -l {path}/salvor_start.log -o {Jobs.Recovery.Shell.Quote(ClusterStart.OwnPlace(target))} start";
        return Environment.IsPrivilegedProcess ? $"cd / && setpriv --reuid={OwnerOf(target)} --init-groups {command}" : command;
    }
}
