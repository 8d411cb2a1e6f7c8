using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Pruning;

namespace Salvor.Jobs;

/// <summary>
/// Prunes the sources of a configuration that say what to keep, one after the other, at their first destination. Of a database it drops
/// only what is older than a restore point that is proven; without one it waits. Backups that are complete by themselves need none; but
/// while a verification of a cluster finds damage, none of its backups goes, because the newest may be the one that is damaged.
/// </summary>
/// <param name="config">The configuration as it is now.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Told of everything that was done.</param>
public sealed class PruneSchedule(Func<SalvorConfig> config, TimeProvider time, ILogger logger)
{
    /// <summary>How long a change of the configuration may wait.</summary>
    static readonly TimeSpan Step = TimeSpan.FromMinutes(1);

    /// <summary>How long after a verification that proves a point the prune begins that waited for it.</summary>
    static readonly TimeSpan Waiting = TimeSpan.FromMinutes(10);

    readonly Dictionary<string, DateTimeOffset> due = [];

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var shortest = ConfiguredSources.Sources(config()).Select(source => source.Prune.Every ?? Step).Append(Step).Min();
            await Task.Delay(shortest, time, cancellationToken);
            await RunDueAsync(cancellationToken);
        }
    }

    /// <summary>Prunes what is due.</summary>
    async Task RunDueAsync(CancellationToken cancellationToken)
    {
        var current = config();
        foreach (var vault in ConfiguredSources.Vaults(current, source => source.Prune.Every is not null))
        {
            var every = vault.Config.Prune.Every!.Value;
            var path = LocalState.PrunePath(vault.State, vault.Path);
            if (!due.TryGetValue(vault.Name, out var next))
            {
                next = due[vault.Name] = PruneFile.Read(path) is { WaitingSince: null } last ? last.At + every : time.GetUtcNow();
            }

            if (next <= time.GetUtcNow())
            {
                var record = await PruneAsync(current, vault, PruneFile.Read(path), cancellationToken);
                due[vault.Name] = time.GetUtcNow() + (record is { WaitingSince: null } || every < Waiting ? every : Waiting);
                Write(vault.Name, path, record);
            }
        }
    }

    /// <summary>What was done; null where nothing is stored yet.</summary>
    async Task<PruneRecord?> PruneAsync(
        SalvorConfig current, ConfiguredVault owner, PruneRecord? last, CancellationToken cancellationToken)
    {
        var (started, source) = (time.GetUtcNow(), owner.Config);
        var proven = ProvenPoint.Find(owner.State, owner.Path);
        if (proven is null && (source is not SnapshotSourceConfig || IsDamaged(owner)))
        {
            return new PruneRecord { At = started, WaitingSince = last?.WaitingSince ?? started };
        }

        try
        {
            var copies = await SourceCopies.FindAsync(
                current, owner.Name, source.To.Take(1), ConfiguredSources.KeysOf(source), cancellationToken, maintains: true);
            return copies is [{ Vault: { } vault }]
                ? await PruneAsync(source, owner.Name, vault.With(source.Compression), proven, cancellationToken)
                : null;
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            var hint = e is SalvorException known ? known.Hint : "It is tried again when the next prune is due.";
            logger.PruneFailed(owner.Name, e.Message, hint);
            return new PruneRecord { At = started, Error = e.Message, Hint = hint };
        }
    }

    static bool IsDamaged(ConfiguredVault owner) => owner.Config is PostgresSourceConfig
        && VerifyFile.Read(LocalState.VerifyPath(owner.State, owner.Path)) is { Ok: false };

    async Task<PruneRecord> PruneAsync(
        SourceConfig source, string name, VaultAccess vault, ProvenPoint? proven, CancellationToken cancellationToken)
    {
        var pruner = new Pruner(vault, time);
        var deleted = await pruner.DeleteAsync(dryRun: false, cancellationToken);
        var policy = ConfiguredSources.PolicyOf(source);
        if (source is not SnapshotSourceConfig)
        {
            policy = policy with { Before = proven?.Time };
        }

        (uint, Position)? stays = proven is not null && source is not SnapshotSourceConfig or PostgresSourceConfig
            ? (proven.Branch, proven.Position)
            : null;
        var (plan, number) = await pruner.CondemnAsync(policy, stays, source.Prune.Grace, cancellationToken);
        var record = new PruneRecord
        {
            At = time.GetUtcNow(),
            Number = number,
            CondemnedObjects = plan.Condemned.Sum(group => (long)group.Keys.Count),
            DeletedObjects = deleted.Objects,
            DeletedBytes = deleted.Bytes,
            RefusedObjects = deleted.Refused,
            ExcessBytes = plan.ExcessBytes,
        };
        Tell(name, record, policy.BytesMax);
        return record;
    }

    void Tell(string source, PruneRecord record, long? bytesMax)
    {
        if (record.DeletedObjects > 0 || record.Number is not null)
        {
            logger.Pruned(
                source, record.DeletedObjects, record.DeletedBytes, record.CondemnedObjects, record.Number);
        }

        if (record.RefusedObjects > 0)
        {
            logger.DeletionRefused(source, record.RefusedObjects);
        }

        if (record.ExcessBytes > 0)
        {
            logger.SizeExceeded(source, SizeText.FormatExact(bytesMax ?? 0), SizeText.Format(record.ExcessBytes));
        }
    }

    void Write(string source, string path, PruneRecord? record)
    {
        try
        {
            if (record is not null && Directory.Exists(Path.GetDirectoryName(path)))
            {
                PruneFile.Write(path, record);
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            logger.PruneNotWritten(source, e.Message);
        }
    }
}
