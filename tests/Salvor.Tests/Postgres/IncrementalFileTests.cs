using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Protocol;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>What is made of files that are sent in part, compared with a plain model.</summary>
public sealed class IncrementalFileTests : IDisposable
{
    const int SegmentBlocks = 64;
    const string Path = "base/5/1";

    readonly ScratchDirectory scratch = new();
    readonly MemoryStore store = new();
    readonly List<string[]> cut = [];

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => scratch.Dispose();

    [Theory]
    [InlineData(1024)]
    [InlineData(8192)]
    [InlineData(16384)]
    public async Task What_is_sent_in_part_is_stored_as_the_whole_that_it_stands_for(int blockBytes)
    {
        var random = new Random(TestSeed.Take());
        var whole = new Dictionary<string, byte[]>
        {
            ["backup_label"] = "START WAL LOCATION: 0/2000028\n"u8.ToArray(),
            ["global/pg_control"] = ScriptedBackup.Control(blockBytes, SegmentBlocks),
        };
        for (var i = 0; i < 30; i++)
        {
            whole[$"base/5/{i}"] = Bytes(random, random.Next(SegmentBlocks + 1) * blockBytes);
        }

        // A server reads its directories in any order.
        var parent = await BackUpAsync(new ScriptedBackup(Shuffled(random, whole)), parent: null, 0);
        for (var round = 1; round <= 4; round++)
        {
            var sent = new Dictionary<string, byte[]>();
            foreach (var path in whole.Keys.Where(path => path.StartsWith("base/", StringComparison.Ordinal)).ToList())
            {
                Change(random, path, whole, sent, blockBytes);
            }

            sent["backup_label"] = [.. whole["backup_label"], .. "INCREMENTAL FROM LSN: 0/1\nINCREMENTAL FROM TLI: 1\n"u8];
            sent["global/pg_control"] = whole["global/pg_control"];
            parent = await BackUpAsync(new ScriptedBackup(Shuffled(random, sent)), parent, round);
            await ExpectAsync(parent, whole, sent);
        }
    }

    [Theory]
    [InlineData(0, 0x12345678u, "what is sent of base/5/1 begins with 12345678")]
    [InlineData(1, 3u, "what is sent of base/5/1 has 3 pages in 24576 bytes, and is truncated to 5 pages")]
    [InlineData(1, 0xFFFFFFFFu, "what is sent of base/5/1 has 4294967295 pages in 24576 bytes, and is truncated to 5 pages")]
    [InlineData(1, 0u, "what is sent of base/5/1 has 0 pages in 24576 bytes, and is truncated to 5 pages")]
    [InlineData(2, 65u, "what is sent of base/5/1 has 2 pages in 24576 bytes, and is truncated to 65 pages")]
    [InlineData(2, 0xFFFFFFFFu, "what is sent of base/5/1 has 2 pages in 24576 bytes, and is truncated to 4294967295 pages")]
    [InlineData(3, 4u, "what is sent of base/5/1 has page 4 behind page 4")]
    [InlineData(3, 9u, "what is sent of base/5/1 has page 4 behind page 9")]
    [InlineData(4, 64u, "what is sent of base/5/1 has page 64 behind page 2")]
    public async Task A_header_that_no_server_sends_is_refused(int at, uint value, string what)
    {
        var part = ScriptedBackup.Part(5, [2, 4], [new byte[8192], new byte[8192]], 8192);
        BinaryPrimitives.WriteUInt32LittleEndian(part.AsSpan(at * sizeof(uint)), value);
        var refused = await RefusedAsync("base/5/INCREMENTAL.1", part);
        Assert.Equal($"the base backup is not what a server sends: {what}", refused.Reason);
        Assert.Equal($"no incremental backup can be made: {refused.Reason}", refused.Message);
    }

    [Fact]
    public async Task A_part_of_nothing_and_no_part_are_refused()
    {
        var unknown = await RefusedAsync("base/5/INCREMENTAL.2", ScriptedBackup.Part(0, [], [], 8192));
        Assert.EndsWith("base/5/2 is sent in part, and the backup before it has none of it", unknown.Reason, StringComparison.Ordinal);
        var small = await RefusedAsync("base/5/INCREMENTAL.1", new byte[11], 2);
        Assert.EndsWith("what is sent of base/5/1 has 11 bytes", small.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_part_that_was_changed_on_its_way_is_refused()
    {
        var files = Sent("base/5/INCREMENTAL.1", ScriptedBackup.Part(5, [2], [new byte[8192]], 8192));
        var manifest = ScriptedBackup.ManifestOf(files);
        files["base/5/INCREMENTAL.1"] = ScriptedBackup.Part(5, [2], [[1, .. new byte[8191]]], 8192);
        var parent = await BackUpAsync(Base(), parent: null, 0);
        var refused = await Assert.ThrowsAsync<NotIncrementalException>(
            () => BackUpAsync(new ScriptedBackup(files) { Manifest = manifest }, parent, 1));
        Assert.EndsWith("base/5/1 does not have the checksum that its manifest says", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_manifest_that_cannot_be_made_whole_is_refused()
    {
        var files = Sent("base/5/INCREMENTAL.1", ScriptedBackup.Part(5, [2], [new byte[8192]], 8192));
        var lines = ScriptedBackup.ManifestOf(files).Split('\n')[..^2];
        var manifest = ScriptedBackup.Signed(
            string.Join('\n', lines).Replace("\"Path\": \"base", "\n\"Path\": \"base", StringComparison.Ordinal) + "\n");
        var parent = await BackUpAsync(Base(), parent: null, 0);
        var refused = await Assert.ThrowsAsync<NotIncrementalException>(
            () => BackUpAsync(new ScriptedBackup(files) { Manifest = manifest }, parent, 1));
        Assert.EndsWith("its manifest does not have each file on a line", refused.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_page_of_the_backup_before_that_is_damaged_is_never_made_use_of()
    {
        // As much as several frames of a pack, so that what is not of relations is in another one.
        var random = new Random(TestSeed.Take());
        var (files, parts) = (new Dictionary<string, byte[]>(), new Dictionary<string, byte[]>());
        for (var i = 0; i < 12; i++)
        {
            files[$"base/5/{i}"] = Bytes(random, SegmentBlocks * 8192);
            parts[$"base/5/INCREMENTAL.{i}"] = ScriptedBackup.Part(
                SegmentBlocks, [.. Enumerable.Range(0, SegmentBlocks / 2).Select(at => 2 * (uint)at)],
                Enumerable.Repeat(new byte[8192], SegmentBlocks / 2), 8192);
        }

        files["global/pg_control"] = parts["global/pg_control"] = ScriptedBackup.Control(8192, SegmentBlocks);
        var parent = await BackUpAsync(new ScriptedBackup(files), parent: null, 0);
        var sent = new ScriptedBackup(parts);
        var packs = await store.ListAsync($"pg/{VaultKeys.Packs}", after: null, Cancel).ToListAsync(Cancel);
        var pack = packs.MaxBy(row => row.SizeBytes);
        var bytes = new byte[pack.SizeBytes];
        await store.ReadAsync(pack.Key, 0, bytes, Cancel);
        bytes[bytes.Length / 2] ^= 1;
        await store.ReplaceAsync(pack.Key, bytes, Cancel);

        var read = await Assert.ThrowsAsync<NotIncrementalException>(() => BackUpAsync(sent, parent, 1));
        var key = pack.Key["pg/".Length..];
        Assert.Equal((key, true), (read.DamagedKey, read.IsSending));
        Assert.StartsWith($"object {key} is damaged: ", read.Reason, StringComparison.Ordinal);

        // Where a verification found it, nobody has to send anything.
        var known = await Assert.ThrowsAsync<NotIncrementalException>(() => BackUpAsync(sent, parent, 1, key));
        Assert.Equal((key, false), (known.DamagedKey, known.IsSending));
        Assert.Matches($"^object {key} is damaged: chunk [0-9a-f]+ is in no pack that is whole$", known.Reason);
        await BackUpAsync(Base(), parent: null, 2, key);
    }

    [Fact]
    public async Task A_server_that_switched_checksums_is_asked_for_all()
    {
        var parent = await BackUpAsync(Base(), parent: null, 0);
        var refused = await Assert.ThrowsAsync<NotIncrementalException>(() => BackUpAsync(Base() with { Checksums = "off" }, parent, 1));
        Assert.Equal("data_checksums of the server is off, and was on", refused.Reason);
    }

    [Fact]
    public async Task Pages_that_a_chunk_does_not_hold_make_no_incremental_backup()
    {
        var parent = await BackUpAsync(
            new ScriptedBackup(new Dictionary<string, byte[]> { ["global/pg_control"] = ScriptedBackup.Control(32768, SegmentBlocks) }),
            parent: null, 0);
        var refused = await Assert.ThrowsAsync<NotIncrementalException>(
            () => BackUpAsync(new ScriptedBackup(Sent("a", [])), parent, 1));
        Assert.Equal("its pages are of an unusual kind", refused.Reason);
    }

    [Theory]
    [InlineData("5", "1", true)]
    [InlineData("5", "2", false)]
    [InlineData("0", "1", false)]
    public async Task A_relation_that_was_cut_is_not_put_together(string database, string relation, bool isRefused)
    {
        var parent = await BackUpAsync(Base(), parent: null, 0);
        cut.Add([database, relation]);
        var part = ScriptedBackup.Part(5, [], [], 8192);
        var made = await Record.ExceptionAsync(
            () => BackUpAsync(new ScriptedBackup(Sent("base/5/INCREMENTAL.1", part)), parent, 1));
        Assert.Equal(isRefused, made is not null);
        Assert.True(made is null or NotIncrementalException, $"{made}");
        Assert.Equal(isRefused ? "the end of base/5/1 was cut off meanwhile" : null, (made as NotIncrementalException)?.Reason);
        Assert.Equal(isRefused, made is not null);
    }

    static Dictionary<string, byte[]> Sent(string path, byte[] content) => new()
    {
        [path] = content, ["global/pg_control"] = ScriptedBackup.Control(8192, SegmentBlocks),
    };

    static ScriptedBackup Base() => new(Sent(Path, new byte[5 * 8192]));

    async Task<NotIncrementalException> RefusedAsync(string path, byte[] content, int number = 0)
    {
        var parent = await BackUpAsync(Base(), parent: null, number);
        return await Assert.ThrowsAsync<NotIncrementalException>(
            () => BackUpAsync(new ScriptedBackup(Sent(path, content)), parent, number + 1));
    }

    /// <summary>Makes up what a server has of a file now, and what it sends of it.</summary>
    static void Change(Random random, string path, Dictionary<string, byte[]> whole, Dictionary<string, byte[]> sent, int blockBytes)
    {
        var old = whole[path];
        switch (random.Next(10))
        {
            case 0:
                whole.Remove(path);
                return;
            case 1:
                sent[path] = whole[path] = Bytes(random, random.Next(SegmentBlocks + 1) * blockBytes);
                return;
            case 2:
                sent[Incremental(path)] = ScriptedBackup.Part((uint)(old.Length / blockBytes), [], [], blockBytes);
                return;
        }

        var kept = random.Next(SegmentBlocks + 1);
        var density = random.Next(4) == 0 ? 0 : random.Next(SegmentBlocks);
        var pages = Enumerable.Range(0, SegmentBlocks).Where(_ => random.Next(SegmentBlocks) < density)
            .ToDictionary(page => page, _ => Bytes(random, blockBytes));
        var made = new byte[Math.Max(kept, pages.Keys.DefaultIfEmpty(-1).Max() + 1) * blockBytes];
        for (var page = 0; page < made.Length / blockBytes; page++)
        {
            if (pages.TryGetValue(page, out var bytes))
            {
                bytes.CopyTo(made, page * blockBytes);
            }
            else if (page < kept && page < old.Length / blockBytes)
            {
                old.AsSpan(page * blockBytes, blockBytes).CopyTo(made.AsSpan(page * blockBytes));
            }
        }

        whole[path] = made;
        sent[Incremental(path)] = ScriptedBackup.Part((uint)kept, [.. pages.Keys.Order().Select(page => (uint)page)],
            pages.OrderBy(page => page.Key).Select(page => page.Value), blockBytes);
    }

    static string Incremental(string path) => path.Insert(path.LastIndexOf('/') + 1, "INCREMENTAL.");

    static byte[] Bytes(Random random, int count)
    {
        var bytes = new byte[count];
        random.NextBytes(bytes);
        return bytes;
    }

    static Dictionary<string, byte[]> Shuffled(Random random, Dictionary<string, byte[]> files)
    {
        var all = files.ToArray();
        random.Shuffle(all);
        return new(all);
    }

    async Task<BackupRecord> BackUpAsync(ScriptedBackup script, BackupRecord? parent, int number, params string[] damaged)
    {
        await using var server = new ScriptedPostgres(stream => script.ServeAsync(stream, 32 + number), SummariesAsync);
        await using var replication = await ReplicationConnection.OpenAsync(server.Settings(), TimeProvider.System, Cancel);
        var vault = await VaultAsync();
        var branch = await WalBranches.EnsureAsync(vault, 7, TimelineHistory.Read(1, default), TimeProvider.System, Cancel);
        var backup = new BaseBackup(vault, TimeProvider.System)
        {
            ScratchFolder = scratch.Path, Parent = parent, Damaged = damaged.ToHashSet(),
        };
        var made = await backup.RunAsync(replication, new BaseBackupOptions { Label = "test" }, branch, Cancel);
        Assert.Equal((parent?.Id, script.Files.Values.Sum(file => file.Length)), (made.ParentId, made.SentBytes));
        return new BackupRecord
        {
            Id = (ulong)number + 1, Branch = branch, Position = made.Log.End.Value, Time = made.FinishedAt, Label = "", Mode = "",
            CreatedAt = made.FinishedAt, Host = "", SizeBytes = 0, Checksum = "", AddedBytes = 0,
        };
    }

    /// <summary>No relation was cut but those that a test names.</summary>
    async Task SummariesAsync(NetworkStream stream)
    {
        await ScriptedPostgres.WelcomeAsync(stream, "17.1");
        Assert.Contains(
            "pg_wal_summary_contents", Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)), StringComparison.Ordinal);
        await stream.WriteAsync(
            (byte[])[.. ScriptedPostgres.Rows(["reldatabase", "relfilenode"], [.. cut]), .. ScriptedPostgres.Ready]);
    }

    Task<VaultAccess> VaultAsync() => VaultAccess.OpenOrCreateAsync(store, "pg", "postgres", "pg", TimeProvider.System, Cancel);

    async Task ExpectAsync(BackupRecord record, Dictionary<string, byte[]> whole, Dictionary<string, byte[]> sent)
    {
        var snapshot = await TreeBackups.OpenAsync(await VaultAsync(), record, Cancel);
        var entries = await TreeSearch.EntriesAsync(snapshot, Cancel)
            .Where(item => item.Entry.Kind == TreeEntryKind.File)
            .Select(item => Encoding.UTF8.GetString(item.Path)[1..]).ToListAsync(Cancel);
        Assert.Equal(whole.Keys.Append("backup_manifest").Order(StringComparer.Ordinal), entries.Order(StringComparer.Ordinal));
        foreach (var (path, content) in whole)
        {
            Assert.Equal(content, await ReadAsync(snapshot, path));
        }

        var text = Encoding.UTF8.GetString(await ReadAsync(snapshot, "backup_manifest"));
        Assert.Equal(text, ScriptedBackup.Signed(text[..(text.TrimEnd().LastIndexOf('\n') + 1)]));
        using var manifest = JsonDocument.Parse(text);
        Assert.Equal(7, manifest.RootElement.GetProperty("System-Identifier").GetInt64());
        Assert.Equal("0/2000028", manifest.RootElement.GetProperty("WAL-Ranges")[0].GetProperty("Start-LSN").GetString());
        var files = manifest.RootElement.GetProperty("Files").EnumerateArray().ToDictionary(file => file.GetProperty("Path").GetString()!);
        Assert.Equal(whole.Keys.Order(StringComparer.Ordinal), files.Keys.Order(StringComparer.Ordinal));
        foreach (var (path, file) in files)
        {
            Assert.Equal(whole[path].Length, file.GetProperty("Size").GetInt64());
            var hasChecksum = file.TryGetProperty("Checksum", out var checksum);
            Assert.True(hasChecksum || !sent.ContainsKey(path), path);
            if (hasChecksum)
            {
                Assert.Equal(ScriptedBackup.CrcOf(whole[path]), checksum.GetString());
            }
        }
    }

    static async Task<byte[]> ReadAsync(TreeSnapshot snapshot, string path)
    {
        using var content = new MemoryStream();
        await TreeSearch.DumpAsync(snapshot, Encoding.UTF8.GetBytes($"/{path}"), content, Cancel);
        return content.ToArray();
    }
}
