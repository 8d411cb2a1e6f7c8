using Microsoft.Extensions.Logging;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Compaction;

namespace Salvor.Jobs;

/// <summary>
/// Merges the logs of all sources of a process, one after the other, about every minute and only where something was published. Nothing
/// waits for it: what fails is tried again a minute later.
/// </summary>
sealed class LogMerging : IAsyncDisposable
{
    static readonly TimeSpan Step = TimeSpan.FromMinutes(1);

    readonly Action tidied;
    readonly TimeProvider time;
    readonly ILogger logger;
    readonly Func<IEnumerable<(SqliteReplicator Source, IObjectStore Store)>> sources;
    readonly CancellationTokenSource stopping = new();
    readonly Dictionary<SqliteReplicator, Source> known = [];
    readonly Task running;

    /// <param name="sources">What there is to merge, and the store through which.</param>
    /// <param name="tidied">Called about every minute, after the merging.</param>
    /// <param name="time">The clock.</param>
    /// <param name="logger">For what an operator has to know.</param>
    public LogMerging(
        Func<IEnumerable<(SqliteReplicator Source, IObjectStore Store)>> sources, Action tidied, TimeProvider time, ILogger logger)
    {
        (this.sources, this.tidied, this.time, this.logger) = (sources, tidied, time, logger);
        running = Task.Run(RunAsync);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await running.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stopping.Dispose();
    }

    async Task RunAsync()
    {
        while (true)
        {
            await Task.Delay(Step, time, stopping.Token);
            var all = sources().ToList();
            foreach (var gone in known.Keys.Except(all.Select(item => item.Source)).ToList())
            {
                known.Remove(gone);
            }

            foreach (var (source, store) in all)
            {
                await MergeIfDueAsync(source, store);
            }

            tidied();
        }
    }

    async Task MergeIfDueAsync(SqliteReplicator source, IObjectStore store)
    {
        var number = source.LogNumber;
        var state = known.TryGetValue(source, out var last) ? last : known[source] = new Source();
        if (number == 0 || source.Epoch is not { } epoch || (number == state.Number && !(state.Due <= time.GetUtcNow())))
        {
            return;
        }

        try
        {
            state.Merger ??= await VaultAccess.FindAsync(
                store, source.Options.Name, source.Options.Keys, stopping.Token) is { } vault
                ? new LogMerger(vault.With(source.Options.Compression), epoch, time)
                : null;
            var again = state.Merger is null ? null : await state.Merger.RunAsync(stopping.Token);
            (state.Number, state.Due) = (number, time.GetUtcNow() + again);

            // A source at rest costs no memory either.
            state.Merger = again is null ? null : state.Merger;
        }
        catch (SalvorException e)
        {
            // Objects stay small, or superseded ones stay: that costs space, and nothing else.
            logger.LogNotMerged(source.Options.Name, e.Message);
        }
    }

    sealed class Source
    {
        public LogMerger? Merger { get; set; }

        public ulong Number { get; set; }

        public DateTimeOffset? Due { get; set; }
    }
}
