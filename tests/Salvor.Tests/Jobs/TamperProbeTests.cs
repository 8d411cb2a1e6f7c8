using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Storage.S3;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs;

/// <summary>A probe of real buckets, and of places without locks.</summary>
public sealed class TamperProbeTests
{
    [Theory]
    [InlineData(S3LockMode.Compliance)]
    [InlineData(S3LockMode.Governance)]
    public async Task A_locked_bucket_withstands_everything(S3LockMode mode)
    {
        var bucket = await (await CephGateway.StartedAsync()).NewLockableBucketAsync();

        var report = await ProbeAsync(bucket with { Lock = new S3Lock(mode, TimeSpan.FromDays(30)) });

        Assert.True(report.IsProtected, string.Join('\n', report.Steps));
        Assert.Equal(
            [
                "delete its version: was refused", "shorten its lock: was refused", "hide it by a plain delete: was allowed",
                "overwrite it: was allowed", "read the first version back: is whole",
            ],
            report.Steps.Select(step => $"{step.Name}: {step.Said}"));
        Assert.Equal(
            $"nobody with these credentials can delete copies before their lock ends ({mode.ToString().ToLowerInvariant()})",
            report.Summary);

        // What it put over its own object is gone, and what is locked stays for minutes.
        Assert.Single(await CephGateway.Open(bucket).Locks.ListAsync("", default).ToListAsync());
    }

    [Fact]
    public async Task A_bucket_that_only_keeps_versions_protects_nothing_from_who_may_delete_them()
    {
        var gateway = await CephGateway.StartedAsync();
        var bucket = await gateway.NewLockableBucketAsync();

        var owner = await ProbeAsync(bucket);
        await gateway.AllowOtherAsync(
            bucket.Bucket, "s3:PutObject", "s3:GetObject", "s3:GetObjectVersion", "s3:ListBucket", "s3:ListBucketVersions",
            "s3:GetBucketVersioning");
        var other = await ProbeAsync(bucket with { Credentials = CephGateway.Other });

        Assert.False(owner.IsProtected);
        Assert.Equal("copies can be deleted by whoever has these credentials", owner.Summary);
        Assert.True(other.IsProtected);
        Assert.Equal("these credentials may not delete versions; others may, because nothing is locked", other.Summary);
    }

    [Fact]
    public async Task Places_without_versions_are_told_as_what_they_are()
    {
        var bucket = await (await CephGateway.StartedAsync()).NewBucketAsync();

        Assert.Equal(
            "copies can be deleted by whoever has these credentials: the bucket keeps no versions, and nothing is locked",
            (await ProbeAsync(bucket)).Summary);
        var folder = await TamperProbe.RunAsync(
            new FileDestinationConfig { Name = "local", Path = "/var/backups" }, TimeProvider.System, new Random(1), default);
        Assert.Equal((false, "copies can be deleted by whoever has these credentials"), (folder.IsProtected, folder.Summary));
    }

    static Task<TamperReport> ProbeAsync(S3Options options) => TamperProbe.RunAsync(
        new S3DestinationConfig { Name = "offsite", Options = options }, TimeProvider.System, new Random(1), default);
}
