using Salvor.Jobs.Drills;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Drills;

public sealed class StoreMeterTests
{
    [Fact]
    public async Task Calls_side_by_side_count_once_and_the_time_between_calls_does_not_count()
    {
        var time = new ManualTime();
        var slow = new SlowStore();
        var meter = new StoreMeter(time);
        var store = meter.Of(slow);

        var first = store.PutAsync("a", default, TestContext.Current.CancellationToken);
        time.Advance(TimeSpan.FromSeconds(1));
        var second = store.PutAsync("b", default, TestContext.Current.CancellationToken);
        time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(TimeSpan.FromSeconds(3), meter.Busy);
        slow.Finish();
        await Task.WhenAll(first, second);
        time.Advance(TimeSpan.FromSeconds(10));

        Assert.Equal(TimeSpan.FromSeconds(3), meter.Busy);
        await foreach (var _ in store.ListAsync("", null, TestContext.Current.CancellationToken))
        {
            // What is done with a row is not the destination's time.
            time.Advance(TimeSpan.FromSeconds(5));
        }

        Assert.Equal(TimeSpan.FromSeconds(3), meter.Busy);
    }

    /// <summary>Puts end when they are told to.</summary>
    sealed class SlowStore() : ForwardingStore(new MemoryStore())
    {
        readonly TaskCompletionSource _finished = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void Finish() => _finished.SetResult();

        public override async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            await _finished.Task;
            return await base.PutAsync(key, content, cancellationToken);
        }
    }
}
