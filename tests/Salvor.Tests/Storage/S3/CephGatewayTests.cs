using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage.S3;

/// <summary>The contract on a real service.</summary>
public sealed class S3StoreContractTests : ObjectStoreContractTests
{
    protected override IObjectStore CreateStore()
    {
        var gateway = CephGateway.StartedAsync().GetAwaiter().GetResult();
        return CephGateway.Open(gateway.NewBucketAsync().GetAwaiter().GetResult() with { Prefix = "some/where" });
    }
}

/// <summary>What a real service refuses, in the words that an operator reads.</summary>
public sealed class CephGatewayTests
{
    [Fact]
    public async Task A_user_who_may_put_and_get_may_not_list_and_is_told_so()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync();
        await gateway.AllowOtherAsync(bucket.Bucket, "s3:PutObject", "s3:GetObject");
        var store = CephGateway.Open(bucket with { Credentials = CephGateway.Other });

        Assert.Equal(PutResult.Created, await store.PutAsync("log/1", new byte[] { 1, 2, 3 }, default));
        Assert.Equal([1, 2, 3], await store.GetAsync("log/1", 10, default));
        var list = await Assert.ThrowsAsync<StorageException>(() => store.ListAsync("", null, default).ToListAsync().AsTask());
        var delete = await Assert.ThrowsAsync<StorageException>(() => store.DeleteAsync("log/1", default));

        Assert.Equal(StorageFailure.Denied, list.Failure);
        Assert.Equal($"cannot list at {store.Location}: the credentials of the test may not list", list.Message);
        Assert.Equal($"Allow s3:ListBucket on arn:aws:s3:::{bucket.Bucket}.", list.Hint);
        Assert.Equal($"cannot delete log/1 at {store.Location}: the credentials of the test may not delete", delete.Message);
    }

    [Fact]
    public async Task A_user_who_may_read_may_not_write_and_is_told_so()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync();
        await CephGateway.Open(bucket).PutAsync("log/1", new byte[] { 1, 2, 3 }, default);
        await gateway.AllowOtherAsync(bucket.Bucket, "s3:GetObject", "s3:ListBucket");
        var store = CephGateway.Open(bucket with { Credentials = CephGateway.Other });

        Assert.Equal(3, await store.SizeAsync("log/1", default));
        Assert.Null(await store.SizeAsync("log/2", default));
        var put = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("log/2", new byte[1], default));

        Assert.Equal($"cannot write log/2 at {store.Location}: the credentials of the test may not write", put.Message);
        Assert.Equal($"Allow s3:PutObject on arn:aws:s3:::{bucket.Bucket}/*.", put.Hint);
    }

    [Fact]
    public async Task What_is_wrong_with_the_options_is_named()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync();
        var service = new Uri(gateway.Endpoint).Authority;

        await AssertRefusedAsync(bucket with { Bucket = "nowhere" }, $"there is no bucket nowhere at {service}");
        await AssertRefusedAsync(
            bucket with { Credentials = new AwsCredentials("nobody", CephGateway.Secret, null, "the test") },
            "the service does not know the access key of the test");
        await AssertRefusedAsync(
            bucket with { Credentials = new AwsCredentials("testkey", "wrong", null, "the test") },
            "the secret key of the test is not the right one");
        await AssertRefusedAsync(bucket with { Endpoint = "http://127.0.0.1:1" }, "cannot connect to 127.0.0.1:1: Connection refused");
        await AssertRefusedAsync(
            bucket with { Endpoint = "http://nowhere.localhost.invalid", AllowInsecure = true },
            "there is no host nowhere.localhost.invalid");
    }

    [Fact]
    public async Task An_endpoint_that_speaks_something_else_is_named()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync();
        var service = new Uri(gateway.Endpoint).Authority;
        var ssh = $"127.0.0.1:{(await SshServer.RunningAsync()).Port}";

        await AssertRefusedAsync(
            bucket with { Endpoint = $"https://{service}" }, $"{service} does not answer with TLS");
        await AssertRefusedAsync(bucket with { Endpoint = $"http://{ssh}" }, $"{ssh} answered something else than HTTP");
    }

    [Fact]
    public async Task A_clock_that_is_wrong_is_named()
    {
        var gateway = await CephGateway.StartedAsync();
        var time = new ManualTime();
        time.Advance(DateTimeOffset.UtcNow - time.GetUtcNow() + TimeSpan.FromMinutes(40));
        var store = new S3Store(await gateway.NewBucketAsync(), _ => true, time);

        var failure = await Assert.ThrowsAsync<StorageException>(() => store.SizeAsync("log/1", default));

        Assert.Equal(
            $"cannot look for log/1 at {store.Location}: the clock of this machine is ahead of the service's by 40 minutes",
            failure.Message);
    }

    [Fact]
    public async Task A_service_that_leaves_objects_in_clear_is_found_out()
    {
        // This version takes the header for SSE-S3 and does nothing about it.
        var gateway = await CephGateway.StartedAsync();
        var store = CephGateway.Open(await gateway.NewBucketAsync() with { Encryption = S3Encryption.Aes256 });

        var failure = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("log/1", new byte[1], default));

        Assert.Equal(
            $"cannot write log/1 at {store.Location}: the service does not encrypt although 'sse' asks for it", failure.Message);
    }

    [Fact]
    public async Task An_object_that_the_service_encrypts_is_read_as_it_was_put()
    {
        var gateway = await CephGateway.StartedAsync();
        var store = CephGateway.Open(
            await gateway.NewBucketAsync() with { Encryption = S3Encryption.Kms, KmsKey = "testkey-1", StorageClass = "STANDARD_IA" });
        var content = new byte[200_000];
        new Random(1).NextBytes(content);

        Assert.Equal(PutResult.Created, await store.PutAsync("packs/1", content, default));
        Assert.Equal(content, await store.GetAsync("packs/1", content.Length, default));
        Assert.Equal(PutResult.AlreadyExists, await store.PutAsync("packs/1", new byte[1], default));
    }

    static async Task AssertRefusedAsync(S3Options options, string reason)
    {
        var store = CephGateway.Open(options);

        foreach (var (call, verb) in ((Func<Task>, string)[])
        [
            (() => store.PutAsync("log/1", new byte[1], default), "write log/1"),
            (() => store.SizeAsync("log/1", default), "look for log/1"),
            (() => store.ReadAsync("log/1", 0, new byte[1], default), "read log/1"),
            (() => store.ListAsync("", null, default).ToListAsync().AsTask(), "list"),
            (() => store.DeleteAsync("log/1", default), "delete log/1"),
        ])
        {
            var failure = await Assert.ThrowsAsync<StorageException>(call);
            Assert.Equal($"cannot {verb} at {store.Location}: {reason}", failure.Message);
        }
    }
}
