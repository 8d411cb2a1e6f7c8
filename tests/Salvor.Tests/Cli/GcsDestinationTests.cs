using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>A bucket of Google Cloud Storage as a destination, as an operator has it.</summary>
public sealed class GcsDestinationTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_daemon_writes_a_bucket_from_which_everything_is_read_by_url_alone()
    {
        var bucket = await (await GoogleGateway.StartedAsync()).NewBucketAsync();
        File.WriteAllText(
            _rig["salvor.yaml"],
            $$"""
            destinations:
              google: { type: gcs, bucket: {{bucket.Bucket}}, prefix: some/where, storage_class: NEARLINE, endpoint: '{{bucket.Endpoint}}' }
            sources:
              app: { type: sqlite, path: ./app/app.db, to: [google] }

            """);
        await _rig.CreateDatabaseAsync();
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "app", "--timeout", "20s")).ExitCode);
        await CliRig.StopAsync(daemon);

        var url = $"gs://{bucket.Bucket}/some/where?endpoint={bucket.Endpoint}";
        Assert.Contains("app", (await _rig.ExpectAsync(0, "list", "--from", url)).Stdout, StringComparison.Ordinal);
        await _rig.ExpectAsync(0, "restore", "--from", url, "--output", "a.db");
        Assert.Equal("1 2", await CliRig.RowsAsync(_rig["a.db"]));
    }
}
