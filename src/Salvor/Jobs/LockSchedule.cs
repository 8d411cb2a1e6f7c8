using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Vault.Pruning;

namespace Salvor.Jobs;

/// <summary>
/// Extends the locks of what is needed, for as long as the daemon runs. It does not wait for proofs: a lock that ends is gone.
/// </summary>
/// <param name="config">The configuration as it is now.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Told of what was done, and of what failed.</param>
public sealed class LockSchedule(Func<SalvorConfig> config, TimeProvider time, ILogger logger)
{
    /// <summary>How long a new configuration may wait, and what failed.</summary>
    static readonly TimeSpan Step = TimeSpan.FromMinutes(10);

    readonly Dictionary<string, DateTimeOffset> due = [];

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(Step, time, cancellationToken);
            var current = config();
            foreach (var vault in ConfiguredSources.Vaults(current, source => ShortestOf(current, source) is not null))
            {
                await RunIfDueAsync(current, vault, LockPlan.StepOf(ShortestOf(current, vault.Config)!.Value), cancellationToken);
            }
        }
    }

    async Task RunIfDueAsync(SalvorConfig current, ConfiguredVault vault, TimeSpan every, CancellationToken cancellationToken)
    {
        if (due.TryGetValue(vault.Name, out var next) && next > time.GetUtcNow())
        {
            return;
        }

        try
        {
            foreach (var done in await new LockExtension(current, time).RunAsync(vault, cancellationToken))
            {
                if (done.Until is { } until)
                {
                    logger.LocksExtended(vault.Name, done.Extended, done.Destination, until);
                }
            }

            due[vault.Name] = time.GetUtcNow() + every;
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            var hint = e is SalvorException known ? known.Hint : "It is tried again in ten minutes.";
            logger.LocksNotExtended(vault.Name, e.Message, hint);
        }
    }

    /// <summary>The shortest lock at the destinations of a source; null where none has one.</summary>
    static TimeSpan? ShortestOf(SalvorConfig current, SourceConfig source) => source.To
        .Select(name => (current.Destinations[name] as S3DestinationConfig)?.Options.Lock?.Time)
        .Min();
}
