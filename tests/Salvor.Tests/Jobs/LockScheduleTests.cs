using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs;

/// <summary>A daemon that keeps the locks of a real bucket from running out, by a clock that runs faster.</summary>
public sealed class LockScheduleTests : IDisposable
{
    /// <summary>Ten minutes are half a second.</summary>
    const int Factor = 1200;

    readonly ScratchDirectory scratch = new();
    readonly Lines lines = new();

    public void Dispose() => scratch.Dispose();

    [Fact]
    public async Task What_is_locked_is_locked_for_longer_when_that_is_due_and_a_failure_is_tried_again()
    {
        var bucket = await (await CephGateway.StartedAsync()).NewLockableBucketAsync();
        var store = CephGateway.Open(bucket with { Lock = new S3Lock(S3LockMode.Compliance, TimeSpan.FromSeconds(20)) });
        await VaultModel.BuildAsync(store, new Random(7), steps: 2);
        var all = await store.ListAsync("app/", null, default).Select(row => row.Key).ToListAsync();

        // Of the claims only the newest is needed.
        var keys = all.Except(all.Where(key => key.StartsWith("app/claims/", StringComparison.Ordinal)).SkipLast(1)).ToList();
        var config = Config(bucket, "not-there");
        var time = new FastTime(Factor);
        using var stopping = new CancellationTokenSource();
        var running = new LockSchedule(() => Volatile.Read(ref config), time, lines).RunAsync(stopping.Token);

        await Eventually.HoldsAsync(() => lines.Count("Error app: its locks were not extended: ") > 1, () => $"{lines}");
        Volatile.Write(ref config, Config(bucket, bucket.Bucket));
        await Eventually.HoldsAsync(
            () => lines.Count($"Information app: {keys.Count} lock(s) at offsite now last until ") == 1, () => $"{lines}");

        // A day has 144 of these steps, and once a day is enough; then half of the time has not passed.
        var passed = time.GetTimestamp();
        await Eventually.HoldsAsync(() => time.GetElapsedTime(passed) > TimeSpan.FromHours(1), () => "the clock stands still");
        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        Assert.Equal(1, lines.Count("Information"));
        foreach (var key in keys)
        {
            var version = Assert.Single(await store.Locks.VersionsAsync(key, default));
            var shorter = () => store.Locks.ExtendAsync(
                key, version.Id, S3LockMode.Compliance, DateTimeOffset.UtcNow.AddDays(29), default);
            Assert.Equal(StorageFailure.Denied, (await Assert.ThrowsAsync<StorageException>(shorter)).Failure);
        }
    }

    SalvorConfig Config(S3Options bucket, string name)
    {
        var text = $$"""
            destinations:
              offsite:
                { type: s3, bucket: {{name}}, endpoint: "{{bucket.Endpoint}}", access_key_id: "${A}", secret_access_key: "${B}",
                  object_lock: { mode: compliance, days: 30 } }
            sources:
              app: { type: sqlite, path: {{scratch["app.db"]}}, to: [offsite], state_dir: {{scratch.Path}} }
            """;
        return ConfigFile.Parse(text, scratch["c.yaml"], item => item == "A" ? CephGateway.Owner.AccessKeyId : CephGateway.Secret);
    }

    sealed class Lines : ILogger
    {
        readonly ConcurrentQueue<string> lines = new();

        public int Count(string start) => lines.Count(line => line.StartsWith(start, StringComparison.Ordinal));

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(
            LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            lines.Enqueue($"{logLevel} {formatter(state, exception)}");

        public override string ToString() => string.Join('\n', lines);
    }
}
