using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Jobs;

/// <summary>What a destination is asked that charges for each request, by a clock that runs faster.</summary>
[Collection(QuietMachine.Name)]
public sealed class RequestCountTests : IAsyncDisposable
{
    readonly ScratchDirectory scratch = new();
    readonly ConcurrentQueue<StoreCall> calls = new();
    readonly ConcurrentQueue<StoreCall> furtherCalls = new();
    readonly MemoryStore copy = new();
    FastTime time = null!;
    ProtectionHost? host;

    async Task StartAsync(int factor)
    {
        time = new FastTime(factor);
        await Tool.SqlAsync(scratch["app.db"], "PRAGMA journal_mode = WAL; CREATE TABLE t(x, y);");
        host = new ProtectionHost("test", time, new Random(1), NullLogger.Instance);
        host.Add(
            new ReplicatorOptions
            {
                Name = "app", Path = scratch["app.db"], StateDirectory = scratch["state"], Batch = SqliteSourceConfig.BatchRemoteDefault,
                BlockMax = SqliteSourceConfig.BlockMaxDefault, WalMaxBytes = SqliteSourceConfig.WalMaxBytesDefault,
            },
            Counting(new MemoryStore(), calls),
            [new SourceDestination(Counting(copy, furtherCalls), IsRequired: true)]);
        await host.SyncAsync("app", TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await host!.DisposeAsync();
        scratch.Dispose();
    }

    [Fact]
    public async Task Commits_without_a_pause_cost_a_put_a_second_and_the_merging_of_the_log_a_few_reads_for_each()
    {
        await StartAsync(factor: 10);
        await using var app = SqlApp.Start(scratch["app.db"]);
        var started = time.GetTimestamp();
        calls.Clear();
        furtherCalls.Clear();
        while (time.GetElapsedTime(started) < TimeSpan.FromMinutes(3))
        {
            await app.DoAsync("INSERT INTO t VALUES (?, randomblob(200))", repeat: 100);
        }

        var seconds = time.GetElapsedTime(started).TotalSeconds;
        var (first, further) = (calls.ToList(), furtherCalls.ToList());
        var commits = int.Parse(await app.ReadAsync("SELECT count(*) FROM t"), CultureInfo.InvariantCulture);
        var told = $"{commits} commits in {seconds:0} s: {Told(first)}; further: {Told(further)}";
        Assert.True(commits > 10 * seconds, told);

        var most = (1.1 * seconds) + 10;
        Assert.True(Count(first, StoreOperation.Put) <= most, told);

        // What was just put is not fetched again: what is read is what the merging made, to see that it is there.
        Assert.True(Count(first, StoreOperation.Read) + Count(first, StoreOperation.Size) <= 0.5 * seconds, told);
        Assert.True(Count(first, StoreOperation.List) <= 0.7 * seconds, told);
        Assert.True(Count(further, StoreOperation.Put) <= most, told);
        Assert.True(further.Count <= 2 * most, told);

        // And what was spared is not missing.
        var position = await host!.SyncAsync("app", TestContext.Current.CancellationToken);
        var restored = scratch["restored.db"];
        await File.WriteAllBytesAsync(restored, await VaultReading.RestoreAsync(copy, 1, position), TestContext.Current.CancellationToken);
        await using var reader = SqlApp.Start(restored);
        Assert.Equal($"{commits}", await reader.ReadAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task A_source_at_rest_costs_a_head_each_quarter_of_an_hour_and_nothing_else()
    {
        await StartAsync(factor: 100);

        // The first merging and the first copy are over then; the next look at what may be merged comes after an hour.
        await Task.Delay(TimeSpan.FromMinutes(3), time, TestContext.Current.CancellationToken);
        calls.Clear();
        furtherCalls.Clear();
        var started = time.GetTimestamp();
        await Task.Delay(TimeSpan.FromMinutes(10), time, TestContext.Current.CancellationToken);
        var quarters = (time.GetElapsedTime(started) / Heads.Interval) + 1;

        // A head, and the removal of the one before it.
        Assert.True(calls.All(call => call.Key.StartsWith(VaultKeys.Heads, StringComparison.Ordinal)), Told(calls));
        Assert.True(calls.Count <= 4 * quarters, Told(calls));
        Assert.Empty(furtherCalls);
    }

    static FaultyStore Counting(MemoryStore store, ConcurrentQueue<StoreCall> calls) => new(store, call =>
    {
        calls.Enqueue(call);
        return Fault.None;
    });

    static int Count(IEnumerable<StoreCall> calls, StoreOperation operation) => calls.Count(call => call.Operation == operation);

    static string Told(IEnumerable<StoreCall> calls) => string.Join(
        ", ", calls.GroupBy(call => (call.Operation, Folder(call.Key))).Select(group => $"{group.Key} {group.Count()}"));

    static string Folder(string key) => key.Contains('-', StringComparison.Ordinal) ? "merged" : key.Split('/')[^2];
}
