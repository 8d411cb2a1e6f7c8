using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs;
using Salvor.Jobs.Clusters;
using Salvor.Jobs.Config;
using Salvor.Postgres.Protocol;
using Salvor.Postgres.Restore;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Cli;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>A server that the tests of a class share, each with a slot of its own.</summary>
public sealed class FollowedServer : IAsyncLifetime
{
    readonly ScratchDirectory scratch = new();

    internal PostgresServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Server = await PostgresServer.StartAsync(scratch, "pg", "max_wal_senders = 20", "max_replication_slots = 20");
        await Server.SqlAsync("create table t (i int)");
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        scratch.Dispose();
    }
}

/// <summary>A daemon that follows real servers, and what it says when something goes wrong.</summary>
public sealed class ClusterFollowingTests(FollowedServer shared) : IClassFixture<FollowedServer>, IAsyncDisposable
{
    readonly CliRig rig = new();
    readonly ScratchDirectory scratch = new();

    PostgresServer Server => shared.Server;

    public async ValueTask DisposeAsync()
    {
        await rig.DisposeAsync();
        scratch.Dispose();
    }

    [Fact]
    public async Task What_was_committed_before_a_daemon_was_killed_and_while_none_ran_comes_back()
    {
        rig.Configure(Source("one"));
        var daemon = await DaemonAsync("one");
        await Server.SqlAsync("insert into t select generate_series(1, 1000)");
        await daemon.KillAsync();
        var dead = await rig.ConfiguredAsync("status", "--check");
        await Server.SqlAsync("insert into t select generate_series(1, 1000)");
        var expected = await Server.SqlAsync("select count(*) from t");

        await DaemonAsync("one");
        await StoredAsync("one");

        Assert.Equal(8, dead.ExitCode);
        Assert.Contains("nothing serves one", dead.Stderr, StringComparison.Ordinal);
        Assert.Equal(expected, await RestoredAsync("one", "select count(*) from t"));
    }

    [Fact]
    public async Task A_server_that_stops_is_told_and_followed_again_when_it_is_back()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        rig.Configure(Source("one", server));
        var daemon = await DaemonAsync("one", "--log-format", "json");
        await server.StopAsync();
        var away = await StateAsync("one", "failing");
        var check = await rig.ConfiguredAsync("status", "--check");
        await server.StartAsync();
        await StateAsync("one", "healthy");

        Assert.Contains("not connected", away, StringComparison.Ordinal);
        Assert.Contains("the log of one is not received: ", check.Stderr, StringComparison.Ordinal);
        Assert.Contains("ServerLost", daemon.Stderr, StringComparison.Ordinal);
        Assert.DoesNotContain("LogGap", daemon.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Log_that_a_lost_slot_did_not_keep_makes_it_unhealthy_until_there_is_a_new_base_backup()
    {
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 0", "max_wal_size = 2MB");
        rig.Configure(Source("one", server));
        var daemon = await DaemonAsync("one");
        await daemon.KillAsync();
        await server.SqlAsync("select pg_drop_replication_slot('salvor_one')");
        for (var i = 0; i < 6; i++)
        {
            await server.SqlAsync("select pg_logical_emit_message(true, 'x', repeat('x', 500000)); select pg_switch_wal(); checkpoint");
        }

        daemon = rig.Start("daemon", "--config", rig["salvor.yaml"]);
        await Eventually.HoldsAsync(
            () => daemon.Stderr.Contains("a gap: the server no longer has the log", StringComparison.Ordinal)
                && daemon.Stderr.Contains("a base backup is made now", StringComparison.Ordinal),
            () => daemon.Stderr, Eventually.StartMax);
        var healthy = await StateAsync("one", "healthy");

        Assert.Contains("the log lacks", healthy, StringComparison.Ordinal);
        Assert.Contains("backup 2 ", healthy, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_reload_adds_and_removes_clusters_and_leaves_the_others_alone()
    {
        rig.Configure(Source("one"), Source("two"));
        const string Verbose = "log: { level: info }\n";
        File.AppendAllText(rig["salvor.yaml"], Verbose);
        var daemon = await DaemonAsync("one");
        await StateAsync("two", "healthy");
        rig.Configure(Source("one"), Source("three"));
        File.AppendAllText(rig["salvor.yaml"], Verbose);
        daemon.Send(Signal.Hangup);

        await StateAsync("three", "healthy");

        await Eventually.HoldsAsync(
            async () => await ActiveAsync() == "salvor_one,salvor_three", () => daemon.Stderr, Eventually.StartMax);
        Assert.Single(Lines(daemon, "one: follows timeline"));
        Assert.EndsWith(
            $"two: slot salvor_two at {Server.Folder}/.s.PGSQL.{Server.Port} is no longer followed, and keeps its log there. "
                + "hint: SELECT pg_drop_replication_slot('salvor_two');",
            Assert.Single(Lines(daemon, "no longer followed")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disk_that_hangs_keeps_no_other_cluster_from_being_followed()
    {
        rig.Configure(Source("bad"), Source("good"));
        var current = ConfigFile.Load(rig["salvor.yaml"], _ => null);
        var state = ConfiguredSources.StateOf(current, current.Trees["bad"]);
        LocalState.EnsureDirectory(state);

        // Whoever opens it to read waits for somebody who writes.
        var hangs = LocalState.FollowPath(state, "bad");
        Assert.Equal(0, (await ChildProcess.RunAsync("mkfifo", [hangs])).ExitCode);
        const int Factor = 10;
        var following = new ClusterFollowing(() => Volatile.Read(ref current), new FastTime(Factor), NullLogger.Instance);
        using var stop = new CancellationTokenSource();
        var run = Task.Run(() => following.RunAsync(stop.Token));
        try
        {
            await FollowedAsync("good");
            rig.Configure(Source("good"), Source("late"));
            Volatile.Write(ref current, ConfigFile.Load(rig["salvor.yaml"], _ => null));
            await FollowedAsync("late");
        }
        finally
        {
            File.OpenHandle(hangs, FileMode.Open, FileAccess.ReadWrite).Dispose();
            await stop.CancelAsync();
        }

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);

        Task FollowedAsync(string source) => Eventually.HoldsAsync(
            () => following.IsFollowedAsync(source, default), () => $"{source} is not followed", Eventually.StartMax);
    }

    [Fact]
    public async Task A_cluster_that_lets_nobody_in_is_named_and_in_no_others_way()
    {
        await using var other = await PostgresServer.StartAsync(scratch);
        await other.SqlAsync("create role keeper login");
        rig.Configure(
            Source("bad", other, "user=keeper"), Source("gone", other, "user=nobody_of_this_name"), Source("good"));
        var daemon = await DaemonAsync("good");

        var bad = await StateAsync("bad", "failing");
        var gone = await StateAsync("gone", "failing");

        Assert.Contains("ALTER ROLE \"keeper\" REPLICATION", bad, StringComparison.Ordinal);
        Assert.Contains("role \"nobody_of_this_name\" does not exist", gone, StringComparison.Ordinal);
        Assert.Single(Lines(daemon, "bad: it is not followed"));
    }

    [Fact]
    public async Task A_required_second_destination_gets_the_log_and_counts()
    {
        Directory.CreateDirectory(rig["offsite"]);
        File.WriteAllText(
            rig["salvor.yaml"],
            $$"""
            destinations:
              local: { type: file, path: ./vaults }
              offsite: { type: file, path: ./offsite, required: true }
            sources:
              {{Source("one", more: "offsite")}}

            """);
        await DaemonAsync("one");
        await Server.SqlAsync("insert into t values (4711)");
        await StoredAsync("one");
        var end = await EndAsync();
        await Eventually.HoldsAsync(
            async () => await ReachOfAsync("offsite", "one") >= end, () => "the copy lacks log", Eventually.StartMax);

        Directory.Move(rig["offsite"], rig["away"]);
        await Server.SqlAsync("insert into t values (4712)");
        await Eventually.HoldsAsync(
            async () => (await rig.ConfiguredAsync("status", "--check")).Stderr
                .Contains("the copy of one at offsite backs off", StringComparison.Ordinal),
            () => "nobody says it", Eventually.StartMax);
        Assert.Equal(8, (await rig.ConfiguredAsync("status", "--check", "--max-lag", "1ms")).ExitCode);
    }

    async Task<ChildProcess> DaemonAsync(string source, params string[] more)
    {
        var daemon = rig.Start(["daemon", "--config", rig["salvor.yaml"], .. more]);
        await StateAsync(source, "healthy");
        return daemon;
    }

    /// <summary>Waits until a source is as it says; what the last answer was.</summary>
    async Task<string> StateAsync(string source, string state)
    {
        var answer = "";
        await Eventually.HoldsAsync(
            async () =>
            {
                answer = (await rig.ConfiguredAsync("status", source)).Stdout;
                return answer.StartsWith($"{source}  {state}", StringComparison.Ordinal);
            },
            () => answer, Eventually.StartMax);
        return answer;
    }

    string Source(string name, PostgresServer? at = null, string user = "user=postgres", string more = "") =>
        $"{name}: {{ type: postgres, connection: \"host={(at ?? Server).Folder} port={(at ?? Server).Port} {user}\", "
            + $"to: [local{(more.Length > 0 ? $", {more}" : "")}] }}";

    static IEnumerable<string> Lines(ChildProcess daemon, string part) =>
        daemon.Stderr.Split('\n').Where(line => line.Contains(part, StringComparison.Ordinal));

    Task<string> ActiveAsync() =>
        Server.SqlAsync("select string_agg(slot_name, ',' order by slot_name) from pg_replication_slots where active");

    async Task<Lsn> EndAsync()
    {
        Assert.True(Lsn.TryParse(await Server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        return end;
    }

    /// <summary>Waits until the vault has all that the server has now.</summary>
    async Task StoredAsync(string source)
    {
        var end = await EndAsync();
        await Eventually.HoldsAsync(
            async () =>
            {
                using var status = JsonDocument.Parse((await rig.ConfiguredAsync("status", source, "--json")).Stdout);
                var published = status.RootElement.GetProperty("sources")[0].GetProperty("follow").GetProperty("published").GetString();
                return Lsn.TryParse(published, out var at) && at >= end;
            },
            () => "the log does not arrive", Eventually.StartMax);
    }

    /// <summary>What a server says that has nothing but what is in the vault.</summary>
    async Task<string?> RestoredAsync(string source, string sql)
    {
        var (log, backup, snapshot) = await OpenAsync("vaults", source);
        var plan = await new RecoveryPlanner(log, [backup])
            .PlanAsync(new RecoveryTarget.Latest(), timeline: null, backupId: null, RecoveryAction.Promote, default);
        await new ClusterRestore(snapshot, log, plan).RunAsync(scratch["restored"], default);
        if (Environment.IsPrivilegedProcess)
        {
            File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
        }

        await using var server = await PrivateServer.StartAsync(
            new ClusterDirectory(scratch["restored"]), "postgres", TimeProvider.System, default);
        await server.RecoveredAsync(plan.Promised, default);
        await using var connection = await PostgresConnection.OpenAsync(server.Connection, SessionKind.Sql, TimeProvider.System, default);
        return (await connection.QueryOneAsync(sql, default)).Text(0, 0);
    }

    async Task<(WalCatalog Log, ClusterBackup Backup, TreeSnapshot Snapshot)> OpenAsync(string folder, string source)
    {
        var vault = await VaultAccess.FindAsync(new FileStore(rig[folder]), source, null, default);
        var catalog = await VaultCatalog.LoadAsync(vault!, default);
        var record = await Backups.ReadAsync(catalog, catalog.Backups[^1], default);
        var (backup, snapshot) = await ClusterBackup.OpenAsync(vault!, record, default);
        return (await WalCatalog.LoadAsync(vault!, default), backup, snapshot);
    }

    async Task<Lsn> ReachOfAsync(string folder, string source)
    {
        try
        {
            var (log, backup, _) = await OpenAsync(folder, source);
            return log.Reach(backup.Branch, backup.Log.First);
        }
        catch (ArgumentOutOfRangeException)
        {
            return Lsn.None;
        }
    }
}
