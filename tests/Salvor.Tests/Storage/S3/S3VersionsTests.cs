using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage.S3;

/// <summary>A real bucket that keeps versions, and locks them.</summary>
public sealed class S3VersionsTests
{
    static readonly S3Lock Hour = new(S3LockMode.Compliance, TimeSpan.FromHours(1));

    [Fact]
    public async Task What_is_hidden_is_there_still_and_what_is_overwritten_can_be_read_as_it_was()
    {
        var (store, bucket) = await NewAsync(null);
        await store.PutAsync("a/1", "first"u8.ToArray(), default);
        await store.PutAsync("a/2", "second"u8.ToArray(), default);
        await store.PutAsync("a/3", "third"u8.ToArray(), default);
        await store.Locks.HideAsync("a/1", default);
        await store.Locks.PutAsync("a/2", "garbage"u8.ToArray(), only: null, default);
        await store.Locks.PutAsync("a/3", "more"u8.ToArray(), only: null, default);
        await store.Locks.HideAsync("a/3", default);
        await store.Locks.HideAsync("a/4", default);

        // As somebody sees it who has heard of none of it.
        store = CephGateway.Open(bucket);
        Assert.True(await store.KeepsEarlierAsync(default));
        Assert.Equal("first", await TextAsync(store, "a/1"));
        Assert.Equal("garbage", await TextAsync(store, "a/2"));
        Assert.Equal("more", await TextAsync(store, "a/3"));
        Assert.Null(await store.GetAsync("a/4", 100, default));
        var rows = await store.ListAsync("a/", null, default).ToListAsync();
        Assert.Equal([("a/1", 5L, true), ("a/2", 7, false), ("a/3", 4, true)], rows.Select(row => (row.Key, row.SizeBytes, row.IsHidden)));
        Assert.Equal(["a/2", "a/3"], await store.ListAsync("a/", "a/1", default).Select(row => row.Key).ToListAsync());
        Assert.Empty(await store.EarlierAsync("a/1", default));
        foreach (var (key, content) in ((string, string)[])[("a/2", "second"), ("a/3", "third")])
        {
            var earlier = Assert.Single(await store.EarlierAsync(key, default));
            var buffer = new byte[earlier.SizeBytes];
            Assert.Equal(content.Length, await store.ReadEarlierAsync(key, earlier, 0, buffer, default));
            Assert.Equal(content, System.Text.Encoding.UTF8.GetString(buffer));
        }
    }

    [Fact]
    public async Task A_deletion_of_ours_leaves_nothing_that_could_come_back()
    {
        var (store, bucket) = await NewAsync(null);
        await store.PutAsync("a/1", "first"u8.ToArray(), default);
        await store.Locks.PutAsync("a/1", "garbage"u8.ToArray(), only: null, default);
        await store.Locks.HideAsync("a/1", default);
        await store.PutAsync("a/11", "another"u8.ToArray(), default);

        await store.DeleteAsync("a/1", default);

        Assert.Empty(await store.Locks.ListAsync("a/1", default).Where(row => row.Key == "a/1").ToListAsync());
        Assert.Equal(["a/11"], await CephGateway.Open(bucket).ListAsync("", null, default).Select(row => row.Key).ToListAsync());
    }

    [Fact]
    public async Task What_is_locked_cannot_be_deleted_by_anybody_until_its_time_and_an_extension_moves_that()
    {
        var (store, bucket) = await NewAsync(new S3Lock(S3LockMode.Compliance, TimeSpan.FromSeconds(2)));
        await store.PutAsync("a/1", "first"u8.ToArray(), default);
        await store.PutAsync("a/2", "second"u8.ToArray(), default);
        var second = await store.Locks.ListAsync("a/2", default).SingleAsync();
        await store.Locks.ExtendAsync("a/2", second.Version, S3LockMode.Compliance, DateTimeOffset.UtcNow.AddHours(1), default);

        var refused = await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("a/1", default));
        await Eventually.HoldsAsync(() => TryDelete("a/1"), () => "a/1 stays locked");
        var extended = await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("a/2", default));

        Assert.Equal(StorageFailure.Denied, refused.Failure);
        Assert.Equal(
            $"cannot delete a version of a/1 at {store.Location}: it is locked, or the credentials of the test may not delete versions "
                + "(forbidden by object lock)",
            refused.Message);
        Assert.Equal($"Wait until its lock ends, or allow s3:DeleteObjectVersion on arn:aws:s3:::{bucket.Bucket}/*.", refused.Hint);
        Assert.Equal(StorageFailure.Denied, extended.Failure);
        Assert.Equal("second", await TextAsync(CephGateway.Open(bucket), "a/2"));

        bool TryDelete(string key)
        {
            try
            {
                store.DeleteAsync(key, default).GetAwaiter().GetResult();
                return true;
            }
            catch (StorageException)
            {
                return false;
            }
        }
    }

    [Fact]
    public async Task A_bucket_without_object_lock_is_named_with_the_way_out()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync() with { Lock = Hour };
        var store = CephGateway.Open(bucket);

        var put = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("a/1", new byte[1], default));
        var asked = await Assert.ThrowsAsync<StorageException>(() => store.Locks.ExpectAsync(default));

        Assert.Equal(
            $"cannot write a/1 at {store.Location}: bucket {bucket.Bucket} has no object lock, and 'object_lock' asks for it", put.Message);
        Assert.Equal(
            "Use a bucket that was made with it: 'aws s3api create-bucket --object-lock-enabled-for-bucket --bucket NAME', or leave "
                + "'object_lock' out.",
            put.Hint);
        Assert.Equal(put.Hint, asked.Hint);
        await (await NewAsync(Hour)).Store.Locks.ExpectAsync(default);
    }

    [Fact]
    public async Task Heads_and_what_else_lies_beside_the_vaults_is_not_locked()
    {
        var (store, bucket) = await NewAsync(Hour);
        store = new S3Store(bucket, _ => true) { IsLocked = Salvor.Vault.VaultKeys.IsLasting };
        foreach (var key in (string[])["_heads/a/1", "_bench/1", "app/log/000001/1"])
        {
            await store.PutAsync(key, new byte[1], default);
        }

        await store.DeleteAsync("_heads/a/1", default);
        await store.DeleteAsync("_bench/1", default);
        await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("app/log/000001/1", default));
    }

    [Fact]
    public async Task Who_may_only_add_cannot_delete_and_other_credentials_do_it_for_a_prune()
    {
        var (owner, bucket) = await NewAsync(null);
        await (await CephGateway.StartedAsync()).AllowOtherAsync(
            bucket.Bucket, "s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions",
            "s3:GetBucketVersioning");
        var writer = bucket with { Credentials = CephGateway.Other };
        var store = CephGateway.Open(writer);
        await store.PutAsync("a/1", "first"u8.ToArray(), default);
        await owner.Locks.HideAsync("a/1", default);

        var refused = await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("a/1", default));
        Assert.Equal("first", await TextAsync(CephGateway.Open(writer), "a/1"));
        await CephGateway.Open(writer with { Maintain = new S3Maintainer(CephGateway.Owner, null) }).DeleteAsync("a/1", default);

        Assert.Equal(StorageFailure.Denied, refused.Failure);
        Assert.Empty(await CephGateway.Open(writer).ListAsync("", null, default).ToListAsync());
    }

    [Fact]
    public async Task Who_may_not_know_of_versions_sees_the_newest_alone()
    {
        var (owner, bucket) = await NewAsync(null);
        await (await CephGateway.StartedAsync()).AllowOtherAsync(bucket.Bucket, "s3:GetObject", "s3:ListBucket");
        await owner.PutAsync("a/1", "first"u8.ToArray(), default);
        await owner.PutAsync("a/2", "second"u8.ToArray(), default);
        await owner.Locks.HideAsync("a/1", default);
        var other = CephGateway.Open(bucket with { Credentials = CephGateway.Other });

        Assert.Null(await other.SizeAsync("a/1", default));
        Assert.Equal(["a/2"], await other.ListAsync("", null, default).Select(row => row.Key).ToListAsync());
        var locked = CephGateway.Open(bucket with { Credentials = CephGateway.Other, Lock = Hour });
        var failure = await Assert.ThrowsAsync<StorageException>(() => locked.ListAsync("", null, default).ToListAsync().AsTask());
        Assert.Equal($"Allow s3:GetBucketVersioning on arn:aws:s3:::{bucket.Bucket}.", failure.Hint);
    }

    static async Task<string> TextAsync(S3Store store, string key) =>
        System.Text.Encoding.UTF8.GetString((await store.GetAsync(key, 100, default))!);

    static async Task<(S3Store Store, S3Options Bucket)> NewAsync(S3Lock? only)
    {
        var bucket = await (await CephGateway.StartedAsync()).NewLockableBucketAsync() with { Lock = only };
        return (CephGateway.Open(bucket), bucket);
    }
}
