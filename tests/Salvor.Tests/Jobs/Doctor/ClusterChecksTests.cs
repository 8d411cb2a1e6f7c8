using Salvor.Jobs;
using Salvor.Jobs.Clusters;
using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Platform;
using Salvor.Postgres.Protocol;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Doctor;

/// <summary>A server that archives, limits what slots keep, and lets roles in by a socket alone.</summary>
public sealed class DoctoredServer : IAsyncLifetime
{
    readonly ScratchDirectory scratch = new();

    internal PostgresServer Server { get; private set; } = null!;

    public async ValueTask InitializeAsync()
    {
        Server = await PostgresServer.CreateAsync(scratch);
        await File.WriteAllTextAsync(
            Path.Combine(Server.Data, "pg_hba.conf"),
            "local all,replication postgres,keeper,ordinary trust\nlocal all,replication secured scram-sha-256\n");
        await Server.ConfigureAsync("archive_mode = on", "archive_command = 'true'", "max_slot_wal_keep_size = 1GB");
        await Server.ConfigureAsync(PostgresServer.Major >= 17 ? "summarize_wal = on" : "");
        await PostgresServer.OwnAsync(Server.Data);
        await Server.StartAsync();
        await Server.SqlAsync(
            "create role keeper login replication; create role ordinary login; create role secured login replication password 'right'");
    }

    public async ValueTask DisposeAsync()
    {
        await Server.DisposeAsync();
        scratch.Dispose();
    }
}

/// <summary>A server, looked at before its log or a backup of it is missed.</summary>
public sealed class ClusterChecksTests(DoctoredServer doctored) : IClassFixture<DoctoredServer>, IAsyncDisposable
{
    readonly DoctorRig rig = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    PostgresServer Server => doctored.Server;

    /// <summary>From version 14 on it is known.</summary>
    static string Rate => PostgresServer.Major >= 14 ? ", and it writes [0-9.]+ [KMG]?i?B of log an hour" : "";

    public async ValueTask DisposeAsync()
    {
        rig.Dispose();
        await Eventually.HoldsAsync(
            async () => await Server.SqlAsync("select count(*) from pg_replication_slots where active") == "0",
            () => "somebody still reads from a slot");
        await Server.SqlAsync("select pg_drop_replication_slot(slot_name) from pg_replication_slots");
    }

    [Fact]
    public async Task A_server_that_is_followed_fares_well()
    {
        var systemId = await Server.SqlAsync("select system_identifier from pg_control_system()");
        await CreateVaultAsync(ulong.Parse(systemId, System.Globalization.CultureInfo.InvariantCulture));
        await using var follower = await ReplicationConnection.OpenAsync(Server.Connection, TimeProvider.System, Cancel);
        await follower.CreateSlotAsync("salvor_pg", isTemporary: false, Cancel);
        var start = (await follower.IdentifyAsync(Cancel)).Flushed.Floor(PostgresServer.SegmentBytes);
        await follower.ReceiveAsync("salvor_pg", start, 1, Cancel);

        var checks = await CheckAsync("user=postgres");

        Assert.Equal(
            [
                "Ok its server lets a follower in", "Ok its server is the cluster of its backups",
                "Ok its pages have checksums, and are whole after a crash", "Ok the log that slots keep has a limit",
                "Ok its server has room for a follower and a base backup", "Ok slot salvor_pg is read from", "Ok its archiver works",
                "Ok there is room for a restore into scratch",
            ],
            checks.Select(check => $"{check.Level} {check.What}"));
        Assert.Equal(
            $"PostgreSQL {await Server.SqlAsync("show server_version")} at {Server.Folder}/.s.PGSQL.{Server.Port} as postgres, "
                + "wal_level replica",
            checks[0].Detail);
        Assert.Equal($"system identifier {systemId}", checks[1].Detail);
        Assert.Equal("data_checksums, fsync and full_page_writes are on", checks[2].Detail);
        Assert.Matches($"^max_slot_wal_keep_size 1GB{Rate}$", checks[3].Detail);
        Assert.Matches("^it keeps [0-9.]+ [KM]?i?B, wal_status reserved$", checks[5].Detail);
    }

    [Theory]
    [InlineData("user=secured password=wrong", "refused user secured: password authentication failed", "Check the password of user")]
    [InlineData("user=stranger", "no pg_hba.conf entry for replication connection", "Add a line to pg_hba.conf, such as: local ")]
    [InlineData("user=ordinary", "to start", "ALTER ROLE \"ordinary\" REPLICATION")]
    [InlineData("host=/nowhere user=keeper", "cannot connect to server /nowhere/.s.PGSQL.", "Name the folder of the server's socket")]
    public async Task A_server_that_lets_nobody_in_says_why_and_what_to_do(string who, string message, string hint)
    {
        var checks = await CheckAsync(who);

        DoctorRig.AssertFound(
            checks, CheckLevel.Fail, "source", "its server cannot be followed or backed up", message, hint, FailureKind.SourceUnreadable);
        Assert.Equal(3, Check.ExitCodeOf(checks));
    }

    [Fact]
    public async Task Slots_that_nobody_reads_from_are_told_with_what_they_keep()
    {
        await Server.SqlAsync("select pg_create_physical_replication_slot(name, true) from (values ('salvor_pg'), ('left')) as t (name)");
        await Server.SqlAsync("select pg_logical_emit_message(true, 'x', repeat('x', 100000))");

        var checks = await CheckAsync("user=keeper");

        AssertIs(
            checks, CheckLevel.Warn, "slot salvor_pg keeps log that no one receives", "^it keeps [0-9.]+ [KM]iB, wal_status reserved$",
            "Start 'salvor daemon'. If nobody is to follow it any more: SELECT pg_drop_replication_slot('salvor_pg');");
        AssertIs(
            checks, CheckLevel.Warn, "slot left of somebody else is not read from", "^it keeps [0-9.]+ [KM]iB, wal_status reserved$",
            "Start who reads from it, or drop it: SELECT pg_drop_replication_slot('left');");
    }

    [Fact]
    public async Task An_archiver_that_fails_is_told_until_it_works_again()
    {
        const string Last = ", the last is [0-9A-F]{24} at [-0-9]+T[:0-9]+Z";
        await ArchiveByAsync("false", "failed_count > 0");
        var failing = await CheckAsync("user=keeper");
        await ArchiveByAsync("true", "last_archived_time > last_failed_time");
        var working = await CheckAsync("user=keeper");

        AssertIs(
            failing, CheckLevel.Fail, "its archiver fails, and the server keeps all log meanwhile",
            $"^[0-9]+ archived({Last})?; [1-9][0-9]* failed{Last}$",
            "The log of the server says what archive_command printed. A file that cannot be archived is tried again.");
        AssertIs(working, CheckLevel.Ok, "its archiver works", $"^[1-9][0-9]* archived{Last}; [1-9][0-9]* failed{Last}$", "");
    }

    [Fact]
    public async Task Another_cluster_under_the_same_name_is_refused()
    {
        await CreateVaultAsync(4711);
        var systemId = await Server.SqlAsync("select system_identifier from pg_control_system()");

        var checks = await CheckAsync("user=keeper");

        AssertIs(
            checks, CheckLevel.Fail, "its server is another cluster under the same name",
            $"^the vault is of the cluster with system identifier 4711, and the server has {systemId}$",
            "After 'initdb' or 'pg_upgrade' a cluster is another one: give it another name, so that neither history hides the other.");
        Assert.Equal(2, Check.ExitCodeOf(checks));
    }

    [Fact]
    public async Task A_role_that_may_enter_no_database_is_told_what_cannot_be_seen()
    {
        await Server.SqlAsync("revoke connect on database postgres from public");
        var checks = await CheckAsync("user=keeper");
        await Server.SqlAsync("grant connect on database postgres to public");

        AssertIs(
            checks, CheckLevel.Warn, "how its slots and its archiver fare", "^could not tell: .*denied for database \"postgres\"",
            "Let keeper also into a database, by pg_hba.conf and GRANT CONNECT; 'dbname' of the connection names it.");
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(checks, "source", "its server lets a follower in").Level);
    }

    [Fact]
    public async Task A_database_whose_collation_changed_is_named()
    {
        Assert.SkipUnless(PostgresServer.Major >= 15, "older servers do not know it");
        await Server.SqlAsync("create database words template template0 locale_provider icu icu_locale 'en'");
        await Server.SqlAsync("update pg_database set datcollversion = '0' where datname = 'words'");

        var checks = await CheckAsync("user=keeper");

        await Server.SqlAsync("drop database words");
        AssertIs(
            checks, CheckLevel.Warn,
            "1 database(s) were sorted by another version of their collation: indexes of text may be wrong", "^words$",
            "In each, run: REINDEX DATABASE name; ALTER DATABASE name REFRESH COLLATION VERSION;");
    }

    [Fact]
    public async Task Settings_that_endanger_the_cluster_or_its_machine_are_told()
    {
        using var scratch = new ScratchDirectory();
        await using var careless = await PostgresServer.CreateAsync(scratch);
        var disabled = await PostgresServer.RunAsync("pg_checksums", "--disable", "-D", careless.Data);
        Assert.True(disabled.ExitCode == 0, $"{disabled}");
        await careless.ConfigureAsync(
            "fsync = off", "full_page_writes = off", "max_wal_senders = 1", "max_replication_slots = 1",
            "synchronous_standby_names = 'FIRST 1 (other, Salvor)'", "archive_mode = on", "archive_command = 'true'");
        await careless.StartAsync();
        await careless.SqlAsync("select pg_create_physical_replication_slot('left')");

        var checks = await CheckAsync("user=postgres", careless);

        foreach (var setting in (string[])["fsync", "full_page_writes"])
        {
            AssertIs(
                checks, CheckLevel.Fail, $"{setting} of its server is off",
                "^a crash of the machine may damage the cluster, and base backups taken then with it$",
                $"ALTER SYSTEM SET {setting} = on; SELECT pg_reload_conf();   (then make a full backup)");
        }

        AssertIs(
            checks, CheckLevel.Warn, "its pages have no checksums", "^a backup cannot see that a page is damaged, and keeps it as it is$",
            "Stop the server, and run 'pg_checksums --enable -D DIRECTORY'.");
        AssertIs(
            checks, CheckLevel.Warn, "nothing limits the log that slots keep",
            $"^max_slot_wal_keep_size -1{Rate}: while a follower is away, the disk of the server fills up$",
            "ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'; SELECT pg_reload_conf();   (less than what is free for pg_wal)");
        AssertIs(
            checks, CheckLevel.Warn, "its server has no room for a follower and a base backup", "^2 more are needed, and 1 can connect$",
            "Raise max_wal_senders, and restart the server.");
        AssertIs(
            checks, CheckLevel.Warn, "its server has no room for slot salvor_pg", "^all of its max_replication_slots are taken: 1$",
            "Raise max_replication_slots, and restart the server; or drop a slot that nobody needs.");
        AssertIs(
            checks, CheckLevel.Warn, "what it wrote last is archived only when a segment is full",
            "^archive_timeout 0, and nobody follows its log: on a quiet server that takes hours$",
            "Start 'salvor daemon', which stores it in seconds. Or: ALTER SYSTEM SET archive_timeout = 60; SELECT pg_reload_conf();");
        AssertIs(
            checks, CheckLevel.Ok, "commits wait until their log is durable on this machine",
            "^synchronous_standby_names FIRST 1 \\(other, Salvor\\)$", "");
        if (PostgresServer.Major >= 17)
        {
            AssertIs(
                checks, CheckLevel.Warn, "each base backup reads the whole cluster",
                "^summarize_wal is off: its server does not note which pages change$",
                "ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();   (then only pages that changed are sent)");
        }
    }

    [Fact]
    public async Task A_server_whose_log_nobody_keeps_is_told_how_much_it_writes()
    {
        using var scratch = new ScratchDirectory();
        await using var alone = await PostgresServer.StartAsync(scratch);

        var checks = await CheckAsync("user=postgres", alone);

        AssertIs(
            checks, CheckLevel.Warn, "nobody keeps its log between two base backups",
            $"^slot salvor_pg is not there, archive_mode is off, wal_keep_size is 0{Rate}$",
            "Start 'salvor daemon', which makes the slot. A wal_keep_size would have to last for each time that nobody follows.");
        NoteDaemon();
        AssertIs(await CheckAsync("user=postgres", alone), CheckLevel.Ok, "slot salvor_pg is not there yet", "^the daemon makes it$", "");
    }

    [Fact]
    public async Task A_slot_that_no_one_reads_from_although_a_daemon_runs_is_told()
    {
        await Server.SqlAsync("select pg_create_physical_replication_slot('salvor_pg', true)");
        NoteDaemon();

        AssertIs(
            await CheckAsync("user=keeper"), CheckLevel.Fail, "slot salvor_pg keeps log that no one receives, although a daemon runs",
            "^it keeps ", "See what is in the way: 'salvor status pg'.");
    }

    [Fact]
    public async Task A_slot_that_will_be_lost_and_one_that_is_are_told()
    {
        await Server.SqlAsync("select pg_create_physical_replication_slot('salvor_pg', true)");
        await Server.SqlAsync("alter system set max_slot_wal_keep_size = '1MB'");
        await Server.SqlAsync("select pg_reload_conf()");
        try
        {
            await Server.SqlAsync("select pg_logical_emit_message(true, 'x', repeat('x', 4000000))");
            await StatusAsync("unreserved");
            var soon = await CheckAsync("user=keeper");
            await Server.SqlAsync("checkpoint");
            await StatusAsync("lost");
            var late = await CheckAsync("user=keeper");

            AssertIs(
                soon, CheckLevel.Warn, "slot salvor_pg is about to be lost", "^it keeps [0-9.]+ MiB, wal_status unreserved$",
                "Let the daemon receive its log now, or raise max_slot_wal_keep_size: a checkpoint removes it.");
            AssertIs(
                late, CheckLevel.Fail, "slot salvor_pg is lost: the server removed log that nobody received",
                "^it keeps 0 B, wal_status lost$",
                "Raise max_slot_wal_keep_size. The daemon makes the slot anew, and a full backup after it.");
            var limit = DoctorRig.Find(late, "source", "slots keep less than an hour of its log");
            Assert.Matches($"^max_slot_wal_keep_size 1MB{Rate}: a follower that is away for longer loses its slot$", limit.Detail);
            Assert.Matches(
                @"^ALTER SYSTEM SET max_slot_wal_keep_size = '\d+MB'; SELECT pg_reload_conf\(\);   \(a day of it; less than what is free",
                limit.Fix);
        }
        finally
        {
            await Server.SqlAsync("alter system reset max_slot_wal_keep_size");
            await Server.SqlAsync("select pg_reload_conf()");
        }

        Task StatusAsync(string status) => Eventually.HoldsAsync(
            async () => await Server.SqlAsync("select wal_status from pg_replication_slots") == status, () => $"it is never {status}");
    }

    [Fact]
    public async Task How_far_a_standby_is_behind_its_primary_is_told()
    {
        using var scratch = new ScratchDirectory();
        await using var standby = await Server.StandbyAsync(scratch, "standby", "synchronous_standby_names = '*'");
        await Server.SqlAsync("select txid_current()");
        Assert.True(Lsn.TryParse(await Server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        await Eventually.HoldsAsync(
            async () => await standby.SqlAsync($"select pg_last_wal_replay_lsn() >= '{end}'") == "t", () => standby.Log);
        var near = await CheckAsync("user=keeper", standby);
        await standby.SqlAsync("select pg_wal_replay_pause()");
        await Server.SqlAsync("select pg_logical_emit_message(true, 'x', repeat('x', 100000)); select pg_switch_wal()");
        await Eventually.HoldsAsync(
            async () => await standby.SqlAsync(
                "select pg_get_wal_replay_pause_state() = 'paused' "
                    + "and pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn() + 100000") == "t",
            () => standby.Log);
        var paused = await CheckAsync("user=keeper", standby);
        await standby.SqlAsync("select pg_wal_replay_resume()");
        await standby.SqlAsync("alter system set primary_conninfo = ''");
        await standby.SqlAsync("select pg_reload_conf()");
        await Eventually.HoldsAsync(
            async () => await standby.SqlAsync("select count(*) from pg_stat_wal_receiver") == "0", () => standby.Log);
        var alone = await CheckAsync("user=keeper", standby);

        const string Detail = "^replayed to [0-9A-F]+/[0-9A-F]+, (?<waits>[0-9.]+ [KM]?i?B) more are received, and its last transaction is "
            + "[0-9a-z ]+ old$";
        AssertIs(near, CheckLevel.Ok, "its server is a standby that receives from its primary", Detail, "");
        AssertIs(
            paused, CheckLevel.Warn, "its server is a standby whose replay is paused", Detail,
            "A base backup of it lacks what it does not apply: SELECT pg_wal_replay_resume();");
        Assert.Matches(", [0-9.]+ [KM]iB more", DoctorRig.Find(paused, "source", "its server is a standby").Detail);
        AssertIs(
            alone, CheckLevel.Warn, "its server is a standby that receives nothing from its primary", Detail,
            "See its primary_conninfo and what its log says: what is backed up here is as old as it is.");

        // Neither is true of a server that writes no log of its own.
        Assert.DoesNotContain(
            near, check => check.What is "its archiver works" or "commits wait until their log is durable on this machine");
    }

    static void AssertIs(IEnumerable<Check> checks, CheckLevel level, string what, string detail, string fix)
    {
        var check = Assert.Single(checks, item => item.What == what);
        Assert.Equal((level, fix), (check.Level, check.Fix));
        Assert.Matches(detail, check.Detail);
    }

    async Task<Check[]> CheckAsync(string who, PostgresServer? at = null)
    {
        Write(who, at ?? Server);
        return [.. (await rig.CheckAsync("pg")).Where(check => check is { Area: "source", Subject: "pg" })];
    }

    /// <summary>As a daemon writes it down that runs here.</summary>
    void NoteDaemon()
    {
        Write("user=keeper", Server);
        var config = ConfigFile.Load(rig.ConfigPath, _ => null);
        var (here, state) = (ProcessIdentity.Current(), ConfiguredSources.StateOf(config, config.Trees["pg"]));
        LocalState.EnsureDirectory(state);
        FollowFile.Write(
            LocalState.FollowPath(state, "pg"),
            new FollowRecord
            {
                Server = Server.Folder, Slot = "salvor_pg", Pid = here.Pid, Host = here.Host, BootId = here.BootId,
                StartTicks = here.StartTicks, UpdatedAt = TimeProvider.System.GetUtcNow(),
            });
    }

    void Write(string who, PostgresServer at) => rig.Write(
        $"pg: {{ type: postgres, connection: \"port={at.Port} "
            + $"{(who.StartsWith("host=", StringComparison.Ordinal) ? "" : $"host={at.Folder} ")}{who}\", to: [local] }}");

    /// <summary>A vault that has log of a cluster.</summary>
    async Task CreateVaultAsync(ulong systemId)
    {
        var vault = await VaultAccess.OpenOrCreateAsync(
            new FileStore(rig["vaults"]), "pg", VaultIdentity.Postgres, "pg", null, TimeProvider.System, Cancel);
        await WalBranches.EnsureAsync(vault, systemId, TimelineHistory.Read(1, default), TimeProvider.System, Cancel);
    }

    async Task ArchiveByAsync(string command, string until)
    {
        await Server.SqlAsync($"alter system set archive_command = '{command}'");
        await Server.SqlAsync("select pg_reload_conf()");
        await Server.SqlAsync("select pg_logical_emit_message(true, 'x', 'x'); select pg_switch_wal()");
        await Eventually.HoldsAsync(
            async () => await Server.SqlAsync($"select {until} from pg_stat_archiver") == "t", () => $"the archiver never has {until}");
    }
}
