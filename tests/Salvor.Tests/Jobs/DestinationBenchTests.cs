using Salvor.Jobs;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs;

public sealed class DestinationBenchTests
{
    readonly MemoryStore store = new();

    [Fact]
    public async Task Calls_that_are_refused_are_named()
    {
        var denied = new DenyingStore(store) { Denied = "list" };
        Assert.Equal(["list"], (await NewBench(denied).FindRefusedAsync(default)).Select(item => item.Verb));
        denied.Denied = "put";
        Assert.Equal(["put"], (await NewBench(denied).FindRefusedAsync(default)).Select(item => item.Verb));
        denied.Denied = "delete";
        Assert.Equal(["delete"], (await NewBench(denied).FindRefusedAsync(default)).Select(item => item.Verb));
        denied.Denied = "";
        Assert.Empty(await NewBench(denied).FindRefusedAsync(default));
    }

    [Fact]
    public async Task A_destination_that_replaces_objects_breaks_promises_that_are_named()
    {
        var results = await NewBench(new ReplacingStore(store)).TryPromisesAsync(_ => { }, default);
        var broken = results.Single(item => item.Name == "put never replaces an object");
        Assert.Equal("the second put answered that it created the object", broken.Broken);
        Assert.Null(results.Single(item => item.Name == "an object is read as it was put").Broken);
        Assert.Equal(StoreContract.Cases.Count, results.Count);
    }

    [Fact]
    public async Task What_is_measured_is_removed()
    {
        var bench = NewBench(store);
        var latency = await bench.MeasureLatencyAsync(canDelete: true, default);
        var (write, read) = await bench.MeasureThroughputAsync(20 << 20, canDelete: true, default);
        Assert.Equal(["put", "get", "size", "list", "delete"], latency.Select(item => item.Call));
        Assert.Equal((16L << 20, 16L << 20), (write.Bytes, read.Bytes));
        Assert.Empty(await store.ListAsync("", null, default).ToListAsync());
    }

    static DestinationBench NewBench(IObjectStore store) => new(store, TimeProvider.System, new Random(1));

    sealed class DenyingStore(IObjectStore inner) : ForwardingStore(inner)
    {
        public string Denied { get; set; } = "";

        public override Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
            Denied == "put" ? throw Refusal() : base.PutAsync(key, content, cancellationToken);

        public override IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
            Denied == "list" ? throw Refusal() : base.ListAsync(prefix, after, cancellationToken);

        public override Task DeleteAsync(string key, CancellationToken cancellationToken) =>
            Denied == "delete" ? throw Refusal() : base.DeleteAsync(key, cancellationToken);

        static StorageException Refusal() => new(StorageFailure.Denied, "it may not", "Let it.");
    }

    sealed class ReplacingStore(IObjectStore inner) : ForwardingStore(inner)
    {
        public override async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
        {
            await ReplaceAsync(key, content, cancellationToken);
            return PutResult.Created;
        }
    }
}
