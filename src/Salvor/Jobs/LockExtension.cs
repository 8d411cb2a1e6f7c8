using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Pruning;

namespace Salvor.Jobs;

/// <summary>What an extension of locks did at one destination.</summary>
/// <param name="Destination">Which.</param>
/// <param name="Extended">How many locks are longer now.</param>
/// <param name="Until">Until when; null where none was due.</param>
public sealed record ExtendedLocks(string Destination, long Extended, DateTimeOffset? Until);

/// <summary>When all that was due at a destination was last locked, and for how long.</summary>
public sealed record LockRecord(DateTimeOffset At, string Mode, long Seconds);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(Dictionary<string, LockRecord>))]
sealed partial class LockJson : JsonSerializerContext;

/// <summary>Locks anew what is still needed at destinations with <c>object_lock</c>, when it is due.</summary>
/// <param name="config">The configuration.</param>
/// <param name="time">The clock.</param>
public sealed class LockExtension(SalvorConfig config, TimeProvider time)
{
    /// <summary>Extends what is due of one vault at all its destinations that have locks.</summary>
    public async Task<IReadOnlyList<ExtendedLocks>> RunAsync(ConfiguredVault owner, CancellationToken cancellationToken)
    {
        var path = LocalState.LocksPath(owner.State, owner.Path);
        var records = Read(path);
        var results = new List<ExtendedLocks>();
        foreach (var bucket in owner.Config.To.Select(name => config.Destinations[name]).OfType<S3DestinationConfig>())
        {
            var started = time.GetUtcNow();
            var store = Destinations.Open(bucket);
            if (bucket.Options.Lock is not { } only
                || await VaultAccess.FindAsync(
                    store, owner.Name, ConfiguredSources.KeysOf(owner.Config), cancellationToken) is not { } vault)
            {
                continue;
            }

            var wanted = new LockRecord(started, $"{only.Mode}", (long)only.Time.TotalSeconds);
            var isSame = records.TryGetValue(bucket.Location, out var known) && known == wanted with { At = known.At };
            var count = await ExtendAsync(
                Destinations.OpenBucket(bucket), vault, only, isSame ? known!.At : null, started, cancellationToken);
            results.Add(new ExtendedLocks(bucket.Name, count, count == 0 ? null : started + only.Time));
            records[bucket.Location] = wanted;
            if (Directory.Exists(Path.GetDirectoryName(path)))
            {
                DurableFile.Replace(path, JsonSerializer.SerializeToUtf8Bytes(records, LockJson.Default.DictionaryStringLockRecord));
            }
        }

        return results;
    }

    /// <summary>
    /// Extends what is due in one vault. Every content that a key ever had is: which of them is ours only its check tells.
    /// </summary>
    internal static async Task<long> ExtendAsync(
        S3Store bucket, VaultAccess vault, S3Lock only, DateTimeOffset? last, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await bucket.Locks.ExpectAsync(cancellationToken);
        var isNeeded = await LockPlan.NeededAsync(vault, cancellationToken);
        var prefix = vault.KeyOf("");
        var due = new List<(string Key, string Version)>();
        await foreach (var (key, version, storedAt) in bucket.Locks.ListAsync(prefix, cancellationToken))
        {
            if (isNeeded(key[prefix.Length..]) && LockPlan.IsDue(storedAt, only.Time, last, now))
            {
                due.Add((key, version));
            }
        }

        await InFlight.ForEachAsync(
            due.Count,
            index => bucket.Locks.ExtendAsync(due[index].Key, due[index].Version, only.Mode, now + only.Time, cancellationToken),
            cancellationToken);
        return due.Count;
    }

    /// <summary>Where it cannot be read, as if nothing was ever extended: each lock is asked for once more.</summary>
    static Dictionary<string, LockRecord> Read(string path) =>
        JsonMark.TryRead(path, LockJson.Default.DictionaryStringLockRecord) ?? [];
}
