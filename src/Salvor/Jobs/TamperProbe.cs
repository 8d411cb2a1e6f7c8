using System.Globalization;
using Salvor.Jobs.Config;
using Salvor.Storage;
using Salvor.Storage.S3;

namespace Salvor.Jobs;

/// <summary>One thing that a probe did to its own object.</summary>
/// <param name="Name">What, as a sentence says it.</param>
/// <param name="IsHeld">Whether the destination withstood it.</param>
/// <param name="Said">What came of it.</param>
public sealed record TamperStep(string Name, bool IsHeld, string Said);

/// <summary>What a probe found.</summary>
/// <param name="Location">The destination.</param>
/// <param name="IsLockAsked">Whether the configuration asks for locks there.</param>
/// <param name="IsProtected">Whether every step held: copies cannot be deleted by whoever has these credentials.</param>
/// <param name="Summary">That in a sentence.</param>
/// <param name="Steps">What was tried; none where there is nothing to try.</param>
public sealed record TamperReport(
    string Location, bool IsLockAsked, bool IsProtected, string Summary, IReadOnlyList<TamperStep> Steps);

/// <summary>
/// Finds out by really trying whether copies at a destination can be destroyed with the credentials that this machine has: it deletes,
/// hides, overwrites and unlocks an object of its own.
/// </summary>
public static class TamperProbe
{
    /// <summary>Beside the vaults of a destination, and no name of a source begins like it.</summary>
    const string Folder = "_probe/";

    const string Unprotected = "copies can be deleted by whoever has these credentials";

    /// <summary>How long the object of a probe is locked, and stays. More than clocks differ.</summary>
    static readonly TimeSpan LockTime = TimeSpan.FromMinutes(5);

    /// <summary>Probes a destination. Throws where it cannot be reached or nothing may be put there.</summary>
    /// <param name="destination">The destination, with the credentials for deletions where it has some.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Names the object and fills it.</param>
    /// <param name="cancellationToken">Ends it between two calls.</param>
    public static async Task<TamperReport> RunAsync(
        DestinationConfig destination, TimeProvider time, Random random, CancellationToken cancellationToken)
    {
        if (destination is not S3DestinationConfig s3)
        {
            return new TamperReport(destination.Location, false, false, Unprotected, []);
        }

        var bucket = Destinations.OpenBucket(s3, maintains: true);
        var asked = s3.Options.Lock;
        if (asked is not null)
        {
            await bucket.Locks.ExpectAsync(cancellationToken);
        }
        else if (!await bucket.KeepsEarlierAsync(cancellationToken))
        {
            return new TamperReport(
                destination.Location, false, false, $"{Unprotected}: the bucket keeps no versions, and nothing is locked", []);
        }

        await RemoveEarlierAsync(bucket, cancellationToken);
        var only = asked is null ? null : asked with { Time = LockTime };
        var steps = await TryAsync(bucket, only, time, random, cancellationToken);
        var isProtected = steps.All(step => step.IsHeld);
        return new TamperReport(
            destination.Location, asked is not null, isProtected,
            !isProtected ? Unprotected
                : asked is null ? "these credentials may not delete versions; others may, because nothing is locked"
                : $"nobody with these credentials can delete copies before their lock ends ({asked.Mode.ToString().ToLowerInvariant()})",
            steps);
    }

    static async Task<IReadOnlyList<TamperStep>> TryAsync(
        S3Store bucket, S3Lock? only, TimeProvider time, Random random, CancellationToken cancellationToken)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"{Folder}{random.NextInt64():x16}");
        var content = new byte[1 << 10];
        random.NextBytes(content);
        await bucket.Locks.PutAsync(key, content, only, cancellationToken);
        if (await bucket.Locks.VersionsAsync(key, cancellationToken) is not [var version])
        {
            return [new TamperStep("put it", false, "its version is not listed")];
        }

        var steps = new List<TamperStep>
        {
            await RefusedAsync("delete its version", () => bucket.Locks.DeleteVersionAsync(key, version.Id, cancellationToken)),
        };
        if (only is not null)
        {
            var soon = time.GetUtcNow().AddSeconds(30);
            steps.Add(await RefusedAsync(
                "shorten its lock", () => bucket.Locks.ExtendAsync(key, version.Id, only.Mode, soon, cancellationToken)));
        }

        // Both may be allowed: what matters is what is there afterwards.
        var hidden = await RefusedAsync("hide it by a plain delete", () => bucket.Locks.HideAsync(key, cancellationToken));
        steps.Add(hidden with { IsHeld = true });
        var over = await RefusedAsync("overwrite it", () => bucket.Locks.PutAsync(key, new byte[10], null, cancellationToken));
        steps.Add(over with { IsHeld = true });
        steps.Add(await ReadBackAsync(bucket, key, version, content, cancellationToken));
        await RemoveEarlierAsync(bucket, cancellationToken);
        return steps;
    }

    static async Task<TamperStep> RefusedAsync(string name, Func<Task> attempt)
    {
        try
        {
            await attempt();
            return new TamperStep(name, false, "was allowed");
        }
        catch (StorageException e) when (e.Failure == StorageFailure.Denied)
        {
            return new TamperStep(name, true, "was refused");
        }
    }

    static async Task<TamperStep> ReadBackAsync(
        S3Store bucket, string key, ObjectVersion version, byte[] content, CancellationToken cancellationToken)
    {
        var buffer = new byte[content.Length];
        try
        {
            var read = await bucket.ReadEarlierAsync(key, version, 0, buffer, cancellationToken);
            return read == content.Length && buffer.AsSpan().SequenceEqual(content)
                ? new TamperStep("read the first version back", true, "is whole")
                : new TamperStep("read the first version back", false, "is not what was put");
        }
        catch (StorageException e) when (e.Failure is StorageFailure.NotFound or StorageFailure.Denied)
        {
            return new TamperStep("read the first version back", false, $"failed: {e.Message}");
        }
    }

    /// <summary>Removes what this and earlier probes left, as far as its locks have ended and these credentials may.</summary>
    static async Task RemoveEarlierAsync(S3Store bucket, CancellationToken cancellationToken)
    {
        foreach (var row in await bucket.ListAsync(Folder, after: null, cancellationToken).ToListAsync(cancellationToken))
        {
            try
            {
                await bucket.DeleteAsync(row.Key, cancellationToken);
            }
            catch (StorageException e) when (e.Failure == StorageFailure.Denied)
            {
                // Then it is for a later probe.
            }
        }
    }
}
