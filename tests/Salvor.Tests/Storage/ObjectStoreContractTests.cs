using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage;

/// <summary>A store joins with one class that derives from this one.</summary>
public abstract class ObjectStoreContractTests
{
    public static TheoryData<string> Promises => [.. StoreContract.Cases.Select(item => item.Name)];

    protected abstract IObjectStore CreateStore();

    [Theory]
    [MemberData(nameof(Promises))]
    public async Task The_store_keeps_its_promise(string promise)
    {
        var store = CreateStore();

        await StoreContract.Cases.Single(item => item.Name == promise)
            .RunAsync(store, "trial", TestContext.Current.CancellationToken);

        Assert.Empty(await store.ListAsync("", null, TestContext.Current.CancellationToken).ToListAsync());
    }
}

public sealed class MemoryStoreContractTests : ObjectStoreContractTests
{
    protected override IObjectStore CreateStore() => new MemoryStore();
}

public sealed class FileStoreContractTests : ObjectStoreContractTests, IDisposable
{
    readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    protected override IObjectStore CreateStore() => new FileStore(directory.Path);
}
