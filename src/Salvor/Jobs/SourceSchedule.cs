using Salvor.Jobs.Config;

namespace Salvor.Jobs;

/// <summary>
/// Does one thing with each vault of a configuration, one after the other, each as often as the configuration says. The times are
/// spread by chance, so that many daemons do not begin at once.
/// </summary>
/// <param name="config">The configuration as it is now.</param>
/// <param name="time">The clock.</param>
/// <param name="random">The chance in the times; used by this alone.</param>
sealed class SourceSchedule(Func<SalvorConfig> config, TimeProvider time, Random random)
{
    /// <summary>How long a change of the configuration may wait, and a source that nothing is stored of.</summary>
    static readonly TimeSpan Step = TimeSpan.FromMinutes(1);

    /// <summary>What was never done comes within this time.</summary>
    static readonly TimeSpan FirstWithin = TimeSpan.FromHours(1);

    readonly Dictionary<string, DateTimeOffset> due = [];

    /// <summary>The time between two; null: never.</summary>
    public required Func<SourceConfig, TimeSpan?> Every { get; init; }

    /// <summary>When it was done last; null where it never was.</summary>
    public required Func<ConfiguredVault, DateTimeOffset?> LastDone { get; init; }

    /// <summary>Does it. False where there was nothing to do it with yet.</summary>
    public required Func<SalvorConfig, ConfiguredVault, CancellationToken, Task<bool>> DoAsync { get; init; }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var current = config();
            var next = Plan(current).OrderBy(item => item.Due).FirstOrDefault();
            var wait = next.Vault is null ? Step : next.Due - time.GetUtcNow();
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait < Step ? wait : Step, time, cancellationToken);
                continue;
            }

            due[next.Vault!.Name] = time.GetUtcNow() + (await DoAsync(current, next.Vault, cancellationToken)
                ? Spread(Every(next.Vault.Config)!.Value)
                : Step);
        }
    }

    /// <summary>When each is due.</summary>
    IEnumerable<(DateTimeOffset Due, ConfiguredVault? Vault)> Plan(SalvorConfig current)
    {
        foreach (var vault in ConfiguredSources.Vaults(current, source => Every(source) is not null))
        {
            if (!due.TryGetValue(vault.Name, out var when))
            {
                when = due[vault.Name] = FirstOf(vault);
            }

            yield return (when, vault);
        }
    }

    DateTimeOffset FirstOf(ConfiguredVault vault)
    {
        var every = Every(vault.Config)!.Value;
        return LastDone(vault) is { } last
            ? last + Spread(every)
            : time.GetUtcNow() + ((every < FirstWithin ? every : FirstWithin) * random.NextDouble());
    }

    /// <summary>Up to a tenth earlier, never later.</summary>
    TimeSpan Spread(TimeSpan every) => every * (0.9 + (random.NextDouble() / 10));
}
