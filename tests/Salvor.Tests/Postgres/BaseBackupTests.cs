using System.Globalization;
using System.Text;
using Salvor.Files;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Protocol;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Pruning;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>Base backups of real servers in a vault, restored and judged by PostgreSQL's own programs.</summary>
public sealed class BaseBackupTests : IDisposable
{
    readonly ScratchDirectory scratch = new();
    readonly List<string> asked = [];
    readonly MemoryStore store = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => scratch.Dispose();

    [Fact]
    public async Task A_backup_is_restored_as_the_server_had_it_and_starts_from_the_log_of_the_vault()
    {
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 64MB");
        var space = scratch.Subdirectory("space");
        await PostgresServer.OwnAsync(space);
        await server.SqlAsync($"CREATE TABLESPACE aside LOCATION '{space}'");
        await server.SqlAsync("CREATE TABLE t AS SELECT g, repeat('x', g % 100) FROM generate_series(1, 50000) g");
        await server.SqlAsync("CREATE TABLE u TABLESPACE aside AS SELECT g FROM generate_series(1, 7000) g");
        await server.SqlAsync("CREATE UNLOGGED TABLE v AS SELECT g FROM generate_series(1, 10) g");
        await using var replication = await OpenAsync(server);
        var (vault, branch) = await VaultAsync(replication);
        var backup = await BackUpAsync(vault, replication, branch);
        Assert.Equal((branch, 1u), (backup.Branch, backup.Timeline));
        Assert.True(backup.Log.First < backup.Log.End);

        // What it needs is not in the vault yet.
        var request = new BackupRequest("ours", "full", RetentionDays: null);
        var none = await WalCatalog.LoadAsync(vault, Cancel);
        var early = await Assert.ThrowsAsync<SalvorException>(
            () => new BaseBackup(vault, TimeProvider.System).OfferAsync(backup, none, request, Cancel));
        Assert.Equal(FailureKind.NotRestorable, early.Kind);
        Assert.StartsWith($"the base backup of timeline 1 needs the log {backup.Log}, and vault ", early.Message, StringComparison.Ordinal);
        Assert.Empty((await VaultCatalog.LoadAsync(vault, Cancel)).Backups);

        await StoreLogAsync(vault, replication, branch, backup.Log);
        var record = await new BaseBackup(vault, TimeProvider.System)
            .OfferAsync(backup, await WalCatalog.LoadAsync(vault, Cancel), request, Cancel);
        Assert.Equal((backup.Log.End.Value, "ours"), (record.Position, record.Label));
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(Cancel)).Findings);

        await using var restored = await RestoreAsync(vault, record);
        await MoveTablespaceAsync(restored);
        var verified = await PostgresServer.RunAsync("pg_verifybackup", "-n", "-i", "tablespace_map", restored.Data);
        Assert.True(verified.ExitCode == 0, $"{verified}");

        foreach (var segment in Directory.GetFiles(server.Wal))
        {
            File.Copy(segment, Path.Combine(restored.Wal, Path.GetFileName(segment)));
        }

        await PostgresServer.OwnAsync(restored.Data);
        await restored.StartAsync();
        Assert.Equal(
            "50000|7000|0", await restored.SqlAsync("SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u), (SELECT count(*) FROM v)"));
        var checksums = await PostgresServer.RunAsync("pg_amcheck", "-h", restored.Folder, "-p", $"{restored.Port}", "-U", "postgres", "-d",
            "postgres", "--install-missing");
        Assert.True(checksums.ExitCode == 0, $"{checksums}");
    }

    [Fact]
    public async Task A_backup_that_a_prune_took_for_one_that_nobody_offers_is_offered_when_that_is_taken_back()
    {
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 64MB");
        await using var replication = await OpenAsync(server);
        var (vault, branch) = await VaultAsync(replication);
        var backup = await BackUpAsync(vault, replication, branch);
        await StoreLogAsync(vault, replication, branch, backup.Log);
        var (time, offering) = (new ManualTime(), new BaseBackup(vault, TimeProvider.System));
        time.Advance(TimeProvider.System.GetUtcNow() + TimeSpan.FromDays(2) - time.GetUtcNow());
        var pruner = new Pruner(vault, time);
        var (_, prune) = await pruner.CondemnAsync(new PrunePolicy(Ladder.Default), null, Pruner.GraceDefault, Cancel);
        Assert.NotNull(prune);

        var (log, request) = (await WalCatalog.LoadAsync(vault, Cancel), new BackupRequest("ours", "full", RetentionDays: null));
        var failure = await Assert.ThrowsAsync<SalvorException>(() => offering.OfferAsync(backup, log, request, Cancel));
        Assert.Equal(FailureKind.NotRestorable, failure.Kind);
        Assert.Equal(
            $"the base backup in vault {vault.Location} was condemned by a prune before its log had come", failure.Message);
        Assert.EndsWith("'salvor prune undelete' takes back what the prune condemned.", failure.Hint, StringComparison.Ordinal);
        Assert.Empty((await VaultCatalog.LoadAsync(vault, Cancel)).Backups);

        await pruner.UndeleteAsync(prune.Value, Cancel);
        await offering.OfferAsync(backup, log, request, Cancel);
        Assert.Single((await VaultCatalog.LoadAsync(vault, Cancel)).Backups);
    }

    [Fact]
    public async Task A_second_backup_stores_what_changed()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        await server.SqlAsync("CREATE TABLE t AS SELECT g, md5(g::text) FROM generate_series(1, 100000) g");

        // Whoever reads a row first notes on its page that it is committed: without this, the change below would be one of all pages.
        await server.SqlAsync("VACUUM t");
        await using var replication = await OpenAsync(server);
        var (vault, branch) = await VaultAsync(replication);
        var first = await BackUpAsync(vault, replication, branch);
        var second = await BackUpAsync(vault, replication, branch);
        Assert.Equal(first.Totals.Files, second.Totals.Files);
        TestContext.Current.TestOutputHelper!.WriteLine($"{first.StoredBytes} {second.StoredBytes}");
        await ExpectCutAtPagesAsync(vault, second, await server.SqlAsync("SELECT pg_relation_filepath('t')"));
        Assert.True(second.StoredBytes < first.StoredBytes / 10, $"{first.StoredBytes}, then {second.StoredBytes}");

        // One row on one page, and the pages that say so.
        await server.SqlAsync("UPDATE t SET md5 = 'changed' WHERE g = 5");
        var third = await BackUpAsync(vault, replication, branch);
        TestContext.Current.TestOutputHelper!.WriteLine($"{third.StoredBytes}");
        Assert.True(third.StoredBytes < first.StoredBytes / 10, $"{first.StoredBytes}, then {third.StoredBytes}");
        Assert.True(third.Log.First > second.Log.End);
    }

    [Fact]
    public async Task A_damaged_page_leaves_no_backup()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        await server.SqlAsync("CREATE TABLE t AS SELECT g FROM generate_series(1, 50000) g");
        var path = await server.SqlAsync("SELECT pg_relation_filepath('t')");
        await server.StopAsync();
        await using (var file = File.OpenWrite(Path.Combine(server.Data, path)))
        {
            file.Position = (3 * 8192) + 5000;
            file.Write("damage"u8);
        }

        await server.StartAsync();
        await using var replication = await OpenAsync(server);
        var (vault, branch) = await VaultAsync(replication);
        var damaged = await Assert.ThrowsAsync<PostgresException>(() => BackUpAsync(vault, replication, branch));
        Assert.Contains($"checksum verification failed in file \"./{path}\", block 3: ", damaged.Message, StringComparison.Ordinal);
        Assert.Empty((await VaultCatalog.LoadAsync(vault, Cancel)).Snapshots);
        Assert.Empty(Directory.GetFiles(scratch.Path));
    }

    [Fact]
    public async Task A_server_of_another_timeline_is_not_backed_up_into_this_one()
    {
        await using var server = await PostgresServer.StartAsync(scratch);
        await using var replication = await OpenAsync(server);
        var (vault, branch) = await VaultAsync(replication);
        var wrong = await Assert.ThrowsAsync<SalvorException>(() => BackUpAsync(vault, replication, branch + 1));
        Assert.EndsWith($"is on timeline 1, which is not that of branch {branch + 1}", wrong.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("../up", '0', "content", "an entry has the path ../up")]
    [InlineData("/etc/passwd", '0', "content", "an entry has the path /etc/passwd")]
    [InlineData("base/../../up", '0', "content", "an entry has the path base/../../up")]
    [InlineData("a//b", '0', "content", "an entry has the path a//b")]
    [InlineData("device", '3', "", "device is of kind '3'")]
    [InlineData("hard", '1', "", "hard is of kind '1'")]
    [InlineData("PG_VERSION", '0', "15\n", "PG_VERSION comes twice")]
    [InlineData("postgresql.auto.conf", '2', "/etc/shadow", "postgresql.auto.conf is a link, and none to a tablespace")]
    [InlineData("pg_tblspc/1/x", '2', "/etc", "pg_tblspc/1/x is a link, and none to a tablespace")]
    [InlineData("more", '0', "content", "more is not in its manifest")]
    public async Task What_no_server_sends_is_refused(string path, char type, string content, string what)
    {
        var tar = new TarText().Add("PG_VERSION", '0', "15\n").Add(path, type, content).End();
        Assert.EndsWith($"not what a server sends: {what}", (await RefusedAsync(tar, Manifest())).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Content_that_was_changed_on_its_way_is_refused()
    {
        var tar = new TarText().Add("PG_VERSION", '0', "16\n").End();
        Assert.EndsWith(
            "PG_VERSION does not have the checksum that its manifest says", (await RefusedAsync(tar, Manifest())).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_file_in_a_file_is_refused()
    {
        var tar = new TarText().Add("PG_VERSION", '0', "15\n").Add("PG_VERSION/x", '0', "15\n").End();
        Assert.EndsWith(
            "PG_VERSION/x is in PG_VERSION, which is no directory",
            (await RefusedAsync(tar, Manifest("PG_VERSION", "PG_VERSION/x"))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Size\": 3", "Size\": 4", "PG_VERSION has 3 bytes, and its manifest says 4")]
    [InlineData("\"Checksum\": \"", "\"Checksum\": \"x", "its manifest has a name or a checksum that is no hexadecimal number")]
    [InlineData("\"Checksum\": \"", "\"Checksum\": \"00", "PG_VERSION does not have the checksum that its manifest says")]
    [InlineData("CRC32C", "NONE", "PG_VERSION does not have the checksum that its manifest says")]
    [InlineData("\"Path\": \"PG_VERSION", "\"Path\": \"absent", "absent is in its manifest and was not sent")]
    [InlineData("GMT", "UTC", "its manifest does not have the checksum that it says")]
    [InlineData("\"Files\"", "Files", "its manifest is no JSON: ")]
    public async Task What_differs_from_the_manifest_is_refused(string before, string after, string what)
    {
        var tar = new TarText().Add("PG_VERSION", '0', "15\n").End();
        var refused = await RefusedAsync(tar, Manifest().Replace(before, after, StringComparison.Ordinal));
        Assert.Contains($"not what a server sends: {what}", refused.Message, StringComparison.Ordinal);
        Assert.StartsWith("Nothing of it is offered. Make the backup again", refused.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_archive_that_ends_early_is_refused()
    {
        var tar = new TarText().Add("PG_VERSION", '0', "15\n").Add("base/1/2", '0', new string('x', 2000)).End()[..2000];
        Assert.EndsWith("an archive ends within base/1/2", (await RefusedAsync(tar, Manifest())).Message, StringComparison.Ordinal);
        tar = new TarText().Add("PG_VERSION", '0', "15\n").End();
        tar[3] ^= 1;
        Assert.EndsWith(
            "an archive has something else where an entry begins", (await RefusedAsync(tar, Manifest())).Message, StringComparison.Ordinal);
    }

    static async Task ExpectCutAtPagesAsync(VaultAccess vault, StoredBaseBackup backup, string path)
    {
        var snapshot = await TreeSnapshot.OpenAsync(
            vault, new SnapshotRef(backup.Branch, new Position(backup.Log.End.Value)), Cancel);
        await using var listing = snapshot.ReadListing();
        while (await listing.ReadAsync(Cancel) is { } entry)
        {
            if (Encoding.UTF8.GetString(entry.Name) == Path.GetFileName(path))
            {
                await using var content = new ChunkCursor(new ChunkReader(vault), snapshot.Details.Content);
                var chunks = await content.TakeAsync("", listing.ContentOffset, (ulong)entry.SizeBytes, Cancel);
                Assert.All(chunks.SkipLast(1), chunk => Assert.Equal(16384UL, chunk.Length));
                Assert.True(chunks.Count > 100);
                return;
            }
        }

        Assert.Fail($"{path} is not listed");
    }

    static Task<ReplicationConnection> OpenAsync(PostgresServer server) =>
        ReplicationConnection.OpenAsync(server.Connection, TimeProvider.System, Cancel);

    async Task<(VaultAccess Vault, uint Branch)> VaultAsync(ReplicationConnection replication)
    {
        var system = ulong.Parse((await replication.IdentifyAsync(Cancel)).SystemId, CultureInfo.InvariantCulture);
        return await VaultAsync(system);
    }

    async Task<(VaultAccess Vault, uint Branch)> VaultAsync(ulong system)
    {
        var vault = await VaultAccess.OpenOrCreateAsync(store, "pg", "postgres", "pg", TimeProvider.System, Cancel);
        return (vault, await WalBranches.EnsureAsync(vault, system, TimelineHistory.Read(1, default), TimeProvider.System, Cancel));
    }

    Task<StoredBaseBackup> BackUpAsync(VaultAccess vault, ReplicationConnection replication, uint branch) =>
        new BaseBackup(vault, TimeProvider.System) { ScratchFolder = scratch.Path }.RunAsync(
            replication, new BaseBackupOptions { Label = "test" }, branch, Cancel);

    static async Task StoreLogAsync(VaultAccess vault, ReplicationConnection replication, uint branch, WalRange range)
    {
        var identity = await replication.IdentifyAsync(Cancel);
        var segment = (uint)await replication.SegmentBytesAsync(Cancel);
        var writer = new WalWriter(
            vault, branch, identity.Timeline, new WalShape(ulong.Parse(identity.SystemId, CultureInfo.InvariantCulture), segment, 8192));
        var reader = await replication.ReceiveAsync(null, range.First.Floor(segment), identity.Timeline, Cancel);
        for (var end = Lsn.None; end < range.End;)
        {
            var piece = (await reader.ReadAsync(Cancel))!.Value;
            await writer.StoreAsync(piece.Start, piece.Bytes, piece.SentAt, piece.SentAt, Cancel);
            end = piece.End;
        }

        Assert.Null(writer.Problem);
        await reader.StopAsync(Cancel);
    }

    async Task<PostgresServer> RestoreAsync(VaultAccess vault, BackupRecord record)
    {
        var restored = await PostgresServer.AtAsync(scratch, "restored");
        var snapshot = await TreeBackups.OpenAsync(vault, record, Cancel);
        await new TreeRestorer(snapshot, new TreeRestoreOptions { Flushes = false }).RunAsync(restored.Data, Cancel);
        return restored;
    }

    /// <summary>What is below <c>pg_tblspc</c> goes where the map then says that it is.</summary>
    async Task MoveTablespaceAsync(PostgresServer restored)
    {
        var folder = Assert.Single(Directory.GetDirectories(Path.Combine(restored.Data, "pg_tblspc")));
        var moved = scratch["moved"];
        Directory.Move(folder, moved);
        await File.WriteAllTextAsync(Path.Combine(restored.Data, "tablespace_map"), $"{Path.GetFileName(folder)} {moved}\n", Cancel);
        File.CreateSymbolicLink(folder, moved);
        await PostgresServer.OwnAsync(restored.Data);
        await PostgresServer.OwnAsync(moved);
    }

    /// <summary>A manifest of files with the same content, as a server writes it.</summary>
    static string Manifest(params string[] paths)
    {
        var crc = Convert.ToHexStringLower(BitConverter.GetBytes(Salvor.Vault.Format.Checksum.Crc32C("15\n"u8)));
        var files = (paths.Length == 0 ? ["PG_VERSION"] : paths).Select(path =>
            $"{{ \"Path\": \"{path}\", \"Size\": 3, \"Last-Modified\": \"2026-01-01 00:00:00 GMT\", "
                + $"\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{crc}\" }}");
        var text = $"{{ \"PostgreSQL-Backup-Manifest-Version\": 1,\n\"Files\": [\n{string.Join(",\n", files)}\n],\n\"WAL-Ranges\": [\n"
            + "{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n";
        var hash = System.Security.Cryptography.SHA256.HashData(Encoding.UTF8.GetBytes(text));
        return text + $"\"Manifest-Checksum\": \"{Convert.ToHexStringLower(hash)}\"}}\n";
    }

    [Fact]
    public async Task What_a_scripted_server_sends_right_is_stored()
    {
        var tar = new TarText().Add("PG_VERSION", '0', "15\n").End();
        var backup = await ScriptedAsync(tar, Manifest());
        Assert.Equal((2, "0/2000028-0/2000100"), (backup.Totals.Files, $"{backup.Log}"));
        Assert.Equal([true, false], asked.Select(command => command.Contains("COMPRESSION 'lz4'", StringComparison.Ordinal)));
    }

    Task<SalvorException> RefusedAsync(byte[] tar, string manifest) =>
        Assert.ThrowsAsync<SalvorException>(() => ScriptedAsync(tar, manifest));

    /// <summary>By a server that was built without the compression that is asked for first.</summary>
    async Task<StoredBaseBackup> ScriptedAsync(byte[] tar, string manifest)
    {
        await using var server = new ScriptedPostgres(async stream =>
        {
            await ScriptedPostgres.WelcomeAsync(stream, "17.1");
            asked.Add(Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)));
            await stream.WriteAsync((byte[])
            [
                .. ScriptedPostgres.Message('E', "SERROR\0VERROR\0C0A000\0Mlz4 compression is not supported by this build\0\0"),
                .. ScriptedPostgres.Ready,
            ]);
            asked.Add(Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)));
            await stream.WriteAsync((byte[])
            [
                .. ScriptedPostgres.Rows(["recptr", "tli"], ["0/2000028", "1"]),
                .. ScriptedPostgres.Rows(["spcoid", "spclocation", "size"], [null, null, "34"]),
                .. ScriptedPostgres.Message('H', "\0\0\0"), .. ScriptedPostgres.Message('d', "nbase.tar\0\0"),
                .. tar.Chunk(700).SelectMany(piece => ScriptedPostgres.Message('d', "d", piece)),
                .. ScriptedPostgres.Message('d', "m"), .. ScriptedPostgres.Message('d', "d", manifest), .. ScriptedPostgres.Message('c'),
                .. ScriptedPostgres.Rows(["recptr", "tli"], ["0/2000100", "1"]), .. ScriptedPostgres.Message('C', "BASE_BACKUP\0"),
                .. ScriptedPostgres.Ready,
            ]);
        });
        await using var replication = await ReplicationConnection.OpenAsync(server.Settings(), TimeProvider.System, Cancel);
        var (vault, branch) = await VaultAsync(7);
        return await BackUpAsync(vault, replication, branch);
    }

    /// <summary>Writes an archive by hand, with what no library would write.</summary>
    sealed class TarText
    {
        readonly List<byte> bytes = [];

        /// <param name="path">Of the entry.</param>
        /// <param name="type">As a header says it.</param>
        /// <param name="content">Of a link: where it leads.</param>
        public TarText Add(string path, char type, string content)
        {
            var header = new byte[512];
            if (type == '2')
            {
                Put(157, content);
                content = "";
            }

            Put(0, path);
            Put(100, "0000600\0");
            Put(108, "0000000\0");
            Put(116, "0000000\0");
            Put(124, Convert.ToString(content.Length, 8).PadLeft(11, '0'));
            Put(136, "00000000000");
            Put(148, "        ");
            header[156] = (byte)type;
            Put(257, "ustar\00000");
            Put(148, Convert.ToString(header.Sum(value => value), 8).PadLeft(6, '0') + "\0 ");
            bytes.AddRange([.. header, .. Encoding.ASCII.GetBytes(content), .. new byte[-content.Length & 511]]);
            return this;

            void Put(int at, string text) => Encoding.ASCII.GetBytes(text).CopyTo(header, at);
        }

        public byte[] End() => [.. bytes, .. new byte[1024]];
    }
}
