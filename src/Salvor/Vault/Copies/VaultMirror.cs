using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault.Copies;

/// <summary>What one pass of a mirror did.</summary>
/// <param name="Objects">How many objects were copied.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="Damage">An object that was not copied because it is damaged at the first destination; null where there is none.</param>
public sealed record MirrorPass(long Objects, long Bytes, DamagedObjectException? Damage);

/// <summary>
/// Keeps a vault at a further destination a byte-identical copy of the one at the first: copies what is missing there, what an object
/// needs before the object. It only adds. One object at a time is in memory.
/// </summary>
/// <param name="first">The vault that is written.</param>
/// <param name="store">The further destination.</param>
public sealed class VaultMirror(VaultAccess first, IObjectStore store)
{
    readonly VaultAccess copy = first.At(store);

    /// <summary>Up to where the log of each branch is known to be copied: the last key.</summary>
    readonly Dictionary<string, string> copied = [];

    string known = "";
    bool isChecked;
    long objects;
    long bytes;
    DamagedObjectException? damage;

    /// <summary>Copies what is missing. What is stored while it runs is left for the next pass.</summary>
    /// <param name="everything">Compares all keys, and not only what came after the last pass.</param>
    /// <param name="cancellationToken">Ends it between two objects; what was copied is complete.</param>
    public async Task<MirrorPass> RunAsync(bool everything, CancellationToken cancellationToken)
    {
        (objects, bytes, damage) = (0, 0, null);
        await ExpectSameVaultAsync(cancellationToken);

        // The ends of the logs before all else: what is copied up to there needs only what is listed after this.
        var ends = await EndsAsync(cancellationToken);
        var roots = await RootsAsync(cancellationToken);
        if (everything || roots != known)
        {
            await foreach (var row in CopyOrder.WalkAsync([first, copy], cancellationToken))
            {
                if (row.Sizes[0] is not null && row.Sizes[1] is null && IsDue(row.Key, ends))
                {
                    await CopyAsync(row.Key, cancellationToken);
                }
            }
        }
        else
        {
            await CopyTailsAsync(ends, cancellationToken);
        }

        if (damage is null)
        {
            known = roots;
            foreach (var (branch, end) in ends)
            {
                copied[branch] = end;
            }
        }

        return new MirrorPass(objects, bytes, damage);
    }

    /// <summary>Never mixes two vaults.</summary>
    async Task ExpectSameVaultAsync(CancellationToken cancellationToken)
    {
        if (isChecked)
        {
            return;
        }

        if (await VaultAccess.FindAsync(store, first.Name, cancellationToken) is { } there && there.Id != first.Id)
        {
            throw new SalvorException(
                FailureKind.DestinationUnreachable,
                $"{there.Location} holds another vault than {first.Location}, so it cannot be a copy of it",
                "Move that folder away, or give this source another destination.");
        }

        isChecked = true;
    }

    async Task<Dictionary<string, string>> EndsAsync(CancellationToken cancellationToken)
    {
        var ends = new Dictionary<string, string>();
        await foreach (var branch in first.ListHereAsync(VaultKeys.Branches, after: null, cancellationToken))
        {
            var log = LogOf(branch.Key);
            copied.TryGetValue(log, out var after);
            ends[log] = after ?? "";
            await foreach (var row in first.ListHereAsync(log, after, cancellationToken))
            {
                ends[log] = row.Key;
            }
        }

        return ends;
    }

    /// <summary>What there is of snapshots and branches: where that did not change, only logs have grown.</summary>
    async Task<string> RootsAsync(CancellationToken cancellationToken)
    {
        var (count, last) = (0L, "");
        foreach (var prefix in (string[])[VaultKeys.Branches, VaultKeys.Snapshots, VaultKeys.Claims])
        {
            await foreach (var row in first.ListHereAsync(prefix, after: null, cancellationToken))
            {
                (count, last) = (count + 1, row.Key);
            }
        }

        return $"{count} {last}";
    }

    async Task CopyTailsAsync(Dictionary<string, string> ends, CancellationToken cancellationToken)
    {
        foreach (var (log, end) in ends.OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            copied.TryGetValue(log, out var after);
            if (end == after)
            {
                continue;
            }

            await foreach (var row in first.ListHereAsync(log, after, cancellationToken))
            {
                if (IsDue(row.Key, ends))
                {
                    await CopyAsync(row.Key, cancellationToken);
                }
            }
        }
    }

    static bool IsDue(string key, Dictionary<string, string> ends) =>
        !key.StartsWith(VaultKeys.Logs, StringComparison.Ordinal)
        || (ends.TryGetValue(key[..(key.LastIndexOf('/') + 1)], out var end) && string.CompareOrdinal(key, end) <= 0);

    static string LogOf(string branchKey) => $"{VaultKeys.Logs}{branchKey[VaultKeys.Branches.Length..]}/";

    async Task CopyAsync(string key, CancellationToken cancellationToken)
    {
        if (await first.GetBytesAsync(key, cancellationToken) is not { } content)
        {
            // Removed since it was listed.
            return;
        }

        if (ObjectBytes.FooterHash(content) is null)
        {
            damage ??= new DamagedObjectException(key, $"it does not match the hash in its footer at {first.Location}");
            return;
        }

        if (await copy.PutAsync(key, content, cancellationToken))
        {
            objects++;
            bytes += content.Length;
        }
    }
}
