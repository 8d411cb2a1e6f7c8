using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Jobs.Config;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs;

/// <summary>What the configuration says of how much a destination may take, and of whom it trusts on the way.</summary>
public sealed class DestinationLimitsTests
{
    [Fact]
    public void A_limit_is_so_many_bytes_a_second()
    {
        var destination = Read("max_upload: 20MiB/s, max_download: 1.5MB/s, max_concurrent_uploads: 10");

        Assert.Equal(
            (20L << 20, 1_500_000L, 10), (destination.UploadMax, destination.DownloadMax, destination.ConcurrentCallsMax));
        var none = Read("region: r");
        Assert.Equal((null, null, null), (none.UploadMax, none.DownloadMax, none.ConcurrentCallsMax));
    }

    [Theory]
    [InlineData("max_upload: 20MiB", "max_upload of destination local is \"20MiB\", which is not a number of bytes a second")]
    [InlineData("max_download: fast", "max_download of destination local is \"fast\", which is not a number of bytes a second")]
    [InlineData("max_upload: 9B/s", "max_upload of destination local is \"9B/s\", which is not a number of bytes a second")]
    [InlineData("max_concurrent_uploads: 0", "max_concurrent_uploads of destination local is 0, outside of 1 to 10000")]
    public void A_limit_that_is_none_is_named(string keys, string message) =>
        Assert.EndsWith(message, Assert.Throws<SalvorException>(() => Read(keys)).Message, StringComparison.Ordinal);

    [Fact]
    public async Task All_who_use_a_destination_share_its_limit_then_the_variable_wins_over_the_configuration()
    {
        var destination = Destination("shared-limits") with { ConcurrentCallsMax = 9 };
        var held = new HeldStore { Holds = "held" };
        static string? One(string name) => name == "AWS_MAX_CONCURRENT_REQUESTS" ? "1" : null;
        using var stop = new CancellationTokenSource();

        var holding = DestinationLimits.Apply(destination, held, One).PutAsync("held", new byte[1], stop.Token);
        var other = DestinationLimits.Apply(destination with { Name = "again" }, new MemoryStore(), One).SizeAsync("a", default);
        Assert.False(other.IsCompleted);
        Assert.Null(await DestinationLimits.Apply(destination, new MemoryStore(), _ => null).SizeAsync("a", default));
        await stop.CancelAsync();

        Assert.Null(await other.WaitAsync(Eventually.StartMax));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => holding);
    }

    [Fact]
    public void A_variable_that_is_no_number_is_named() => Assert.Equal(
        "AWS_MAX_CONCURRENT_REQUESTS is \"many\", which is not a whole number from 1 on",
        Assert.Throws<SalvorException>(() => DestinationLimits.Apply(Destination("a-bucket"), new MemoryStore(), _ => "many")).Message);

    [Fact]
    public void A_destination_without_a_network_has_no_limits() => Assert.IsType<FileStore>(
        Destinations.Open(new FileDestinationConfig { Name = "local", Path = "/nowhere" }));

    [Fact]
    public void Plain_http_that_was_allowed_is_told_once()
    {
        const string Url = "s3://acme?endpoint=http://192.0.2.7:9000&allow_insecure=true";
        const string Warning =
            $"{Url} is plain http with 192.0.2.7:9000: whoever is on the network between can read and change what is sent";
        var told = new List<string>();
        Destinations.Warn = told.Add;
        try
        {
            Destinations.Open(DestinationUrl.Parse(Url));
            Destinations.Open(DestinationUrl.Parse(Url.Replace("acme", "acme/app", StringComparison.Ordinal)));
        }
        finally
        {
            Destinations.Warn = null;
        }

        Assert.Equal(Warning, Assert.Single(told, line => line.Contains("192.0.2.7", StringComparison.Ordinal)));
        const string Azure = "azure://box?account=acme&endpoint=http://192.0.2.8&allow_insecure=true";
        Assert.Equal("192.0.2.8", DestinationUrl.Parse(Azure).InsecureHost());
        Assert.All(
            (string[])["s3://acme?region=r", "s3://acme?endpoint=http://127.0.0.1:9000", "azure://box?account=acme", "sftp://nas/srv"],
            url => Assert.Null(DestinationUrl.Parse(url).InsecureHost()));
    }

    static S3DestinationConfig Destination(string bucket) => new() { Name = "local", Options = new S3Options { Bucket = bucket } };

    static DestinationConfig Read(string keys) => ConfigTesting.Parse(
        ConfigTesting.Minimal.Replace("type: file, path: /backups", $"type: s3, bucket: acme, {keys}")).Destinations["local"];
}
