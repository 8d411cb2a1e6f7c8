using System.Text;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Vault.Wal;

public sealed class TimelineTests
{
    const string Third = "1\t0/3000158\tno recovery target specified\n\n# by hand\n2\t0/5000000\tbefore 2026-03-01 12:00:00+00\n";

    static readonly WalShape Shape = new(7_000_000_001, 1 << 20, 8192);

    readonly SteppedTime time = new();
    readonly MemoryStore store = new();

    [Fact]
    public void A_history_is_read_with_its_comments()
    {
        var history = TimelineHistory.Read(3, Encoding.UTF8.GetBytes(Third));

        Assert.Equal(
            [new TimelineParent(1, new Lsn(0x3000158), "no recovery target specified"),
                new TimelineParent(2, new Lsn(0x5000000), "before 2026-03-01 12:00:00+00")],
            history.Parents);
        Assert.Equal(new Lsn(0x5000000), history.ForkAt);
        Assert.Equal("1\t0/3000158\tno recovery target specified\n", Encoding.UTF8.GetString(history.OfParent(1).Bytes.Span));
        Assert.Equal((1U, 0), (history.OfParent(0).Timeline, history.OfParent(0).Bytes.Length));
    }

    [Fact]
    public void A_history_of_thousands_of_timelines_is_read()
    {
        var text = new StringBuilder();
        for (var i = 1; i <= 5000; i++)
        {
            text.Append(System.Globalization.CultureInfo.InvariantCulture, $"{i}\t{i:X}/0\tno recovery target specified\n\n");
        }

        var history = TimelineHistory.Read(5001, Encoding.UTF8.GetBytes(text.ToString()));

        Assert.Equal((5000, new Lsn(5000UL << 32)), (history.Parents.Count, history.ForkAt));
    }

    [Theory]
    [InlineData(2, "", "it is empty")]
    [InlineData(1, "1\t0/1\tx\n", "it has 8 bytes, which no history of it has")]
    [InlineData(3, "# nothing\n", "it names no timeline before it")]
    [InlineData(3, "1\t0/G\tx\n", "'1\t0/G\tx' does not name a timeline and an address")]
    [InlineData(3, "1\n", "'1' does not name a timeline and an address")]
    [InlineData(3, "2\t0/1\tx\n1\t0/2\tx\n", "'1\t0/2\tx' is not in order")]
    [InlineData(3, "3\t0/1\tx\n", "'3\t0/1\tx' is not in order")]
    [InlineData(3, "0\t0/1\tx\n", "'0\t0/1\tx' is not in order")]
    public void What_is_no_history_is_refused(int timeline, string text, string what)
    {
        var e = Assert.Throws<SalvorException>(() => TimelineHistory.Read((uint)timeline, Encoding.UTF8.GetBytes(text)));

        Assert.Equal((FailureKind.Integrity, $"the history of timeline {timeline} cannot be used: {what}"), (e.Kind, e.Message));
        Assert.Contains($"pg_wal/0000000{timeline}.history", e.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void A_history_without_end_is_refused_before_it_is_read() =>
        Assert.Throws<SalvorException>(() => TimelineHistory.Read(2, new byte[TimelineHistory.BytesMax + 1]));

    [Theory]
    [InlineData("000000010000000000000001", 1, 1L << 24, 1UL << 24)]
    [InlineData("0000000A000000010000000F", 10, 1L << 24, (1UL << 32) + (15UL << 24))]
    [InlineData("00000001000000FF00000003", 1, 1L << 30, (255UL << 32) + (3UL << 30))]
    public void The_names_of_segments_are_those_of_PostgreSQL(string name, int timeline, long size, ulong first)
    {
        Assert.True(WalSegment.TryParse(name, (uint)size, out var segment));
        Assert.Equal(((uint)timeline, new Lsn(first), name), (segment.Timeline, segment.Range.First, segment.Name));
    }

    [Theory]
    [InlineData("00000001000000000000000a")]
    [InlineData("00000001000000000000001")]
    [InlineData("000000000000000000000001")]
    [InlineData("000000010000000000000100")]
    [InlineData("00000001000000000000000G")]
    public void Other_names_are_none(string name) => Assert.False(WalSegment.TryParse(name, 1 << 24, out _));

    [Theory]
    [InlineData("0/0", 0UL)]
    [InlineData("16/B374D848", 0x16_B374_D848UL)]
    [InlineData("FFFFFFFF/FFFFFFFF", ulong.MaxValue)]
    public void Addresses_are_written_as_PostgreSQL_does(string text, ulong value)
    {
        Assert.True(Lsn.TryParse(text, out var lsn));
        Assert.Equal((value, text), (lsn.Value, lsn.ToString()));
        Assert.All([text + "0/", "", "/", "1/-1", "1/100000000"], other => Assert.False(Lsn.TryParse(other, out _), other));
    }

    [Fact]
    public async Task A_timeline_has_branches_for_all_that_it_comes_from_and_none_is_made_twice()
    {
        var vault = await VaultAsync();

        Assert.Equal(3U, await EnsureAsync(vault, 3, Third));
        Assert.Equal(3U, await EnsureAsync(vault, 3, Third));
        Assert.Equal(1U, await EnsureAsync(vault, 1, ""));
        Assert.Equal(4U, await EnsureAsync(vault, 5, "1\t0/3000158\tx\n\n2\t0/4000000\ty\n"));

        var branches = (await WalCatalog.LoadAsync(vault, default)).Branches;
        Assert.Equal(
            [(1U, 0U, 0UL, 1U), (2, 1, 0x3000158, 2), (3, 2, 0x5000000, 3), (4, 2, 0x4000000, 5)],
            branches.Select(item => (item.Number, item.Record.Parent, item.Record.ForkPosition, item.Record.Timeline!.Value)));
        Assert.Equal(Third, Encoding.UTF8.GetString(WalBranches.HistoryOf(branches[2]).Bytes.Span));
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default)).Findings);
    }

    [Fact]
    public async Task Writers_that_meet_a_timeline_at_the_same_time_agree_on_its_branch()
    {
        var vault = await VaultAsync();

        var numbers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => EnsureAsync(vault, 3, Third))));

        Assert.All(numbers, number => Assert.Equal(numbers[0], number));
        Assert.Equal([1U, 2, 3], (await WalCatalog.LoadAsync(vault, default)).Branches.Select(item => item.Record.Timeline!.Value));
    }

    [Fact]
    public async Task Another_cluster_and_another_origin_of_a_timeline_are_refused()
    {
        var vault = await VaultAsync();
        await EnsureAsync(vault, 3, Third);

        var cluster = await Assert.ThrowsAsync<SalvorException>(
            () => WalBranches.EnsureAsync(vault, 9, TimelineHistory.Read(1, default), time, default));
        var origin = await Assert.ThrowsAsync<SalvorException>(() => EnsureAsync(vault, 2, "1\t0/3000160\tx\n"));

        Assert.Equal(
            (FailureKind.Usage, "vault memory/pg is of the cluster with system identifier 7000000001, and this server has 9"),
            (cluster.Kind, cluster.Message));
        Assert.StartsWith("After 'initdb' or 'pg_upgrade' a cluster is another one", cluster.Hint, StringComparison.Ordinal);
        Assert.Equal(
            (FailureKind.Integrity, "timeline 2 of vault memory/pg left its parent elsewhere than that of this server"),
            (origin.Kind, origin.Message));
    }

    [Fact]
    public async Task The_way_to_a_timeline_takes_of_each_parent_what_it_had_until_it_was_left()
    {
        var vault = await VaultAsync();
        await EnsureAsync(vault, 3, "1\t0/250000\tx\n\n2\t0/380000\ty\n");
        await StoreAsync(vault, 1, 0x200000, 0x300000);
        await StoreAsync(vault, 2, 0x200000, 0x3c0000);
        await StoreAsync(vault, 3, 0x390000, 0x400000);

        var catalog = await WalCatalog.LoadAsync(vault, default);

        Assert.Equal(
            [(1U, "0/200000-0/250000"), (2U, "0/250000-0/380000")],
            catalog.Cover(3, Range(0x200000, 0x400000)).Select(part => (part.Source.Branch, part.Range.ToString())));
        Assert.Equal("0/380000", catalog.Reach(3, new Lsn(0x200000)).ToString());
        Assert.Equal("0/3C0000", catalog.Reach(2, new Lsn(0x200000)).ToString());
        Assert.Equal("0/300000", catalog.Reach(1, new Lsn(0x200000)).ToString());
        Assert.Equal(["0/380000-0/390000 of timeline 3"], catalog.Gaps(3).Select(gap => gap.ToString()));
        Assert.Empty(catalog.Gaps(2));

        // What the parent lost, the copy at the beginning of the next timeline has.
        var parent = catalog.Objects(1).Single().Key;
        Assert.Equal(
            [(2U, "0/200000-0/250000"), (2U, "0/250000-0/300000")],
            catalog.Cover(2, Range(0x200000, 0x300000), new HashSet<string> { parent })
                .Select(part => (part.Source.Branch, part.Range.ToString())));
    }

    [Fact]
    public async Task A_timeline_that_left_its_parent_before_that_began_has_nothing_of_it()
    {
        var vault = await VaultAsync();
        await EnsureAsync(vault, 3, "1\t0/380000\tx\n\n2\t0/250000\ty\n");
        await StoreAsync(vault, 1, 0x200000, 0x400000);
        await StoreAsync(vault, 2, 0x300000, 0x500000);
        await StoreAsync(vault, 3, 0x200000, 0x400000);

        var catalog = await WalCatalog.LoadAsync(vault, default);

        Assert.Equal(
            [(1U, "0/200000-0/250000"), (3U, "0/250000-0/400000")],
            catalog.Cover(3, Range(0x200000, 0x500000)).Select(part => (part.Source.Branch, part.Range.ToString())));
        Assert.Equal("0/400000", catalog.Reach(3, new Lsn(0x200000)).ToString());
        Assert.Equal("0/500000", catalog.Reach(2, new Lsn(0x200000)).ToString());
        Assert.Empty(catalog.Gaps(3));
        Assert.DoesNotContain(
            (await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default)).Findings,
            item => item.Key.StartsWith("branches/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_gap_over_a_switch_is_told_for_both_timelines()
    {
        var vault = await VaultAsync();
        await EnsureAsync(vault, 2, "1\t0/250000\tx\n");
        await StoreAsync(vault, 1, 0x200000, 0x220000);
        await StoreAsync(vault, 2, 0x280000, 0x300000);

        Assert.Equal(
            ["0/220000-0/250000 of timeline 1", "0/250000-0/280000 of timeline 2"],
            (await WalCatalog.LoadAsync(vault, default)).Gaps(2).Select(gap => gap.ToString()));
    }

    static WalRange Range(ulong first, ulong end) => new(new Lsn(first), new Lsn(end));

    /// <summary>Zeros: a catalogue reads no content.</summary>
    static Task<bool> StoreAsync(VaultAccess vault, uint branch, ulong first, ulong end) => WalWriter.PutAsync(
        vault, new WalRef(branch, Range(first, end)), new byte[end - first], new WalDetails(Shape, branch, [], WalIndex.Empty),
        (DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch), stored: null, default);

    Task<VaultAccess> VaultAsync() => VaultAccess.OpenOrCreateAsync(store, "pg", VaultIdentity.Postgres, "pg", time, default);

    Task<uint> EnsureAsync(VaultAccess vault, uint timeline, string history) => WalBranches.EnsureAsync(
        vault, Shape.SystemId, TimelineHistory.Read(timeline, Encoding.UTF8.GetBytes(history)), time, default);
}
