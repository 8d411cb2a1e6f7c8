using Salvor.Tests.Support;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Vault.Wal;

/// <summary>What is read in the log of a real server, against what PostgreSQL's own program reads there.</summary>
public sealed class WalRecordsTests(RealLog real) : IClassFixture<RealLog>
{
    readonly WalShape shape = real.Shape;
    readonly Lsn first = real.First;
    readonly Lsn end = real.End;
    readonly byte[] log = real.Bytes;
    readonly IReadOnlyList<RealWal.Line> expected = real.Expected;

    [Fact]
    public void Every_record_and_every_end_of_a_transaction_is_read_as_by_PostgreSQL_whatever_the_size_of_the_pieces()
    {
        var random = new Random(TestSeed.Take());
        var (records, events) = Read(first, log, () => random.Next(1, 20000));

        Assert.Null(records.Problem);
        Assert.Equal(expected.Count, records.Count);
        Assert.Equal((expected[^1].At, end), (records.LastRecord, records.WholeEnd));
        Assert.Equal(expected.Select(RealWal.EventOf).OfType<(string, Lsn, uint, string)>(), events.Select(RealWal.Told));
        Assert.Equal(
            [WalEventKind.Commit, WalEventKind.Abort, WalEventKind.CommitPrepared, WalEventKind.AbortPrepared, WalEventKind.RestorePoint],
            events.Select(item => item.Kind).Distinct().Order());
        Assert.All(events.Zip(events.Skip(1)), pair => Assert.True(pair.First.End <= pair.Second.Start));
    }

    [Fact]
    public void Reading_begins_at_any_address_and_finds_all_records_that_begin_after_it()
    {
        var random = new Random(TestSeed.Take());
        for (var i = 0; i < 40; i++)
        {
            var start = first + random.Next(log.Length - (2 * (int)shape.PageBytes));
            var (records, events) = Read(start, log[(int)(start - first)..], () => 1 << 16);

            // The first one that begins on a page whose beginning is there.
            var page = new Lsn(start.Value + shape.PageBytes - 1).Floor(shape.PageBytes);
            var wanted = expected.Where(line => line.At >= page).ToList();
            Assert.Null(records.Problem);
            Assert.Equal((wanted.Count, wanted[^1].At), (records.Count, records.LastRecord));
            Assert.Equal(wanted.Select(RealWal.EventOf).OfType<(string, Lsn, uint, string)>(), events.Select(RealWal.Told));
        }
    }

    [Fact]
    public void A_segment_that_is_not_full_ends_where_its_zeros_begin()
    {
        var (records, _) = Read(first, [.. log, .. new byte[100_000]], () => 4096);

        Assert.True(records.HasEnded);
        Assert.Null(records.Problem);
        Assert.Equal(end, records.WholeEnd);
        records.Add([0, 1]);
        Assert.Equal(new WalProblem(end, "no record begins there, and something follows", IsForeign: false), records.Problem);
    }

    [Fact]
    public void A_flipped_bit_is_told_with_the_address_of_its_record_or_page()
    {
        var random = new Random(TestSeed.Take());
        var last = expected.Last(line => line.Text.StartsWith("SWITCH", StringComparison.Ordinal)).At;
        for (var i = 0; i < 200; i++)
        {
            var at = random.Next((int)(last - first));
            var damaged = (byte[])log.Clone();
            damaged[at] ^= (byte)(1 << random.Next(8));
            var (records, _) = Read(first, damaged, () => 1 << 16);

            // Between records there are up to 7 bytes that nobody reads, and of a page header 4.
            if (records.Problem is not { } problem)
            {
                Assert.True(IsUnread(at), $"byte {at} was changed, and nothing was told: {About(at)}");
                continue;
            }

            var record = expected.Last(line => line.At - first <= at).At;
            var address = first + at;
            Assert.True(
                problem.At == record || problem.At == address.Floor(shape.PageBytes) || expected.Any(line => line.At == problem.At),
                $"{problem} for the byte at {address}");
            Assert.True(problem.At <= address + 8 || problem.What.Contains("follows", StringComparison.Ordinal), $"{problem}, {address}");
        }
    }

    [Fact]
    public void What_is_of_another_cluster_timeline_or_place_is_foreign()
    {
        Assert.Equal(
            new WalProblem(first, $"it is of the cluster with system identifier {shape.SystemId}, not 7", IsForeign: true),
            Problem(shape with { SystemId = 7 }, 1, first));
        Assert.Equal(
            new WalProblem(first + shape.SegmentBytes, $"the page there belongs to {first}", IsForeign: true),
            Problem(shape, 1, first + shape.SegmentBytes));
        Assert.Equal(
            $"its segments have {shape.SegmentBytes} bytes and pages 8192, not {shape.SegmentBytes} and 16384",
            Problem(shape with { PageBytes = 16384 }, 1, first)!.What);
        var older = new WalRecords(shape, 0, first, _ => { });
        older.Add(log);
        Assert.Equal((true, "it is of timeline 1, not 0"), (older.Problem!.IsForeign, older.Problem.What));
    }

    [Fact]
    public void What_is_no_log_at_all_is_told_at_its_first_page()
    {
        var noise = new byte[100_000];
        new Random(TestSeed.Take()).NextBytes(noise);

        var records = new WalRecords(shape, 1, first, _ => { });
        records.Add(noise);

        Assert.Equal(new WalProblem(first, "no page of a write-ahead log begins there", IsForeign: true), records.Problem);
    }

    WalProblem? Problem(WalShape other, uint timeline, Lsn at)
    {
        var records = new WalRecords(other, timeline, at, _ => { });
        records.Add(log);
        return records.Problem;
    }

    string About(int at) => $"{first + at} in {expected.Last(line => line.At <= first + at)}";

    bool IsUnread(int at)
    {
        var address = first + at;
        var next = expected.FirstOrDefault(line => line.At > address)?.At ?? end;
        var inPage = (int)(address.Value % shape.PageBytes);
        return next - address <= 8 || inPage is >= 2 and < WalShape.LongHeaderBytes || inPage > (int)shape.PageBytes - 8;
    }

    (WalRecords Records, List<WalEvent> Events) Read(Lsn at, byte[] bytes, Func<int> size)
    {
        var events = new List<WalEvent>();
        var records = new WalRecords(shape, 1, at, events.Add);
        for (var start = 0; start < bytes.Length;)
        {
            var length = Math.Min(size(), bytes.Length - start);
            records.Add(bytes.AsSpan(start, length));
            start += length;
        }

        return (records, events);
    }
}
