using System.Security.Cryptography;
using System.Text.Json;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Vectors;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Format;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Vault.Wal;

/// <summary>The log of a real server in a vault: stored in pieces, read, merged, verified, copied and healed.</summary>
public sealed class WalStoreTests(RealLog real) : IClassFixture<RealLog>
{
    static readonly DateTimeOffset Had = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    readonly SteppedTime time = new();
    readonly MemoryStore store = new();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_was_stored_in_pieces_is_read_back_to_the_byte_whatever_is_asked_for(bool isEncrypted)
    {
        var random = new Random(TestSeed.Take());
        var vault = isEncrypted
            ? await VaultAccess.OpenOrCreateAsync(
                store, "pg", VaultIdentity.Postgres, "pg", TestKeys.Keyring(), time, default)
            : await VaultAsync();
        var writer = await WriterAsync(vault);
        await StorePiecesAsync(writer, random, 400_000);

        var catalog = await WalCatalog.LoadAsync(vault, default);
        Assert.Equal([new WalRange(real.First, real.End)], catalog.Spans(1));
        Assert.Equal(real.End, catalog.Reach(1, real.First));
        using var reader = new WalReader(catalog);
        for (var i = 0; i < 50; i++)
        {
            var start = random.Next(real.Bytes.Length);
            var read = new byte[random.Next(1, real.Bytes.Length - start + 1)];
            await reader.ReadAsync(1, real.First + start, read, default);
            Assert.True(real.Bytes.AsSpan(start, read.Length).SequenceEqual(read), $"{start} {read.Length}");
        }

        Assert.Empty((await VerifyAsync(vault)).Findings);
    }

    [Fact]
    public async Task The_second_reader_reads_what_was_stored()
    {
        using var directory = new TemporaryDirectory();
        var random = new Random(TestSeed.Take());
        var (vault, length) = (await VaultAsync(), 3_000_000);
        var writer = await WriterAsync(vault);
        for (var start = 0; start < length; start += 600_000)
        {
            await writer.StoreAsync(real.First + start, real.Bytes.AsMemory(start, 600_000), Had, Had, default);
        }

        await SecondReader.SaveAsync(store, directory.Path);
        var points = Enumerable.Range(0, 5).Select(_ => random.Next(length)).Append(0).ToDictionary(
            start => $"wal:1:{(real.First + start).Value:x}-{(real.First + length).Value:x}",
            start => Convert.ToHexStringLower(SHA256.HashData(real.Bytes.AsSpan(start, length - start))));
        var answers = await SecondReader.AnswersAsync([directory["pg"], "digest", .. points.Keys], [directory["pg"], "verify"]);

        Assert.Equal(points, answers[0].Deserialize<Dictionary<string, string>>()!);
    }

    [Fact]
    public async Task The_segments_of_the_server_come_back_and_the_open_one_is_filled_up_with_zeros()
    {
        var vault = await VaultAsync();
        await StorePiecesAsync(await WriterAsync(vault), new Random(TestSeed.Take()), 900_000);

        using var reader = new WalReader(await WalCatalog.LoadAsync(vault, default));
        foreach (var segment in real.Segments)
        {
            var expected = new byte[segment.SizeBytes];
            var length = (int)(Lsn.Min(segment.Range.End, real.End) - segment.Range.First);
            real.Bytes.AsSpan((int)(segment.Range.First - real.First), length).CopyTo(expected);
            Assert.Equal(expected, await reader.SegmentAsync(segment, default));
        }

        var last = real.Segments[^1];
        Assert.Null(await reader.SegmentAsync(last with { Number = last.Number + 1 }, default));
        Assert.Null(await reader.SegmentAsync(last with { Timeline = 2 }, default));
    }

    [Fact]
    public async Task The_index_of_all_objects_tells_each_commit_once()
    {
        var vault = await VaultAsync();
        await StorePiecesAsync(await WriterAsync(vault), new Random(TestSeed.Take()), 100_000);

        var parts = new List<WalIndex>();
        foreach (var entry in (await WalCatalog.LoadAsync(vault, default)).Objects(1))
        {
            using var stored = await WalObject.OpenAsync(vault, entry, whole: false, default);
            parts.Add(stored.Details.Index);
            Assert.Equal((Micros.Of(Had), Micros.Of(Had)), (stored.Header.TimeFirstMicros, stored.Header.TimeLastMicros));
        }

        AssertIndex(WalIndex.Join(parts));
    }

    [Fact]
    public async Task The_same_bytes_are_stored_again_by_anybody_and_other_ones_by_nobody()
    {
        var vault = await VaultAsync();
        var random = new Random(TestSeed.Take());
        await (await WriterAsync(vault)).StoreAsync(real.First, real.Bytes, Had, Had, default);
        Assert.Equal(0, await (await WriterAsync(vault)).StoreAsync(real.First, real.Bytes, Had, Had, default));

        // Another cut of the same bytes.
        var middle = real.Bytes.Length / 2;
        Assert.Equal(1, await (await WriterAsync(vault)).StoreAsync(real.First + middle, real.Bytes.AsMemory(middle), Had, Had, default));
        var other = (byte[])real.Bytes.Clone();
        var at = random.Next(100, other.Length);
        other[at] ^= 1;
        var conflict = await Assert.ThrowsAnyAsync<SalvorException>(
            async () => await (await WriterAsync(vault)).StoreAsync(real.First, other, Had, Had, default));
        if (conflict is WalConflictException)
        {
            Assert.Equal($"memory/pg holds other bytes at {real.First + at} of timeline 1 than this server", conflict.Message);
            Assert.Contains("promote the other", conflict.Hint, StringComparison.Ordinal);
        }

        Assert.Equal(FailureKind.Integrity, conflict.Kind);
        other = other[..^1];
        other[at % other.Length] = (byte)~real.Bytes[at % other.Length];
        await Assert.ThrowsAnyAsync<SalvorException>(
            async () => await (await WriterAsync(vault)).StoreAsync(real.First, other, Had, Had, default));
        Assert.Empty((await VerifyAsync(vault)).Findings);
    }

    [Fact]
    public async Task Bytes_of_another_cluster_are_refused_before_anything_is_stored()
    {
        var vault = await VaultAsync();
        var writer = new WalWriter(vault, 1, 1, real.Shape with { SystemId = 42 });

        var e = await Assert.ThrowsAsync<SalvorException>(() => writer.StoreAsync(real.First, real.Bytes, Had, Had, default));

        Assert.Equal(
            $"the log at {real.First} does not belong to timeline 1 of vault memory/pg: it is of the cluster with system identifier "
                + $"{real.Shape.SystemId}, not 42",
            e.Message);
        Assert.Empty((await WalCatalog.LoadAsync(vault, default)).Objects(1));
    }

    [Fact]
    public async Task Pieces_become_one_object_and_go_ten_minutes_later()
    {
        var vault = await VaultAsync();
        await StorePiecesAsync(await WriterAsync(vault), new Random(TestSeed.Take()), 60_000);
        var before = (await WalCatalog.LoadAsync(vault, default)).Objects(1).Count;
        Assert.True(before > 40);
        var merger = new WalMerger(vault, time);

        Assert.Equal(TimeSpan.FromMinutes(10), await merger.RunAsync(default));
        var merged = await WalCatalog.LoadAsync(vault, default);
        Assert.True(merged.Objects(1).Count > before);
        Assert.NotEmpty(merged.Superseded(1));
        Assert.Empty((await VerifyAsync(vault)).Findings);

        time.Advance(TimeSpan.FromMinutes(11));
        Assert.Null(await merger.RunAsync(default));
        var after = await WalCatalog.LoadAsync(vault, default);
        Assert.True(after.Objects(1).Count < 32);
        Assert.Empty(after.Superseded(1));
        await AssertAllAsync(after);
        Assert.Empty((await VerifyAsync(vault)).Findings);
        var parts = new List<WalIndex>();
        foreach (var entry in after.Objects(1))
        {
            using var stored = await WalObject.OpenAsync(vault, entry, whole: false, default);
            parts.Add(stored.Details.Index);
        }

        AssertIndex(WalIndex.Join(parts));
    }

    [Fact]
    public async Task A_gap_is_told_and_nothing_is_read_across_it()
    {
        var vault = await VaultAsync();
        var (first, second) = (real.Segments[1].Range.First, real.Segments[2].Range.First);
        var writer = await WriterAsync(vault);
        await writer.StoreAsync(real.First, real.Bytes.AsMemory(0, (int)(first - real.First)), Had, Had, default);
        await writer.StoreAsync(second, real.Bytes.AsMemory((int)(second - real.First)), Had, Had, default);

        var catalog = await WalCatalog.LoadAsync(vault, default);
        Assert.Equal([new WalRange(real.First, first), new WalRange(second, real.End)], catalog.Spans(1));
        Assert.Equal([$"{first}-{second} of timeline 1"], catalog.Gaps(1).Select(gap => gap.ToString()));
        using var reader = new WalReader(catalog);
        var e = await Assert.ThrowsAsync<SalvorException>(() => reader.SegmentAsync(real.Segments[1], default));
        Assert.Equal(
            (FailureKind.NotRestorable, $"the log of timeline 1 is missing from {first} on in vault memory/pg"), (e.Kind, e.Message));
        var report = await VerifyAsync(vault);
        Assert.Equal((0, 1), (report.FindingCount, report.WalGaps.Count));
    }

    [Fact]
    public async Task Every_flipped_bit_is_found_and_healed_from_the_other_copy()
    {
        var vault = await VaultAsync();
        var random = new Random(TestSeed.Take());
        await StorePiecesAsync(await WriterAsync(vault), random, 700_000);
        var other = new MemoryStore();
        await new VaultMirror(vault, other).RunAsync(everything: true, default);
        var copy = (await VaultAccess.FindAsync(other, "pg", default))!;
        await AssertAllAsync(await WalCatalog.LoadAsync(copy, default));
        foreach (var entry in (await WalCatalog.LoadAsync(vault, default)).Objects(1))
        {
            await FlipAsync(vault, entry.Key, random);
        }

        var report = await VerifyAsync(vault);
        Assert.Equal(
            (await WalCatalog.LoadAsync(vault, default)).Objects(1).Select(entry => entry.Key), report.Findings.Select(item => item.Key));
        Assert.All(
            report.Findings,
            item => Assert.StartsWith("no recovery from a backup before it gets past", item.Consequence, StringComparison.Ordinal));
        await AssertAllAsync(await WalCatalog.LoadAsync(vault.With([copy], null), default));

        var repair = new VaultRepair([vault, copy], 2);
        await foreach (var step in repair.PlanAsync(default))
        {
            Assert.Null((await repair.CarryOutAsync(step, default)).Failure);
        }

        Assert.Empty((await VerifyAsync(vault)).Findings);
    }

    [Fact]
    public async Task A_broken_object_is_replaced_by_the_pieces_that_it_was_made_of()
    {
        var vault = await VaultAsync();
        var random = new Random(TestSeed.Take());
        await StorePiecesAsync(await WriterAsync(vault), random, 60_000);
        await new WalMerger(vault, time).RunAsync(default);
        foreach (var by in (await WalCatalog.LoadAsync(vault, default)).Superseded(1).Select(item => item.By.Key).Distinct())
        {
            await FlipAsync(vault, by, random);
        }

        await AssertAllAsync(await WalCatalog.LoadAsync(vault, default));
        Assert.All((await VerifyAsync(vault)).Findings, item => Assert.Equal("no restore point needs it", item.Consequence));
    }

    [Fact]
    public async Task A_copy_follows_what_is_stored_and_loses_what_was_merged()
    {
        var vault = await VaultAsync();
        var other = new MemoryStore();
        var mirror = new VaultMirror(vault, other);
        await mirror.RunAsync(everything: true, default);
        var writer = await WriterAsync(vault);
        await mirror.RunAsync(everything: false, default);
        await StorePiecesAsync(writer, new Random(TestSeed.Take()), 60_000);
        Assert.True(await mirror.TryFollowAsync(default));
        var copy = (await VaultAccess.FindAsync(other, "pg", default))!;
        await AssertAllAsync(await WalCatalog.LoadAsync(copy, default));

        var merger = new WalMerger(vault, time);
        await merger.RunAsync(default);
        time.Advance(TimeSpan.FromMinutes(11));
        await merger.RunAsync(default);
        await mirror.RunAsync(everything: true, default);
        await mirror.RunAsync(everything: true, default);

        var (here, there) = (await WalCatalog.LoadAsync(vault, default), await WalCatalog.LoadAsync(copy, default));
        Assert.Equal(here.Objects(1), there.Objects(1));
        Assert.Empty((await VerifyAsync(copy)).Findings);
    }

    [Fact]
    public async Task The_same_addresses_with_other_bytes_are_found_by_a_verification()
    {
        var vault = await VaultAsync();
        await (await WriterAsync(vault)).StoreAsync(real.First, real.Bytes, Had, Had, default);
        var other = real.Bytes.AsMemory(0, 8192).ToArray();
        other[5000] ^= 1;
        var entry = new WalRef(1, new WalRange(real.First, real.First + other.Length));
        await WalWriter.PutAsync(
            vault, entry, other, new WalDetails(real.Shape, 1, [], WalIndex.Empty), (Had, Had), stored: null, default);

        var finding = Assert.Single((await VerifyAsync(vault)).Findings);
        Assert.Contains(entry.Key, $"{finding.Key} {finding.What}", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Other_bytes_are_refused_in_whichever_piece_of_a_block_they_come()
    {
        var vault = await VaultAsync();
        await (await WriterAsync(vault)).StoreAsync(real.First, real.Bytes.AsMemory(0, 200_000), Had, Had, default);
        var other = (byte[])real.Bytes.Clone();
        other[150_000] ^= 1;

        var writer = await WriterAsync(vault);
        await writer.StoreAsync(real.First, other.AsMemory(0, 50_000), Had, Had, default);
        var conflict = await Assert.ThrowsAsync<WalConflictException>(
            () => writer.StoreAsync(real.First + 50_000, other.AsMemory(50_000, 120_000), Had, Had, default));

        Assert.Equal(real.First + 150_000, conflict.At);
        Assert.Empty((await VerifyAsync(vault)).Findings);
    }

    [Fact]
    public async Task Pieces_that_overlap_and_differ_are_not_merged()
    {
        var vault = await VaultAsync();
        var writer = await WriterAsync(vault);
        for (var i = 0; i < 40; i++)
        {
            await writer.StoreAsync(real.First + (i * 10_000), real.Bytes.AsMemory(i * 10_000, 10_000), Had, Had, default);
        }

        var other = real.Bytes.AsMemory(295_000, 35_000).ToArray();
        other[2000] ^= 1;
        var range = new WalRange(real.First + 295_000, real.First + 330_000);
        await WalWriter.PutAsync(
            vault, new WalRef(1, range), other, new WalDetails(real.Shape, 1, [], WalIndex.Empty), (Had, Had), stored: null, default);

        await new WalMerger(vault, time).RunAsync(default);

        Assert.Equal(41, (await WalCatalog.LoadAsync(vault, default)).Objects(1).Count);
    }

    [Fact]
    public async Task A_damaged_piece_keeps_its_block_from_being_merged_and_no_other()
    {
        var vault = await VaultAsync();
        var random = new Random(TestSeed.Take());
        await StorePiecesAsync(await WriterAsync(vault), random, 60_000);
        var damaged = (await WalCatalog.LoadAsync(vault, default)).Blocks(1).First(block => WalMerger.Runs(block).Any());
        await FlipAsync(vault, damaged[^1].Key, random);

        await new WalMerger(vault, time).RunAsync(default);

        var superseded = (await WalCatalog.LoadAsync(vault, default)).Superseded(1).Select(item => item.Object).ToList();
        Assert.NotEmpty(superseded);
        Assert.Empty(superseded.Intersect(damaged));
    }

    [Fact]
    public async Task Behind_a_record_that_cannot_be_read_the_index_goes_on_with_the_next_segment()
    {
        var vault = await VaultAsync();
        var (writer, next) = (await WriterAsync(vault), real.Segments[1].Range.First);
        var record = real.Expected.First(line => line.At.Value % real.Shape.PageBytes is > 4000 and < 8000).At;
        Assert.True(record < next);
        var damaged = (byte[])real.Bytes.Clone();
        damaged[record + 20 - real.First] ^= 1;
        for (var at = 0; at < damaged.Length; at += 300_000)
        {
            await writer.StoreAsync(real.First + at, damaged.AsMemory(at, Math.Min(300_000, damaged.Length - at)), Had, Had, default);
        }

        Assert.Equal((record, false), (writer.Problem?.At, writer.Problem?.IsForeign));
        Assert.Equal(real.End, writer.WholeEnd);
        var wanted = real.Expected.Count(line => line.At > next && RealWal.EventOf(line)?.Kind is "COMMIT" or "COMMITPREPARED");
        var commits = 0;
        foreach (var entry in (await WalCatalog.LoadAsync(vault, default)).Objects(1).Where(item => item.Range.First >= next))
        {
            using var stored = await WalObject.OpenAsync(vault, entry, whole: false, default);
            commits += (int)stored.Details.Index.Commits;
        }

        Assert.InRange(commits, 1, wanted);
        Assert.All((await VerifyAsync(vault)).Findings, item => Assert.True(VaultKeys.WalOf(item.Key, 0).Range.First < next));
    }

    static async Task FlipAsync(VaultAccess vault, string key, Random random)
    {
        var bytes = (await vault.GetAsync(key, default))!;
        bytes[random.Next(ObjectHeader.SizeBytes, bytes.Length)] ^= (byte)(1 << random.Next(8));
        await vault.ReplaceAsync(key, bytes, default);
    }

    static Task<VerifyReport> VerifyAsync(VaultAccess vault) => new VaultVerifier(vault, new VerifyOptions()).RunAsync(default);

    Task<VaultAccess> VaultAsync() => VaultAccess.OpenOrCreateAsync(store, "pg", VaultIdentity.Postgres, "pg", time, default);

    async Task<WalWriter> WriterAsync(VaultAccess vault)
    {
        var branch = await WalBranches.EnsureAsync(vault, real.Shape.SystemId, TimelineHistory.Read(1, default), time, default);
        return new WalWriter(vault, branch, 1, real.Shape);
    }

    async Task StorePiecesAsync(WalWriter writer, Random random, int sizeMax)
    {
        for (var start = 0; start < real.Bytes.Length;)
        {
            var length = Math.Min(random.Next(1, sizeMax), real.Bytes.Length - start);
            await writer.StoreAsync(real.First + start, real.Bytes.AsMemory(start, length), Had, Had, default);
            start += length;
        }

        Assert.Null(writer.Problem);
        Assert.Equal(real.End, writer.WholeEnd);
    }

    async Task AssertAllAsync(WalCatalog catalog)
    {
        var read = new byte[real.Bytes.Length];
        using var reader = new WalReader(catalog);
        await reader.ReadAsync(1, real.First, read, default);
        Assert.True(read.AsSpan().SequenceEqual(real.Bytes));
    }

    void AssertIndex(WalIndex index)
    {
        var expected = real.Expected.Select(RealWal.EventOf).OfType<(string Kind, Lsn At, uint Xid, string Text)>().ToList();
        Assert.Equal(expected.Count(item => item.Kind is "COMMIT" or "COMMITPREPARED"), (int)index.Commits);
        Assert.Equal(["before the drop", "the end"], index.Names.Select(item => item.Name));
        Assert.True(index.First.End > expected[0].At && index.Last.End <= real.End && index.First.End < index.Last.End);
    }
}
