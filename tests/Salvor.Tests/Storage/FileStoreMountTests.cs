using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage;

/// <summary>A real file system that fills up, turns read-only or goes away.</summary>
public sealed class FileStoreMountTests : IDisposable
{
    readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public async Task A_full_destination_may_have_space_later()
    {
        using var mount = TemporaryMount.OfOneMebibyte(directory.Path);
        var store = new FileStore(directory.Path);
        await PutAsync(store, "vault/a", 600 * 1024);

        var failure = await Assert.ThrowsAsync<StorageException>(() => PutAsync(store, "vault/b", 600 * 1024));

        Assert.Equal(StorageFailure.Full, failure.Failure);
        Assert.True(failure.MayPass);
        Assert.Equal($"cannot write vault/b at {directory.Path}: no space left on device", failure.Message);
        Assert.Equal(
            $"Free space there: 'df -h {directory.Path}' shows how much is left.", failure.Hint);
    }

    [Fact]
    public async Task A_put_that_found_no_space_leaves_none_of_its_own_behind()
    {
        using var mount = TemporaryMount.OfOneMebibyte(directory.Path);
        var store = new FileStore(directory.Path);
        await Assert.ThrowsAsync<StorageException>(() => PutAsync(store, "vault/a", 2 * 1024 * 1024));

        Assert.Equal(PutResult.Created, await PutAsync(store, "vault/b", 900 * 1024));
        Assert.Equal([directory["vault/b"]], Directory.GetFiles(directory["vault"]));
    }

    [Fact]
    public async Task A_destination_that_is_mounted_read_only_is_denied()
    {
        using var mount = TemporaryMount.OfOneMebibyte(directory.Path);
        var store = new FileStore(directory.Path);
        await PutAsync(store, "vault/a", 1);
        mount.MakeReadOnly();

        var failure = await Assert.ThrowsAsync<StorageException>(() => PutAsync(store, "vault/b", 1));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal($"cannot write vault/b at {directory.Path}: read-only file system", failure.Message);
        Assert.Equal($"Mount it writable: 'findmnt -T {directory.Path}' shows how it is mounted.", failure.Hint);
        Assert.Equal(1, await store.SizeAsync("vault/a", default));
    }

    [Fact]
    public async Task A_destination_that_was_unmounted_is_neither_empty_nor_filled_underneath()
    {
        using var mount = TemporaryMount.OfOneMebibyte(directory.Path);
        var store = new FileStore(directory.Path, createRoot: true);
        await PutAsync(store, "vault/a", 1);
        mount.Unmount();

        await AssertUnmountedAsync(() => PutAsync(store, "vault/b", 1));
        await AssertUnmountedAsync(() => PutAsync(store, "c", 1));
        await AssertUnmountedAsync(() => store.SizeAsync("vault/a", default));
        await AssertUnmountedAsync(() => store.ReadAsync("vault/a", 0, new byte[1], default));
        await AssertUnmountedAsync(() => store.DeleteAsync("vault/a", default));
        await AssertUnmountedAsync(() => store.ListAsync("vault/", null, default).ToListAsync().AsTask());
        await AssertUnmountedAsync(() => store.ListAsync("", null, default).ToListAsync().AsTask());
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    [Fact]
    public async Task A_destination_that_is_mounted_again_works_again()
    {
        var mount = TemporaryMount.OfOneMebibyte(directory.Path);
        var store = new FileStore(directory.Path);
        await PutAsync(store, "vault/a", 1);
        mount.Unmount();
        await Assert.ThrowsAsync<StorageException>(() => PutAsync(store, "vault/b", 1));

        using var again = TemporaryMount.OfOneMebibyte(directory.Path);

        Assert.Equal(PutResult.Created, await PutAsync(store, "vault/b", 1));
    }

    async Task AssertUnmountedAsync(Func<Task> call)
    {
        var failure = await Assert.ThrowsAsync<StorageException>(call);
        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal($"destination {directory.Path} is no longer mounted", failure.Message);
    }

    static Task<PutResult> PutAsync(FileStore store, string key, int sizeBytes) =>
        store.PutAsync(key, new byte[sizeBytes], TestContext.Current.CancellationToken);
}
