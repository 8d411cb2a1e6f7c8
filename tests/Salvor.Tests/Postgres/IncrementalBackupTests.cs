using Salvor.Files;
using Salvor.Postgres;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Protocol;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Trees;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Postgres;

/// <summary>
/// Base backups of real servers, one made of the other where the server can; older ones send all of it, and the backups are to be the same.
/// </summary>
public sealed class IncrementalBackupTests : IDisposable
{
    /// <summary>What is done to the cluster, each time with a backup after it.</summary>
    static readonly string[][] Work =
    [
        [
            "create table t as select i, md5(i::text) pad from generate_series(1, 60000) i",
            "create index on t (i)",
            "create table u tablespace aside as select i from generate_series(1, 20000) i",
            "create unlogged table v as select i from generate_series(1, 100) i",
            "create table w as select i from generate_series(1, 5000) i",
            "create table x as select i from generate_series(1, 30000) i",
            "create table y as select i from generate_series(1, 50000) i",
            "vacuum",
        ],
        ["update t set pad = 'changed' where i % 2400 < 3", "insert into u select i from generate_series(1, 3000) i"],
        ["truncate x", "insert into x values (1)", "delete from y where i > 700", "vacuum y"],
        [
            "drop table w", "create table w2 as select i from generate_series(1, 9000) i", "update u set i = 0 where i % 500 = 0",
            "create database other strategy file_copy", "create database logged", "insert into y select i from generate_series(1, 20000) i",
        ],
        ["vacuum full t", "truncate v", "create table z tablespace aside as select 1 one", "alter table w2 set tablespace aside"],
        [],
    ];

    /// <summary>After which of it a relation has lost its end, which no summary says yet.</summary>
    const int Cut = 2;

    static readonly bool IsKept = PostgresServer.Major >= 17;

    readonly ScratchDirectory scratch = new();
    readonly MemoryStore store = new();
    readonly List<string> told = [];

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => scratch.Dispose();

    [Fact]
    public async Task Each_backup_of_a_chain_is_whole_and_recovers_to_what_the_server_has()
    {
        await using var server = await StartAsync();
        var space = scratch.Subdirectory("space");
        await PostgresServer.OwnAsync(space);
        await server.SqlAsync($"create tablespace aside location '{space}'");
        var vault = await VaultAsync();
        // Where each reads all of it, one after another is as good as many.
        foreach (var (index, statements) in Work.Take(IsKept ? Work.Length : 2).Index())
        {
            await RunAsync(server, statements);
            var made = await BackUpAsync(vault, server);
            TestContext.Current.TestOutputHelper!.WriteLine(
                $"{made.Record.Mode}: {made.SentBytes} of {made.Record.SizeBytes} sent, {made.Record.AddedBytes} stored {made.WhyWhole}");
            Assert.Equal(IsKept && index is not (0 or Cut) ? "incremental" : "full", made.Record.Mode);
            Assert.Equal(IsKept && index == Cut, made.WhyWhole.EndsWith("was cut off meanwhile", StringComparison.Ordinal));
            await ExpectWholeAsync(vault, made.Record, server, $"restored{index}");
        }

        Assert.Equal(IsKept ? 1 : 0, told.Count);
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(Cancel)).Findings);
    }

    [Fact]
    public async Task Random_changes_between_backups_are_all_in_them()
    {
        var random = new Random(TestSeed.Take());
        await using var server = await StartAsync();
        await RunAsync(
            server, ["create table t as select i, md5(i::text) pad from generate_series(1, 40000) i", "create index on t (pad)", "vacuum"]);
        var vault = await VaultAsync();
        CompletedBackup? last = null;
        for (var i = 0; i < (IsKept ? 5 : 2); i++)
        {
            string[] statements =
            [
                .. Enumerable.Range(0, random.Next(4)).Select(_ => random.Next(6) switch
                {
                    0 => $"delete from t where i between {random.Next(40000)} and {random.Next(40000)}",
                    1 => $"insert into t select i, md5(i::text) from generate_series(1, {random.Next(9000)}) i",
                    2 => "vacuum t",
                    3 => "checkpoint",
                    4 => $"update t set pad = '{random.Next()}' where i % {random.Next(1, 9000)} = 0",
                    _ => $"delete from t where i > {random.Next(40000)}",
                }),
            ];
            TestContext.Current.TestOutputHelper!.WriteLine(string.Join("; ", statements));
            await RunAsync(server, statements);
            last = await BackUpAsync(vault, server);
        }

        Assert.Equal(IsKept ? "incremental" : "full", last!.Record.Mode);
        await ExpectWholeAsync(vault, last.Record, server, "restored");
    }

    [Fact]
    public async Task Rows_that_a_table_lost_do_not_come_back_where_it_grows_again()
    {
        await using var server = await StartAsync();
        await RunAsync(server, ["create table t as select i, repeat('x', 700) pad from generate_series(1, 20000) i", "vacuum"]);
        var vault = await VaultAsync();
        await BackUpAsync(vault, server);

        // Many rows at once make it longer than they need, by pages that are in no log.
        await RunAsync(
            server,
            [
                "delete from t where i > 700", "vacuum t",
                "copy t from program 'for i in $(seq 30001 31400); do printf \"%s\\t%0700d\\n\" $i 0; done'", "checkpoint",
            ]);
        var made = await BackUpAsync(vault, server);

        Assert.Equal(IsKept ? "incremental" : "full", made.Record.Mode);
        await ExpectWholeAsync(vault, made.Record, server, "restored");
    }

    [Fact]
    public async Task A_backup_has_the_files_that_the_programs_of_PostgreSQL_make()
    {
        await using var server = await StartAsync();
        await RunAsync(
            server, ["create table t as select i, md5(i::text) pad from generate_series(1, 60000) i", "create index on t (i)", "vacuum"]);
        var vault = await VaultAsync();
        await BackUpAsync(vault, server);
        await PostgresServer.OwnAsync(scratch.Subdirectory("own"));
        await OwnBackupAsync(server, "own/0");
        await RunAsync(server, ["update t set pad = 'x' where i % 2000 = 0", "delete from t where i > 50000", "vacuum t", "checkpoint"]);
        var made = await BackUpAsync(vault, server);
        var theirs = "own/1";
        if (IsKept)
        {
            await OwnBackupAsync(server, theirs, "--incremental", scratch["own/0/backup_manifest"]);
            await ExpectAsync("pg_combinebackup", "-N", scratch["own/0"], scratch[theirs], "-o", scratch["own/whole"]);
            theirs = "own/whole";
            Assert.True(made.SentBytes < made.Record.SizeBytes / 3, $"{made.SentBytes} of {made.Record.SizeBytes}");
        }
        else
        {
            await OwnBackupAsync(server, theirs);
        }

        await RestoreAsync(vault, made.Record, "ours");
        var compared = await ChildProcess.RunAsync("diff", ["-rq", scratch[$"{theirs}/base"], scratch["ours/data/base"]]);
        Assert.True(compared.ExitCode == 0, $"{compared}");
    }

    [Fact]
    public async Task A_full_backup_is_made_where_an_incremental_one_would_be_wrong_or_was_not_asked_for()
    {
        await using var server = await StartAsync();
        await RunAsync(server, ["create table t as select i from generate_series(1, 20000) i", "vacuum"]);
        var vault = await VaultAsync();
        Assert.Equal(IsKept ? "there is none before it" : Old, (await BackUpAsync(vault, server)).WhyWhole);
        var asked = await BackUpAsync(vault, server, mode: "full");
        Assert.Equal(("full", "that was asked for"), (asked.Record.Mode, asked.WhyWhole));
        Assert.Equal("full_every is 0s", (await BackUpAsync(vault, server, fullEvery: TimeSpan.Zero)).WhyWhole);
        var old = await BackUpAsync(vault, server, fullEvery: TimeSpan.FromMilliseconds(1));
        Assert.Equal("full", old.Record.Mode);
        Assert.StartsWith(IsKept ? "the last full one is of 20" : Old, old.WhyWhole, StringComparison.Ordinal);
        Assert.Empty(told);

        await server.StopAsync();
        await ExpectAsync("pg_checksums", "--disable", "-D", server.Data);
        await server.StartAsync();
        var switched = await BackUpAsync(vault, server);
        Assert.Equal(IsKept ? "data_checksums of the server is off, and was on" : Old, switched.WhyWhole);
        Assert.Equal(
            IsKept
                ?
                [
                    "a full base backup is made in place of one of what changed since backup 4: "
                        + "data_checksums of the server is off, and was on",
                ]
                : [],
            told);

        // What is written while nobody summarizes, and removed before somebody does, is in no summary.
        await SummarizeAsync(server, "off", "wal_keep_size = 0");
        Assert.Equal(IsKept ? "summarize_wal of the server is off" : Old, (await BackUpAsync(vault, server)).WhyWhole);
        await server.SqlAsync("select pg_drop_replication_slot(slot_name) from pg_replication_slots");
        for (var i = 0; i < 3; i++)
        {
            await RunAsync(server, ["insert into t values (1)", "select pg_switch_wal()", "checkpoint"]);
        }

        await SummarizeAsync(server, "on", "wal_keep_size = 64MB");
        told.Clear();
        var unsummarized = await BackUpAsync(vault, server);
        Assert.Contains(IsKept ? "WAL summaries are required on timeline 1 from " : Old, unsummarized.WhyWhole, StringComparison.Ordinal);
        Assert.Equal(IsKept, told.Any(line => line.Contains("WAL summaries are required", StringComparison.Ordinal)));
        await ExpectWholeAsync(vault, unsummarized.Record, server, "restored");
    }

    static async Task SummarizeAsync(PostgresServer server, string summarize, string setting)
    {
        await server.ConfigureAsync(IsKept ? $"summarize_wal = {summarize}" : "", setting);
        await server.StopAsync();
        await server.StartAsync();
    }

    [Fact]
    public async Task A_damaged_page_leaves_no_backup_where_the_server_reads_it()
    {
        await using var server = await StartAsync();
        await RunAsync(server, ["create table t as select i, md5(i::text) from generate_series(1, 60000) i", "vacuum"]);
        var path = await server.SqlAsync("select pg_relation_filepath('t')");
        var vault = await VaultAsync();
        await BackUpAsync(vault, server);
        await server.StopAsync();
        await using (var file = File.OpenWrite(Path.Combine(server.Data, path)))
        {
            file.Position = (100 * 8192) + 5000;
            file.Write("damage"u8);
        }

        await server.StartAsync();
        await RunAsync(server, ["update t set md5 = 'x' where ctid = '(0,1)'"]);

        // Of this page an older version is there, which is whole: nothing of it is read.
        if (IsKept)
        {
            Assert.Equal("incremental", (await BackUpAsync(vault, server)).Record.Mode);
        }

        var failed = await Assert.ThrowsAsync<PostgresException>(() => BackUpAsync(vault, server, mode: "full"));
        Assert.Contains($"checksum verification failed in file \"./{path}\", block 100: ", failed.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_page_of_the_backup_before_that_is_damaged_makes_the_next_a_full_one_that_is_whole()
    {
        await using var server = await StartAsync();
        await RunAsync(server, ["create table t as select i, md5(i::text) pad from generate_series(1, 60000) i", "vacuum"]);
        var vault = await VaultAsync();
        await BackUpAsync(vault, server);
        await RunAsync(server, ["update t set pad = 'x' where i % 900 = 0"]);
        var packs = await store.ListAsync($"pg/{VaultKeys.Packs}", after: null, Cancel).ToListAsync(Cancel);
        var pack = packs.MaxBy(row => row.SizeBytes);
        var bytes = new byte[pack.SizeBytes];
        await store.ReadAsync(pack.Key, 0, bytes, Cancel);
        bytes[bytes.Length / 2] ^= 1;
        await store.ReplaceAsync(pack.Key, bytes, Cancel);

        var made = await BackUpAsync(vault, server);
        Assert.Equal("full", made.Record.Mode);

        // One that is full from the start reads no pages of the vault.
        if (IsKept)
        {
            Assert.Matches(
                "^a full base backup is made in place of one .* backup 1: object packs/[0-9a-f]+ is damaged: ", Assert.Single(told));
            await ExpectWholeAsync(vault, made.Record, server, "restored");
        }
    }

    [Fact]
    public async Task A_backup_that_was_ended_in_between_is_in_no_ones_way()
    {
        await using var server = await StartAsync();
        await RunAsync(server, ["create table t as select i, md5(i::text) pad from generate_series(1, 60000) i", "vacuum"]);
        var vault = await VaultAsync();
        await BackUpAsync(vault, server);
        await RunAsync(server, ["update t set pad = 'x' where i % 900 = 0"]);
        foreach (var phase in (string[])["waiting for a checkpoint", "backing up", "storing the last of it"])
        {
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            await Assert.ThrowsAnyAsync<OperationCanceledException>(
                () => BackUpAsync(vault, server, ending: ending, phase: phase));
        }

        await RunAsync(server, ["update t set pad = 'y' where i % 700 = 0"]);
        var made = await BackUpAsync(vault, server);
        Assert.Equal((2UL, IsKept ? "incremental" : "full"), (made.Record.Id, made.Record.Mode));
        Assert.Empty(Directory.GetFiles(scratch["spool/scratch"]));
        await ExpectWholeAsync(vault, made.Record, server, "restored");
    }

    static string Old => $"PostgreSQL {PostgresServer.Major} does not keep what changed";

    Task<PostgresServer> StartAsync() => PostgresServer.StartAsync(
        scratch, "pg", "wal_keep_size = 256MB", IsKept ? "summarize_wal = on" : "", "wal_compression = on");

    static async Task RunAsync(PostgresServer server, string[] statements)
    {
        foreach (var statement in statements)
        {
            await server.SqlAsync(statement);
        }
    }

    Task<VaultAccess> VaultAsync() => VaultAccess.OpenOrCreateAsync(
        store, "pg", VaultIdentity.Postgres, "pg", null, TimeProvider.System, Cancel);

    Task<CompletedBackup> BackUpAsync(
        VaultAccess vault, PostgresServer server, string mode = "incremental", TimeSpan? fullEvery = null,
        CancellationTokenSource? ending = null, string phase = "")
    {
        var options = new WalReceiverOptions
        {
            Server = server.Connection, Folder = scratch["spool"], PublishEvery = TimeSpan.FromMilliseconds(50),
        };
        return new CompleteBackup(vault, options, TimeProvider.System)
        {
            FullEvery = fullEvery ?? TimeSpan.FromDays(7),
            Told = told.Add,
            Progressed = progress =>
            {
                if (progress.Phase == phase)
                {
                    ending!.Cancel();
                }
            },
        }.RunAsync(new BackupRequest("", mode, null), ending?.Token ?? Cancel);
    }

    Task OwnBackupAsync(PostgresServer server, string name, params string[] more) => ExpectAsync(
        "pg_basebackup", ["-h", server.Folder, "-p", $"{server.Port}", "-U", "postgres", "-c", "fast", "-N", "-D", scratch[name], .. more]);

    async Task<PostgresServer> RestoreAsync(VaultAccess vault, BackupRecord record, string name)
    {
        var restored = await PostgresServer.AtAsync(scratch, name);
        var snapshot = await TreeBackups.OpenAsync(vault, record, Cancel);
        await new TreeRestorer(snapshot, new TreeRestoreOptions { Flushes = false }).RunAsync(restored.Data, Cancel);
        return restored;
    }

    /// <summary>Restores a backup, lets PostgreSQL judge the files, recovers it, and compares what is in it with the server.</summary>
    async Task ExpectWholeAsync(VaultAccess vault, BackupRecord record, PostgresServer server, string name)
    {
        await using var restored = await RestoreAsync(vault, record, name);
        foreach (var folder in Directory.GetDirectories(Path.Combine(restored.Data, "pg_tblspc")))
        {
            var moved = scratch[$"{name}.moved"];
            Directory.Move(folder, moved);
            await File.WriteAllTextAsync(
                Path.Combine(restored.Data, "tablespace_map"), $"{Path.GetFileName(folder)} {moved}\n", Cancel);
            File.CreateSymbolicLink(folder, moved);
            await PostgresServer.OwnAsync(moved);
        }

        await PostgresServer.OwnAsync(restored.Data);
        await ExpectAsync("pg_verifybackup", "-n", "-i", "tablespace_map", restored.Data);
        foreach (var segment in Directory.GetFiles(server.Wal))
        {
            File.Copy(segment, Path.Combine(restored.Wal, Path.GetFileName(segment)));
        }

        await PostgresServer.OwnAsync(restored.Data);
        await restored.StartAsync();
        Assert.Equal(await DumpAsync(server), await DumpAsync(restored));
        await ExpectAsync(
            "pg_amcheck", "-h", restored.Folder, "-p", $"{restored.Port}", "-U", "postgres", "-d", "postgres", "--install-missing",
            "--heapallindexed");

        // What the maps say to be visible to all is not looked at by who asks for it.
        Assert.Equal("0", await restored.SqlAsync(
            "create extension pg_visibility; select count(*) from pg_class c, lateral (select pg_check_visible(c.oid) "
                + "union all select pg_check_frozen(c.oid)) wrong where c.relkind in ('r', 't', 'm')"));
    }

    static async Task<string> DumpAsync(PostgresServer server)
    {
        var dump = await PostgresServer.RunAsync(
            "pg_dumpall", "-h", server.Folder, "-p", $"{server.Port}", "-U", "postgres", "--no-tablespaces", "--no-unlogged-table-data");
        Assert.True(dump.ExitCode == 0, $"{dump}");

        // Its newer versions print a key of each run.
        return string.Join('\n', dump.Stdout.Split('\n').Where(line => !line.Contains("restrict ", StringComparison.Ordinal)));
    }

    static async Task ExpectAsync(string program, params string[] arguments)
    {
        var result = await PostgresServer.RunAsync(program, arguments);
        Assert.True(result.ExitCode == 0, $"{program}: {result}");
    }
}
