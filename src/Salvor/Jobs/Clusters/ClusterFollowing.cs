using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;

namespace Salvor.Jobs.Clusters;

/// <summary>
/// Follows every cluster of a configuration, each by itself. After a reload new ones begin, gone or changed ones end, and the others are
/// not interrupted.
/// </summary>
/// <param name="config">The configuration as it is now.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Told of what happens.</param>
public sealed class ClusterFollowing(Func<SalvorConfig> config, TimeProvider time, ILogger logger)
{
    static readonly TimeSpan Step = TimeSpan.FromSeconds(1);
    static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(10);

    /// <summary>A disk that hangs does not obey: it must not keep the others from following.</summary>
    static readonly TimeSpan EndMax = TimeSpan.FromSeconds(30);

    readonly ConcurrentDictionary<string, Followed> followed = [];

    /// <summary>Runs until cancelled; then all of them have ended.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        try
        {
            for (SalvorConfig? seen = null; ;)
            {
                if (config() is var current && current != seen)
                {
                    await ApplyAsync(current);
                    seen = current;
                }

                await Task.Delay(Step, time, cancellationToken);
            }
        }
        finally
        {
            await Task.WhenAll(followed.Keys.Select(EndAsync));
        }
    }

    /// <summary>Whether the log of a source comes by a follower: after a start that takes a moment, which is waited for.</summary>
    public async Task<bool> IsFollowedAsync(string source, CancellationToken cancellationToken)
    {
        for (var began = time.GetTimestamp(); ;)
        {
            var follower = followed.GetValueOrDefault(source)?.Follower;
            if (follower is { IsConnected: true } or { HasProblem: true } || time.GetElapsedTime(began) > ConnectMax)
            {
                return follower?.IsConnected == true;
            }

            await Task.Delay(Step / 4, time, cancellationToken);
        }
    }

    /// <summary>Cancelled when a source is no longer followed as it is now: what waits for its log waits in vain.</summary>
    public CancellationToken EndOf(string source) => followed.GetValueOrDefault(source)?.End ?? CancellationToken.None;

    /// <summary>Why a base backup of a source is to be made now; null where none is. Who gets a reason says how it ended.</summary>
    public string? TakeNeed(string source) => followed.GetValueOrDefault(source)?.Follower.TakeNeed();

    /// <summary>A backup of a source ended.</summary>
    public void BackupEnded(string source, bool isMade) => followed.GetValueOrDefault(source)?.Follower.BackupEnded(isMade);

    async Task ApplyAsync(SalvorConfig current)
    {
        var wanted = current.Trees.Values.OfType<PostgresSourceConfig>().ToDictionary(source => source.Name);
        foreach (var (name, item) in followed)
        {
            if (!wanted.TryGetValue(name, out var source) || !item.Essence.SequenceEqual(EssenceOf(current, source)))
            {
                if (source is null || source.Slot != item.Source.Slot || source.Connection != item.Source.Connection)
                {
                    logger.SlotLeft(name, item.Source.Slot, item.Source.Server?.Place ?? "", item.Source.Slot);
                }

                await EndAsync(name);
            }
        }

        foreach (var (name, source) in wanted.Where(item => !followed.ContainsKey(item.Key)))
        {
            var (follower, stop) = (new ClusterFollower(current, source, time, logger), new CancellationTokenSource());
            followed[name] = new Followed(
                source, follower, Task.Run(() => follower.RunAsync(stop.Token), CancellationToken.None), stop, EssenceOf(current, source),
                stop.Token);
        }
    }

    async Task EndAsync(string name)
    {
        if (followed.TryRemove(name, out var item))
        {
            await item.Stop.CancelAsync();
            await item.Run.WaitAsync(EndMax, time).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            item.Stop.Dispose();
        }
    }

    /// <summary>What a follower depends on. Its texts have secrets, and are compared, never printed.</summary>
    static object?[] EssenceOf(SalvorConfig current, PostgresSourceConfig source) =>
    [
        source.Connection, source.Server?.Password, source.Slot, source.SpoolBytesMax, source.Encryption, source.Compression,
        ConfiguredSources.StateOf(current, source), .. source.To.Select(name => current.Destinations[name]),
    ];

    sealed record Followed(
        PostgresSourceConfig Source, ClusterFollower Follower, Task Run, CancellationTokenSource Stop, object?[] Essence,
        CancellationToken End);
}
