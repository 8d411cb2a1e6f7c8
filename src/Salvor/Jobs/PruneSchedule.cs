using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Pruning;

namespace Salvor.Jobs;

/// <summary>
/// Prunes the sources of a configuration that ask for it, one after the other, at their first destination. It drops only what is older than
/// a restore point that is proven; without one it waits.
/// </summary>
/// <param name="config">The configuration as it is now.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Told of everything that was done.</param>
public sealed class PruneSchedule(Func<SalvorConfig> config, TimeProvider time, ILogger logger)
{
    /// <summary>How long a change of the configuration may wait.</summary>
    static readonly TimeSpan Step = TimeSpan.FromMinutes(1);

    readonly Dictionary<string, DateTimeOffset> last = [];

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            await Task.Delay(Step, time, cancellationToken);
            await RunDueAsync(cancellationToken);
        }
    }

    /// <summary>Prunes what is due. A restart begins the time between two prunes anew: none of them is urgent.</summary>
    internal async Task RunDueAsync(CancellationToken cancellationToken)
    {
        var current = config();
        foreach (var source in current.Sources.Values.Where(source => source.PruneEvery is not null))
        {
            // A folder that cannot be read is told by the daemon.
            foreach (var member in ConfiguredSources.Members(source, _ => { }))
            {
                var now = time.GetUtcNow();
                if (!last.TryAdd(member.Name, now) && now - last[member.Name] >= source.PruneEvery)
                {
                    last[member.Name] = now;
                    await PruneAsync(current, source, member, cancellationToken);
                }
            }
        }
    }

    async Task PruneAsync(
        SalvorConfig current, SqliteSourceConfig source, SourceMember member, CancellationToken cancellationToken)
    {
        try
        {
            var copies = await SourceCopies.FindAsync(
                current, member.Name, source.To.Take(1), ConfiguredSources.KeysOf(source), cancellationToken);
            var state = ConfiguredSources.OptionsOf(source, member).StateDirectory;
            if (copies is not [{ Vault: { } vault }] || ProvenPoint.Find(state, member.Path) is not { } proven)
            {
                return;
            }

            var pruner = new Pruner(vault, time);
            var deleted = await pruner.DeleteAsync(dryRun: false, cancellationToken);
            var policy = new PrunePolicy(source.Keep) { Before = proven.Time };
            var (plan, number) = await pruner.CondemnAsync(
                policy, (proven.Branch, proven.Position), Pruner.GraceDefault, cancellationToken);
            Tell(member.Name, deleted, plan, number);
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            logger.LogError(
                "{Source}: it was not pruned: {Message}. hint: {Hint}", member.Name, e.Message,
                e is SalvorException known ? known.Hint : "It is tried again when the next prune is due.");
        }
    }

    void Tell(string source, PruneDeletion deleted, PrunePlan plan, ulong? number)
    {
        if (deleted.Objects > 0 || number is not null)
        {
            logger.LogInformation(
                "{Source}: prune deleted {Deleted} object(s) with {Bytes} bytes, and condemned {Condemned} as number {Number}", source,
                deleted.Objects, deleted.Bytes, plan.Condemned.Sum(group => (long)group.Keys.Count), number);
        }

        if (deleted.Refused > 0)
        {
            logger.LogWarning(
                "{Source}: {Refused} object(s) not deleted: the destination does not allow it. reported, not done", source,
                deleted.Refused);
        }
    }
}
