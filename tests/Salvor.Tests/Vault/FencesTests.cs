using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault;

/// <summary>A writer that was taken for dead and goes on finds that it was replaced, whatever it missed.</summary>
public sealed class FencesTests
{
    readonly MemoryStore store = new();

    [Fact]
    public async Task A_writer_that_was_replaced_finds_its_next_number_taken()
    {
        var old = await BeginAsync(epoch: 1);
        await AppendAsync(old);

        Assert.True(await TakeAsync(epoch: 2));

        await AssertStoppedAsync(old);
        var (catalog, spans) = await SpansAsync();
        Assert.Equal((2UL, LogKind.Fence, 2u), await LastAsync(catalog, 1));
        Assert.Equal([(1u, 1UL, 1UL)], spans);
    }

    [Fact]
    public async Task A_writer_whose_branch_was_left_is_stopped_there()
    {
        var old = await BeginAsync(epoch: 1);
        await AppendAsync(old);
        var catalog = await VaultReading.OpenAsync(store);

        await ForkAsync(catalog, epoch: 2);

        await AssertStoppedAsync(old);
        Assert.Equal((2UL, LogKind.End, 2u), await LastAsync(await VaultReading.OpenAsync(store), 1));
    }

    [Fact]
    public async Task A_writer_that_was_replaced_cannot_begin_a_branch()
    {
        var old = await BeginAsync(epoch: 1);
        await AppendAsync(old);
        var catalog = await VaultReading.OpenAsync(store);
        await TakeAsync(epoch: 2);

        var failure = await Assert.ThrowsAsync<TakenOverException>(() => ForkAsync(catalog, epoch: 1));

        Assert.StartsWith(
            "another writer added log/000001/0000000000000002 to vault memory/app", failure.Message, StringComparison.Ordinal);
        Assert.Single((await VaultReading.OpenAsync(store)).Branches);
    }

    [Fact]
    public async Task A_writer_that_was_replaced_is_refused_when_it_reads_the_end_again()
    {
        var old = await BeginAsync(epoch: 1);
        await AppendAsync(old);
        await TakeAsync(epoch: 2);

        var failure = await Assert.ThrowsAsync<TakenOverException>(() => TakeAsync(epoch: 1, isNeeded: false));

        Assert.Equal("vault memory/app was taken over: epoch 2 wrote to branch 1, and ours is 1", failure.Message);
        Assert.Equal(FailureKind.Locked, failure.Kind);
    }

    [Fact]
    public async Task A_branch_without_a_log_says_who_began_it()
    {
        await AppendAsync(await BeginAsync(epoch: 1));
        await ForkAsync(await VaultReading.OpenAsync(store), epoch: 2);

        var failure = await Assert.ThrowsAsync<TakenOverException>(() => TakeAsync(epoch: 1, isNeeded: false));

        Assert.Equal("vault memory/app was taken over: epoch 2 wrote to branch 2, and ours is 1", failure.Message);
        Assert.True(await TakeAsync(epoch: 3));
        Assert.Equal((1UL, LogKind.Fence, 3u), await LastAsync(await VaultReading.OpenAsync(store), 2));
    }

    [Fact]
    public async Task What_an_older_writer_adds_in_time_counts()
    {
        var old = await BeginAsync(epoch: 1);
        await AppendAsync(old);
        var races = 3;
        var racing = new FaultyStore(store, call =>
        {
            if (call.Operation == StoreOperation.Put && races-- > 0)
            {
                AppendAsync(old).GetAwaiter().GetResult();
            }

            return Fault.None;
        });
        var catalog = await VaultReading.OpenAsync(racing);

        Assert.True(await Fences.TakeAsync(catalog, 2, isNeeded: true, TimeProvider.System, default));

        await AssertStoppedAsync(old);
        var (after, spans) = await SpansAsync();
        Assert.Equal((5UL, LogKind.Fence, 2u), await LastAsync(after, 1));
        Assert.Equal([(1u, 1UL, 4UL)], spans);
    }

    [Fact]
    public async Task After_a_writer_that_said_that_it_ended_nothing_is_added()
    {
        await AppendAsync(await BeginAsync(epoch: 1));

        Assert.False(await TakeAsync(epoch: 2, isNeeded: false));

        Assert.Equal(1UL, (await VaultReading.OpenAsync(store)).Logs(1).Last);
    }

    [Fact]
    public async Task One_fence_is_enough_and_nobody_fences_an_ended_branch()
    {
        await AppendAsync(await BeginAsync(epoch: 1));
        Assert.True(await TakeAsync(epoch: 2));
        Assert.False(await TakeAsync(epoch: 2));

        await Fences.EndAsync(await VaultReading.OpenAsync(store), 2, "moved", TimeProvider.System, default);

        Assert.False(await TakeAsync(epoch: 3));
        Assert.Equal((3UL, LogKind.End, 2u), await LastAsync(await VaultReading.OpenAsync(store), 1));
    }

    [Fact]
    public async Task Readers_step_over_fences()
    {
        var writer = await BeginAsync(epoch: 1);
        await AppendAsync(writer);
        for (var epoch = 2u; epoch < 5; epoch++)
        {
            await TakeAsync(epoch);
            var catalog = await VaultReading.OpenAsync(store);
            var planner = new RestorePlanner(catalog);
            var last = await catalog.ReadLogAsync(1, catalog.Logs(1).Last, default);
            var latest = await planner.LatestAsync(1, default);
            var tip = new LogTip(1, last.Header.Number, latest.Position, Micros.Of(latest.Time), last.Header.LineageAfter);
            await AppendAsync(new LogWriter(catalog.Vault, tip, epoch, TimeProvider.System));
        }

        var (after, spans) = await SpansAsync();
        Assert.Equal([(1u, 1UL, 4UL)], spans);
        Assert.Equal(7UL, after.Logs(1).Last);
        var point = await new RestorePlanner(after).PointAsync(1, new Position(3), default);
        Assert.Equal(5UL, (await new RestorePlanner(after).LogOfAsync(point, default)).Header.Number);
    }

    [Fact]
    public async Task Without_claims_the_next_epoch_is_above_those_in_the_log()
    {
        await AppendAsync(await BeginAsync(epoch: 7));
        var vault = (await VaultAccess.FindAsync(store, "app", default))!;

        var admission = await WriterAdmission.EnterAsync(vault, "test", TimeProvider.System, default);

        Assert.Equal((8u, true), (admission.Epoch, admission.MustFence));
    }

    async Task<LogWriter> BeginAsync(uint epoch)
    {
        var vault = await VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/data/app.db", TimeProvider.System, default);
        await Forks.BeginAsync(await VaultReading.OpenAsync(store), epoch, TimeProvider.System, default);
        var start = Lineage.StartOf(vault.Secrets, vault.Id, 1, Position.None, Hash256.Zero);
        return new LogWriter(vault, new(1, 0, Position.None, 0, start), epoch, TimeProvider.System);
    }

    static async Task AppendAsync(LogWriter writer)
    {
        using var change = new ChangeSetBuilder(LogKind.Commits, 512, checksumBefore: 7);
        change.AddPage(1, 7, new byte[512]);
        change.AddCommit(1, 101, 1, 7);
        await writer.AppendAsync(change, default);
    }

    static async Task AssertStoppedAsync(LogWriter writer)
    {
        var before = writer.Tip;
        await Assert.ThrowsAsync<TakenOverException>(() => AppendAsync(writer));
        Assert.Equal(before, writer.Tip);
    }

    async Task<bool> TakeAsync(uint epoch, bool isNeeded = true) =>
        await Fences.TakeAsync(await VaultReading.OpenAsync(store), epoch, isNeeded, TimeProvider.System, default);

    static async Task ForkAsync(VaultCatalog catalog, uint epoch)
    {
        var point = await new RestorePlanner(catalog).LatestAsync(1, default);
        await Forks.ForkAsync(catalog, point, "replaced", epoch, TimeProvider.System, default);
    }

    async Task<(VaultCatalog Catalog, IEnumerable<(uint Branch, ulong First, ulong Last)> Spans)> SpansAsync()
    {
        var catalog = await VaultReading.OpenAsync(store);
        var spans = await RestoreSpans.FindAsync(catalog, default);
        return (catalog, spans.Select(span => (span.Branch, span.First.Value, span.Last.Value)));
    }

    static async Task<(ulong Number, LogKind Kind, uint Epoch)> LastAsync(VaultCatalog catalog, uint branch)
    {
        var last = await catalog.ReadLogAsync(branch, catalog.Logs(branch).Last, default);
        return (last.Header.Number, last.Details.Kind, last.Header.Epoch);
    }
}
