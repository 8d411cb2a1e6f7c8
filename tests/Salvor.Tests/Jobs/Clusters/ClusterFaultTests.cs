using Salvor.Jobs.Clusters;
using Salvor.Postgres;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>Whatever comes in the way of any segment of the log, no cluster is ever promoted that is short of what was promised.</summary>
public sealed class ClusterFaultTests(ClusterVault real) : IClassFixture<ClusterVault>, IAsyncDisposable
{
    readonly ScratchDirectory scratch = new();
    readonly HookServer failing = new() { Answer = _ => 503 };

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await failing.DisposeAsync();
        scratch.Dispose();
    }

    [Theory]
    [InlineData(ReadFault.Cut)]
    [InlineData(ReadFault.Denied)]
    [InlineData(ReadFault.Damaged)]
    [InlineData(ReadFault.Gone)]
    public async Task A_fault_at_any_segment_leaves_no_cluster_that_starts_and_is_no_end_of_the_log(ReadFault fault)
    {
        var plan = await real.PlanAsync(new RecoveryTarget.Latest());
        var healthy = await WalCatalog.LoadAsync(real.Vault, Cancel);
        var segments = SegmentsOf(plan);
        Assert.True(segments.Count > 2, $"{segments.Count} segments");
        foreach (var segment in segments)
        {
            var keys = healthy.Cover(1, segment.Range.Within(plan.Log)).Select(part => part.Source.Key).ToHashSet();
            var store = new ReadFaultStore(new FileStore(real.Vaults), fault, key => keys.Contains(key["pg/".Length..]));
            var vault = (await VaultAccess.FindAsync(store, "pg", null, Cancel))!;
            var target = scratch[$"{fault}-{segment.Name}"];

            var failure = await Assert.ThrowsAnyAsync<SalvorException>(async () => await new ClusterRestore(
                real.Snapshot, await WalCatalog.LoadAsync(vault, Cancel), plan).RunAsync(target, Cancel));
            Assert.True(store.Hits > 0, $"{segment.Name} was never read: {failure.Message}");
            Assert.False(Directory.Exists(target), $"{target} is there without its log");

            var told = new List<string>();
            var got = await WalGet.RunAsync(
                [async () => (await VaultAccess.FindAsync(store, "pg", null, Cancel))!], segment.Name, scratch["got"],
                e => told.Add(e.Message), Cancel);
            Assert.True(got == WalGet.Unknown, $"{segment.Name}: {got}");
            Assert.Single(told);
            Assert.False(File.Exists(scratch["got"]));
        }
    }

    [Fact]
    public async Task A_server_that_asks_by_itself_ends_at_each_segment_with_a_fault_and_goes_on_when_that_is_over()
    {
        var moment = real.Moments[^1];
        var plan = await real.PlanAsync(new RecoveryTarget.Transaction(moment.Xid));
        await using var server = await PostgresServer.AtAsync(scratch, "restored");
        await new ClusterRestore(real.Snapshot, await WalCatalog.LoadAsync(real.Vault, Cancel), plan).RunAsync(server.Data, Cancel);
        Directory.Delete(Path.Combine(server.Data, RecoveryFolder.Name), recursive: true);
        var folder = await ConfigureAsync();
        await File.AppendAllTextAsync(
            Path.Combine(server.Data, "postgresql.auto.conf"),
            $"restore_command = '/bin/sh {folder}/get %f %p'\ndata_directory = '{server.Data}'\nexternal_pid_file = ''\n", Cancel);
        string[] own = ["-D", server.Data, "-c", $"data_directory={server.Data}", "-c", "external_pid_file="];

        string[] faults = ["cut", "busy", "damaged"];
        foreach (var (i, segment) in SegmentsOf(plan).Index())
        {
            await SayAsync(segment.Name, faults[i % faults.Length]);
            var ended = await PostgresServer.RunAsync(
                "postgres", [.. own, "-c", $"port={server.Port}", "-c", $"unix_socket_directories={server.Folder}"]);

            Assert.True(ended.ExitCode == 1, $"{segment.Name}: {ended}");
            Assert.Contains($"could not restore file \"{segment.Name}\"", ended.Stderr, StringComparison.Ordinal);
            Assert.True(File.Exists(Path.Combine(server.Data, "recovery.signal")), $"{segment.Name}: {ended}");
        }

        await SayAsync("none", "cut");
        await using var whole = await PrivateServer.StartAsync(new(server.Data), "postgres", TimeProvider.System, Cancel);
        await whole.RecoveredAsync(plan.Promised, Cancel);
        Assert.Equal(moment.Digest, await ClusterRestoreTests.AskAsync(whole, ClusterVault.DigestSql));

        async Task SayAsync(string name, string fault)
        {
            await File.WriteAllTextAsync(Path.Combine(folder, "bad"), name, Cancel);
            await File.WriteAllTextAsync(Path.Combine(folder, "fault"), fault, Cancel);
        }
    }

    static List<WalSegment> SegmentsOf(RecoveryPlan plan)
    {
        var segments = new List<WalSegment>();
        for (var at = plan.Log.First.Floor(PostgresServer.SegmentBytes); at < plan.Log.End; at += PostgresServer.SegmentBytes)
        {
            segments.Add(WalSegment.Of(1, at, PostgresServer.SegmentBytes));
        }

        return segments;
    }

    /// <summary>A folder with a command that meets a fault at one segment, by a configuration for each.</summary>
    async Task<string> ConfigureAsync()
    {
        var folder = scratch.Subdirectory("keeper");
        Assert.Equal(0, (await ChildProcess.RunAsync("cp", ["-a", real.Vaults, Path.Combine(folder, "vaults")])).ExitCode);
        Assert.Equal(0, (await ChildProcess.RunAsync("cp", ["-a", real.Vaults, Path.Combine(folder, "broken")])).ExitCode);
        foreach (var path in Directory.GetFiles(Path.Combine(folder, "broken/pg/wal"), "*", SearchOption.AllDirectories))
        {
            var bytes = await File.ReadAllBytesAsync(path, Cancel);
            bytes[bytes.Length / 2] ^= 1;
            await File.WriteAllBytesAsync(path, bytes, Cancel);
        }

        const string Bucket = "type: s3, bucket: acme, region: eu-west-1, path_style: true, access_key_id: a, secret_access_key: b";
        foreach (var (name, destination) in ((string, string)[])
            [
                ("none", "type: file, path: ./vaults"), ("damaged", "type: file, path: ./broken"),
                ("cut", $"{Bucket}, endpoint: \"http://127.0.0.1:1\""), ("busy", $"{Bucket}, endpoint: \"{failing.Url}\""),
            ])
        {
            await File.WriteAllTextAsync(
                Path.Combine(folder, $"{name}.yaml"),
                $$"""
                destinations: { there: { {{destination}} } }
                sources: { pg: { type: postgres, connection: "user=postgres", to: there } }

                """,
                Cancel);
        }

        await File.WriteAllTextAsync(
            Path.Combine(folder, "get"),
            $"""
            fault=none
            [ "$1" = "$(cat {folder}/bad)" ] && fault=$(cat {folder}/fault)
            exec {string.Join(' ', SalvorProcess.CommandLine)} wal-get "$1" "$2" --config {folder}/$fault.yaml --source pg

            """,
            Cancel);
        await PostgresServer.OwnAsync(folder);
        return folder;
    }

    /// <summary>What a read of an object may come to.</summary>
    public enum ReadFault
    {
        /// <summary>The network, or an answer of the service that it is busy.</summary>
        Cut,
        Denied,
        Damaged,
        Gone,
    }

    sealed class ReadFaultStore(IObjectStore inner, ReadFault fault, Predicate<string> isHit) : ForwardingStore(inner)
    {
        int hits;

        public int Hits => hits;

        public override async Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var length = await base.ReadAsync(key, offset, buffer, cancellationToken);
            if (!isHit(key))
            {
                return length;
            }

            Interlocked.Increment(ref hits);
            switch (fault)
            {
                case ReadFault.Damaged:
                    buffer.Span[length / 2] ^= 1;
                    return length;
                case ReadFault.Gone:
                    throw new StorageException(StorageFailure.NotFound, $"{key} is not there", "Look for it.");
                default:
                    throw new StorageException(
                        fault == ReadFault.Cut ? StorageFailure.Unreachable : StorageFailure.Denied, $"{key} cannot be read", "Wait.");
            }
        }
    }
}
