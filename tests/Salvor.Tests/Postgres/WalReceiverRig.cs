using System.Collections.Concurrent;
using Salvor.Postgres;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>Receivers that follow real servers into one vault in memory, and what they tell.</summary>
public abstract class WalReceiverRig : IAsyncLifetime
{
    private protected ScratchDirectory Scratch { get; } = new();

    private protected MemoryStore Store { get; } = new();

    /// <summary>What the receivers told.</summary>
    private protected ConcurrentQueue<string> Heard { get; } = new();

    private protected List<(CancellationTokenSource Stop, Task Run)> Runs { get; } = [];

    /// <summary>Whether nobody gets to the vault.</summary>
    private protected bool IsAway { get; set; }

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await StopAllAsync();
        Scratch.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected WalPublishing Follow(PostgresServer server, Func<WalReceiverOptions, WalReceiverOptions>? change = null)
    {
        var options = Options(server);
        var publishing = new WalPublishing(change?.Invoke(options) ?? options, _ => VaultAsync(), TimeProvider.System)
        {
            Told = notice => Heard.Enqueue(notice.Text),
        };
        var stop = new CancellationTokenSource();
        Runs.Add((stop, Task.Run(() => publishing.RunAsync(stop.Token))));
        return publishing;
    }

    private protected WalReceiverOptions Options(PostgresServer server) => new()
    {
        Server = server.Connection, Folder = Scratch["spool"], RetryEvery = TimeSpan.FromMilliseconds(100),
        PublishEvery = TimeSpan.FromMilliseconds(100),
    };

    private protected async Task StopAllAsync()
    {
        foreach (var (stop, run) in Runs)
        {
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
            stop.Dispose();
        }

        Runs.Clear();
    }

    /// <summary>Returns when all that the server has is in the vault.</summary>
    private protected async Task ReachedAsync(PostgresServer server, WalPublishing publishing, uint timeline)
    {
        Assert.True(Lsn.TryParse(await server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        await Eventually.HoldsAsync(
            () => publishing.PublishedOf(timeline) >= end || Runs[^1].Run.IsCompleted,
            () => $"{publishing.PublishedOf(timeline)} of {end}\n{Told()}", Eventually.StartMax);
        if (Runs[^1].Run.IsFaulted)
        {
            await Runs[^1].Run;
        }
    }

    /// <summary>What the vault gives for each segment is what the server has.</summary>
    private protected async Task AssertSameAsync(PostgresServer server, uint timeline)
    {
        var vault = await VaultAsync();
        var catalog = await WalCatalog.LoadAsync(vault, default);
        using var reader = new WalReader(catalog);
        var compared = 0;
        foreach (var path in Directory.GetFiles(server.Wal))
        {
            if (WalSegment.TryParse(Path.GetFileName(path), PostgresServer.SegmentBytes, out var segment) && segment.Timeline <= timeline
                && await reader.SegmentAsync(segment, default) is { } got)
            {
                var there = await File.ReadAllBytesAsync(path);
                // Of the timelines before its own it has what was before it left them.
                var (branch, left) = (catalogBranch(segment.Timeline), ForkFrom(catalogBranch(segment.Timeline)));
                var length = (int)(Lsn.Min(Lsn.Min(catalog.Reach(branch, segment.Range.First), segment.Range.End), left)
                    - segment.Range.First);
                var same = there.AsSpan().CommonPrefixLength(got);
                Assert.True(same >= length, $"{segment.Name} differs at {segment.Range.First + same}");
                compared++;
            }
        }

        Assert.True(compared > 2);
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default)).Findings);
        uint catalogBranch(uint number) => WalBranches.Find(catalog.Branches, number)!.Number;
        Lsn ForkFrom(uint branch) => catalog.Branches.Where(item => item.Record.Parent == branch)
            .Select(item => new Lsn(item.Record.ForkPosition)).Append(new Lsn(ulong.MaxValue)).Min();
    }

    private protected static async Task PromoteAsync(PostgresServer server)
    {
        await server.StopAsync();
        await File.WriteAllTextAsync(Path.Combine(server.Data, "standby.signal"), "");
        await server.StartAsync();
        await server.SqlAsync("select pg_promote()");
    }

    private protected static async Task ExpectAsync(Task<ProcessResult> run)
    {
        var result = await run;
        Assert.True(result.ExitCode == 0, result.ToString());
    }

    private protected string Told() => string.Join('\n', Heard);

    private protected Task<VaultAccess> VaultAsync() => IsAway
        ? throw new StorageException(StorageFailure.Unreachable, "nobody answers", "Wait.")
        : VaultAccess.OpenOrCreateAsync(Store, "pg", VaultIdentity.Postgres, "pg", TimeProvider.System, default);
}
