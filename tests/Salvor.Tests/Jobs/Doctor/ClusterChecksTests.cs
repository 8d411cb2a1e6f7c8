using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Postgres.Protocol;
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
        Assert.Equal("max_slot_wal_keep_size 1GB", checks[3].Detail);
        Assert.Matches("^it keeps [0-9.]+ K?i?B, wal_status reserved$", checks[5].Detail);
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
        AssertIs(
            ClusterChecks.Judge(await GatherAsync("user=keeper"), systemId: null, isFollowed: true), CheckLevel.Fail,
            "slot salvor_pg keeps log that no one receives, although a daemon runs", "^it keeps ",
            "See what is in the way: 'salvor status pg'.");
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
        var facts = await GatherAsync("user=keeper");
        var checks = ClusterChecks.Judge(
            facts with
            {
                SendersFree = 1,
                Shown = new Dictionary<string, string>(facts.Shown)
                {
                    ["fsync"] = "off", ["data_checksums"] = "off", ["max_slot_wal_keep_size"] = "-1",
                    ["synchronous_standby_names"] = "FIRST 1 (other, Salvor)",
                },
            },
            systemId: null, isFollowed: false);

        AssertIs(
            checks, CheckLevel.Fail, "fsync of its server is off",
            "^a crash of the machine may damage the cluster, and base backups taken then with it$",
            "ALTER SYSTEM SET fsync = on; SELECT pg_reload_conf();   (then make a full backup)");
        AssertIs(
            checks, CheckLevel.Warn, "its pages have no checksums", "^a backup cannot see that a page is damaged, and keeps it as it is$",
            "Stop the server, and run 'pg_checksums --enable -D DIRECTORY'.");
        AssertIs(
            checks, CheckLevel.Warn, "nothing limits the log that slots keep",
            "^max_slot_wal_keep_size -1: while a follower is away, the disk of the server fills up$",
            "ALTER SYSTEM SET max_slot_wal_keep_size = '20GB'; SELECT pg_reload_conf();   (less than what is free for pg_wal)");
        AssertIs(
            checks, CheckLevel.Warn, "its server has no room for a follower and a base backup", "^2 more are needed, and 1 can connect$",
            "Raise max_wal_senders, and restart the server.");
        AssertIs(
            checks, CheckLevel.Ok, "commits wait until their log is durable on this machine",
            "^synchronous_standby_names FIRST 1 \\(other, Salvor\\)$", "");
        AssertIs(checks, CheckLevel.Ok, "slot salvor_pg is not there yet", "^the daemon makes it$", "");
    }

    [Theory]
    [InlineData(
        "lost", CheckLevel.Fail, "slot salvor_pg is lost: the server removed log that nobody received",
        "Raise max_slot_wal_keep_size. The daemon makes the slot anew, and a full backup after it.")]
    [InlineData(
        "unreserved", CheckLevel.Warn, "slot salvor_pg is about to be lost",
        "Let the daemon receive its log now, or raise max_slot_wal_keep_size: a checkpoint removes it.")]
    public async Task A_slot_that_is_lost_or_will_be_is_told(string status, CheckLevel level, string what, string fix)
    {
        var facts = await GatherAsync("user=keeper");
        var slot = new SlotFacts("salvor_pg", IsActive: status != "lost", status, 1 << 30);

        var checks = ClusterChecks.Judge(facts with { Slots = [slot] }, systemId: null, isFollowed: true);

        AssertIs(checks, level, what, $"^it keeps 1 GiB, wal_status {status}$", fix);
    }

    static void AssertIs(IEnumerable<Check> checks, CheckLevel level, string what, string detail, string fix)
    {
        var check = Assert.Single(checks, item => item.What == what);
        Assert.Equal((level, fix), (check.Level, check.Fix));
        Assert.Matches(detail, check.Detail);
    }

    async Task<Check[]> CheckAsync(string who)
    {
        Write(who);
        return [.. (await rig.CheckAsync("pg")).Where(check => check is { Area: "source", Subject: "pg" })];
    }

    async Task<ClusterFacts> GatherAsync(string who)
    {
        Write(who);
        var source = (PostgresSourceConfig)ConfigFile.Load(rig.ConfigPath, _ => null).Trees["pg"];
        return await ClusterFacts.GatherAsync(source, TimeProvider.System, Cancel);
    }

    void Write(string who) => rig.Write(
        $"pg: {{ type: postgres, connection: \"port={Server.Port} "
            + $"{(who.StartsWith("host=", StringComparison.Ordinal) ? "" : $"host={Server.Folder} ")}{who}\", to: [local] }}");

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
