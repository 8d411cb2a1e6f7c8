using Salvor.Jobs.Config;

namespace Salvor.Jobs;

/// <summary>
/// Does one thing with each database of a configuration, one after the other, each as often as the configuration says. The times are
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
    public required Func<SqliteSourceConfig, TimeSpan?> Every { get; init; }

    /// <summary>When it was done last; null where it never was.</summary>
    public required Func<SqliteSourceConfig, SourceMember, DateTimeOffset?> LastDone { get; init; }

    /// <summary>Does it. False where there was nothing to do it with yet.</summary>
    public required Func<SalvorConfig, SqliteSourceConfig, SourceMember, CancellationToken, Task<bool>> DoAsync { get; init; }

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var current = config();
            var next = Plan(current).OrderBy(item => item.Due).FirstOrDefault();
            var wait = next.Member is null ? Step : next.Due - time.GetUtcNow();
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait < Step ? wait : Step, time, cancellationToken);
                continue;
            }

            due[next.Member!.Name] = time.GetUtcNow() + (await DoAsync(current, next.Source!, next.Member, cancellationToken)
                ? Spread(Every(next.Source!)!.Value)
                : Step);
        }
    }

    /// <summary>When each source is due.</summary>
    IEnumerable<(DateTimeOffset Due, SqliteSourceConfig? Source, SourceMember? Member)> Plan(SalvorConfig current)
    {
        foreach (var source in current.Sources.Values.Where(source => Every(source) is not null))
        {
            // A folder that cannot be read is told by the daemon.
            foreach (var member in ConfiguredSources.Members(source, _ => { }))
            {
                if (!due.TryGetValue(member.Name, out var when))
                {
                    when = due[member.Name] = FirstOf(source, member);
                }

                yield return (when, source, member);
            }
        }
    }

    DateTimeOffset FirstOf(SqliteSourceConfig source, SourceMember member)
    {
        var every = Every(source)!.Value;
        return LastDone(source, member) is { } last
            ? last + Spread(every)
            : time.GetUtcNow() + ((every < FirstWithin ? every : FirstWithin) * random.NextDouble());
    }

    /// <summary>Up to a tenth earlier, never later.</summary>
    TimeSpan Spread(TimeSpan every) => every * (0.9 + (random.NextDouble() / 10));
}
