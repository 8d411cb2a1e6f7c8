using Salvor.Postgres;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Wal;
using Salvor.Vault;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>The log of a real server on its way from the disk into a vault.</summary>
public sealed class WalSpoolTests(RealLog real) : IClassFixture<RealLog>
{
    readonly SteppedTime time = new();
    readonly MemoryStore store = new();

    [Fact]
    public async Task What_is_written_becomes_the_files_of_the_server()
    {
        using var scratch = new ScratchDirectory();
        using var spool = Begin(scratch.Path);
        await WriteAsync(spool, new Random(TestSeed.Take()), published: null);

        Assert.Equal((real.End, real.End), (spool.Written, spool.Flushed));
        foreach (var segment in real.Segments)
        {
            var isComplete = segment.Range.End <= real.End;
            var there = await File.ReadAllBytesAsync(scratch[segment.Name + (isComplete ? "" : ".partial")], default);
            var length = (int)(Lsn.Min(segment.Range.End, real.End) - segment.Range.First);
            Assert.True(RealWal.Read(real.Cluster, segment).AsSpan(0, length).SequenceEqual(there), segment.Name);
        }
    }

    [Fact]
    public async Task After_a_crash_counts_what_is_whole_and_the_rest_is_written_again()
    {
        var random = new Random(TestSeed.Take());
        for (var i = 0; i < 10; i++)
        {
            using var scratch = new ScratchDirectory();
            var (at, flushed) = (0, 0);
            using (var spool = Begin(scratch.Path))
            {
                for (var end = random.Next(real.Bytes.Length); at < end;)
                {
                    var length = Math.Min(random.Next(1, 300_000), end - at);
                    spool.Write(real.First + at, real.Bytes.AsSpan(at, length));
                    at += length;
                    if (random.Next(3) == 0)
                    {
                        spool.Flush();
                        flushed = at;
                    }
                }
            }

            // What was not flushed may be anything.
            var partial = Directory.GetFiles(scratch.Path, "*.partial").SingleOrDefault();
            if (partial is not null)
            {
                using var file = File.Open(partial, FileMode.Open);
                var start = (int)(Segment(partial).Range.First - real.First);
                var torn = new byte[Math.Max(0, at - Math.Max(flushed, start))];
                random.NextBytes(torn);
                file.Position = file.Length - torn.Length;
                file.Write(torn);
            }

            using var again = WalSpool.Open(scratch.Path, real.Shape);
            var had = again.Segments.Count == 0 ? real.First : again.Segments[^1].End;
            Assert.True(had <= real.First + at);
            foreach (var item in again.Segments)
            {
                AssertSame(again, item.Range);
            }

            var open = again.Segments.Count == 0 ? real.First : again.Segments[^1].Segment.Range.First;
            again.Begin(1, open);
            again.Write(open, real.Bytes.AsSpan((int)(open - real.First)));
            again.Flush();
            AssertSame(again, new WalRange(real.First, real.End));
        }
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void The_end_of_a_record_that_began_in_the_segment_before_counts_where_it_can_be_checked(bool hasBefore)
    {
        var (segment, at) = real.Segments.Skip(1).Select(item => (item, At: (int)(item.Range.First - real.First)))
            .First(item => item.At + 500_000 < real.Bytes.Length && (real.Bytes[item.At + 2] & 1) != 0
                && BitConverter.ToUInt32(real.Bytes, item.At + 16) is > 100 and < 100_000);
        using var scratch = new ScratchDirectory();
        using (var spool = Begin(scratch.Path))
        {
            spool.Write(real.First, real.Bytes.AsSpan(0, at + 500_000));
            spool.Flush();
        }

        if (!hasBefore)
        {
            File.Delete(scratch[(segment with { Number = segment.Number - 1 }).Name]);
        }

        Assert.InRange(End() - segment.Range.First, hasBefore ? 490_000 : 0, hasBefore ? 500_000 : 0);

        // A crash left its beginning on the disk, and of its end something else.
        using (var file = File.Open(scratch[segment.Name + ".partial"], FileMode.Open))
        {
            file.Position = 50;
            file.WriteByte((byte)~real.Bytes[at + 50]);
        }

        Assert.Equal(segment.Range.First, End());

        Lsn End()
        {
            using var again = WalSpool.Open(scratch.Path, real.Shape);
            return again.Segments[^1].End;
        }
    }

    [Fact]
    public void A_folder_is_of_one_process_and_other_files_in_it_are_not_touched()
    {
        using var scratch = new ScratchDirectory();
        using (var other = new FileStream(scratch["other"], FileMode.Create, FileAccess.ReadWrite, FileShare.None))
        {
            Assert.Null(WalSpool.Find(scratch.Path));
        }

        using (var spool = Begin(scratch.Path))
        {
            spool.Write(real.First, real.Bytes.AsSpan(0, 100_000));
            spool.Flush();
            Func<WalSpool?>[] others = [() => WalSpool.Open(scratch.Path, real.Shape), () => WalSpool.Find(scratch.Path)];
            foreach (var open in others)
            {
                var e = Assert.Throws<SalvorException>(open);
                Assert.Equal(FailureKind.Locked, e.Kind);
                Assert.StartsWith($"{scratch["lock"]} is held by pid ", e.Message, StringComparison.Ordinal);
            }
        }

        using var again = WalSpool.Find(scratch.Path);
        Assert.Single(again!.Segments);
    }

    [Fact]
    public void Another_server_does_not_write_over_what_is_there()
    {
        using var scratch = new ScratchDirectory();
        using (var spool = Begin(scratch.Path))
        {
            spool.Write(real.First, real.Bytes);
            spool.Flush();
        }

        using var again = Begin(scratch.Path);
        var other = (byte[])real.Bytes.Clone();
        other[5000] ^= 1;
        var e = Assert.Throws<WalConflictException>(() => again.Write(real.First, other));
        Assert.Equal((FailureKind.Integrity, real.First + 5000), (e.Kind, e.At));
    }

    [Fact]
    public async Task All_of_it_gets_into_the_vault_piece_by_piece_and_leaves_the_disk()
    {
        using var scratch = new ScratchDirectory();
        var random = new Random(TestSeed.Take());
        var vault = await VaultAsync();
        using var spool = Begin(scratch.Path);
        var publisher = new WalPublisher(vault, spool, time);
        await WriteAsync(spool, random, publisher);

        Assert.Equal((real.End, real.Bytes.Length), (publisher.PublishedOf(1), publisher.PublishedBytes));
        Assert.False(await publisher.RunAsync(default));
        await AssertAllAsync(vault);
        Assert.All(spool.Segments, item => Assert.True(item.End >= WalRange.BlockOf(real.End).First));
        var whole = WalRange.BlockOf(real.First + (int)WalRange.BlockBytes);
        Assert.Contains((await WalCatalog.LoadAsync(vault, default)).Objects(1), item => item.Range == whole);
    }

    [Fact]
    public async Task A_publisher_goes_on_where_the_vault_ends_and_counts_each_commit_once()
    {
        using var scratch = new ScratchDirectory();
        var vault = await VaultAsync();
        var random = new Random(TestSeed.Take());
        using var spool = Begin(scratch.Path);
        for (var at = 0; at < real.Bytes.Length;)
        {
            var length = Math.Min(random.Next(1, 700_000), real.Bytes.Length - at);
            spool.Write(real.First + at, real.Bytes.AsSpan(at, length));
            spool.Flush();
            at += length;
            await new WalPublisher(vault, spool, time).RunAsync(default);
        }

        await AssertAllAsync(vault);
        var merger = new WalMerger(vault, time);
        await merger.RunAsync(default);
        time.Advance(TimeSpan.FromMinutes(11));
        await merger.RunAsync(default);
        var (commits, expected) = (0UL, real.Expected.Select(RealWal.EventOf).Count(item => item?.Kind is "COMMIT" or "COMMITPREPARED"));
        foreach (var entry in (await WalCatalog.LoadAsync(vault, default)).Objects(1))
        {
            using var stored = await WalObject.OpenAsync(vault, entry, whole: false, default);
            commits += stored.Details.Index.Commits;
        }

        Assert.Equal((ulong)expected, commits);
    }

    async Task WriteAsync(WalSpool spool, Random random, WalPublisher? published)
    {
        for (var at = 0; at < real.Bytes.Length;)
        {
            var length = Math.Min(random.Next(1, 500_000), real.Bytes.Length - at);
            spool.Write(real.First + at, real.Bytes.AsSpan(at, length));
            at += length;
            spool.Flush();
            if (published is not null)
            {
                Assert.True(await published.RunAsync(default));
            }
        }
    }

    WalSpool Begin(string folder)
    {
        var spool = WalSpool.Open(folder, real.Shape);
        spool.Begin(1, real.First);
        return spool;
    }

    WalSegment Segment(string path) =>
        WalSegment.TryParse(Path.GetFileNameWithoutExtension(path), real.Shape.SegmentBytes, out var segment) ? segment : default;

    void AssertSame(WalSpool spool, WalRange range)
    {
        var read = new byte[range.Length];
        spool.Read(1, range, read);
        Assert.True(real.Bytes.AsSpan((int)(range.First - real.First), read.Length).SequenceEqual(read), range.ToString());
    }

    async Task<VaultAccess> VaultAsync()
    {
        var vault = await VaultAccess.OpenOrCreateAsync(store, "pg", VaultIdentity.Postgres, "pg", time, default);
        await WalBranches.EnsureAsync(vault, real.Shape.SystemId, TimelineHistory.Read(1, default), time, default);
        return vault;
    }

    async Task AssertAllAsync(VaultAccess vault)
    {
        var read = new byte[real.Bytes.Length];
        using var reader = new WalReader(await WalCatalog.LoadAsync(vault, default));
        await reader.ReadAsync(1, real.First, read, default);
        Assert.True(read.AsSpan().SequenceEqual(real.Bytes));
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default)).Findings);
    }
}
