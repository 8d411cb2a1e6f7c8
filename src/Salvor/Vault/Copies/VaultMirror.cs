using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Wal;

namespace Salvor.Vault.Copies;

/// <summary>What one pass of a mirror did.</summary>
/// <param name="Objects">How many objects were copied.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="Damage">An object that was not copied because it is damaged at the first destination; null where there is none.</param>
public sealed record MirrorPass(long Objects, long Bytes, DamagedObjectException? Damage);

/// <summary>
/// Keeps a vault at a further destination a byte-identical copy of the one at the first: copies what is missing there, what an object
/// needs before the object. It removes only what was superseded or taken back at the first. One object at a time is in memory.
/// </summary>
/// <param name="first">The vault that is written.</param>
/// <param name="store">The further destination.</param>
public sealed class VaultMirror(VaultAccess first, IObjectStore store)
{
    readonly VaultAccess copy = first.At(store);

    /// <summary>What becomes of a copy that lacks what the first has.</summary>
    public IncompleteCopy Incomplete { get; init; }

    /// <summary>Whether the vault is new itself: then its copy begins with it, and lacks nothing until both have begun.</summary>
    public bool IsNew { get; set; }

    /// <summary>Told what the copy lacks before that is copied, where it is to be said; then null, when all was.</summary>
    public Action<string?>? Lacks { get; init; }

    /// <summary>
    /// Told which vault is at the copy before anything is made there, null for none: whoever knows better throws. And once it was made.
    /// </summary>
    public Action<Guid?>? Found { get; init; }

    /// <summary>Up to where the log of each branch is known to be copied: the last key.</summary>
    readonly Dictionary<string, string> copied = [];

    readonly Dictionary<uint, Lsn> walReached = [];

    string known = "";
    bool isChecked;
    long objects;
    long bytes;
    DamagedObjectException? damage;

    /// <summary>
    /// Copies what followed in the newest log that is known, by one listing; false where only <see cref="RunAsync"/> can go on: nothing was
    /// copied yet, or there is a hole.
    /// </summary>
    public async Task<bool> TryFollowAsync(CancellationToken cancellationToken)
    {
        if (copied.Keys.Max(StringComparer.Ordinal) is not { } log)
        {
            return false;
        }

        damage = null;
        if (first.Identity.IsPostgres)
        {
            await FollowWalAsync(cancellationToken);
            return damage is null;
        }

        var end = copied[log];
        await foreach (var row in first.ListHereAsync(log, copied[log], cancellationToken))
        {
            end = row.Key;
        }

        if (!await CopyTailsAsync(new() { [log] = end }, cancellationToken) || damage is not null)
        {
            return false;
        }

        copied[log] = end;
        return true;
    }

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
        var hasBegun = IsNew && await first.ListHereAsync(VaultKeys.Snapshots, after: null, cancellationToken).AnyAsync(cancellationToken);
        if (everything || roots != known || !await CopyTailsAsync(ends, cancellationToken))
        {
            await ExpectBeginningAsync(cancellationToken);
            await CopyAllAsync(ends, cancellationToken);
            Lacks?.Invoke(null);
        }
        else
        {
            await FollowWalAsync(cancellationToken);
        }

        if (damage is null)
        {
            if (!isChecked)
            {
                Found?.Invoke(first.Id);
                isChecked = true;
            }

            known = roots;
            IsNew &= !hasBegun;
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

        var there = await first.IdAtAsync(store, cancellationToken);
        if (there is not null && there != first.Id)
        {
            throw new SalvorException(
                FailureKind.DestinationUnreachable,
                $"{copy.Location} holds another vault than {first.Location}, so it cannot be a copy of it",
                "Move that folder away, or give this source another destination.");
        }

        Found?.Invoke(there);
        isChecked = there is not null;
    }

    /// <summary>Says what the copy lacks of its history, or refuses it for that.</summary>
    async Task ExpectBeginningAsync(CancellationToken cancellationToken)
    {
        if (IsNew || Incomplete == IncompleteCopy.Backfill
            || await LackAsync(cancellationToken) is not { } lack)
        {
            return;
        }

        var what = $"{copy.Location} is not a complete copy of {first.Location}: {lack}";
        if (Incomplete == IncompleteCopy.Warn)
        {
            Lacks?.Invoke(what);
            return;
        }

        // Whatever was followed until now.
        copied.Clear();
        throw new IncompleteCopyException(
            $"{what}; nothing is copied there, because of 'on_incomplete: refuse'",
            $"Fill it up with 'salvor repair {first.Name}', or let the daemon do it with 'on_incomplete: backfill'.");
    }

    async Task<string?> LackAsync(CancellationToken cancellationToken) => CopyBeginning.Lack(
        await VaultCatalog.LoadAsync(first, cancellationToken), await VaultCatalog.LoadAsync(copy, cancellationToken));

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

    /// <summary>What there is besides packs and logs: where that did not change, only logs have grown.</summary>
    async Task<string> RootsAsync(CancellationToken cancellationToken)
    {
        var text = "";
        string[] roots =
            [VaultKeys.KeySlots, VaultKeys.Branches, VaultKeys.Moves, VaultKeys.Snapshots, VaultKeys.Backups, VaultKeys.Claims,
                VaultKeys.Condemned, VaultKeys.Outcomes];
        foreach (var prefix in roots)
        {
            var (count, last) = (0L, "");
            await foreach (var row in first.ListHereAsync(prefix, after: null, cancellationToken))
            {
                (count, last) = (count + 1, row.Key);
            }

            text += $"{count} {last} ";
        }

        return text;
    }

    async Task CopyAllAsync(Dictionary<string, string> ends, CancellationToken cancellationToken)
    {
        await CopyKeysAsync(cancellationToken);
        var trim = new CopyTrim(copy);
        await foreach (var row in CopyOrder.WalkAsync([first, copy], cancellationToken))
        {
            trim.Note(row);
            if (row.Sizes[0] is not null && row.Sizes[1] is null && IsDue(row.Key, ends))
            {
                await CopyAsync(row.Key, cancellationToken);
            }
        }

        if (damage is null)
        {
            await trim.RunAsync(cancellationToken);
            await DeletePrunedAsync(cancellationToken);
        }
    }

    /// <summary>What a prune deleted at the first goes here too, once what stands for it is here and good.</summary>
    async Task DeletePrunedAsync(CancellationToken cancellationToken)
    {
        // By its own records too: one that was taken over at the first says still what goes here.
        var condemned = await Condemnations.LoadAsync(copy, cancellationToken);
        var isDone = true;
        foreach (var group in condemned.All.Where(item => item.IsDeleting).SelectMany(item => item.Groups))
        {
            var here = await ListedAsync(copy, group, cancellationToken);
            here.ExceptWith(await ListedAsync(first, group, cancellationToken));
            if (here.Count == 0)
            {
                continue;
            }

            if (!await CopyTrim.IsStandingAsync(copy, group.By, condemned, cancellationToken))
            {
                isDone = false;
                continue;
            }

            foreach (var key in here.Order(StringComparer.Ordinal))
            {
                await copy.TryDeleteAsync(key, cancellationToken);
            }
        }

        if (isDone)
        {
            await Pruner.DeleteRetiredAsync(copy, condemned, cancellationToken);
        }
    }

    /// <summary>Which objects of a group are at a destination.</summary>
    static async Task<HashSet<string>> ListedAsync(VaultAccess at, CondemnedGroup group, CancellationToken cancellationToken)
    {
        var listed = new HashSet<string>();
        foreach (var folder in group.Keys.Select(key => key[..(key.LastIndexOf('/') + 1)]).Distinct())
        {
            await foreach (var row in at.ListHereAsync(folder, after: null, cancellationToken))
            {
                listed.Add(row.Key);
            }
        }

        listed.IntersectWith(group.Keys);
        return listed;
    }

    /// <summary>
    /// The key slots are those of the first destination: a secret that was taken back there opens no copy. Where the first has lost all of
    /// its own, the copy keeps what it has.
    /// </summary>
    async Task CopyKeysAsync(CancellationToken cancellationToken)
    {
        var rows = await CopyOrder.ListAsync([first, copy], VaultKeys.KeySlots, cancellationToken)
            .Where(row => row.Key != VaultKeys.KeyExported).ToListAsync(cancellationToken);
        foreach (var row in rows.Where(row => rows.Any(item => item.Sizes[0] is not null) && row.Sizes[1] is not null))
        {
            if (row.Sizes[0] is null)
            {
                await copy.TryDeleteAsync(row.Key, cancellationToken);
            }
            else if (await first.GetAsync(row.Key, cancellationToken) is { } content && ObjectBytes.FooterHash(content) is not null
                && !await copy.HoldsAsync(row.Key, content, cancellationToken))
            {
                // Its number was used again.
                await copy.ReplaceAsync(row.Key, content, cancellationToken);
            }
        }
    }

    /// <summary>
    /// Copies what follows in the logs; false where there is a hole, because what covers it was compacted and sorts before.
    /// </summary>
    async Task<bool> CopyTailsAsync(Dictionary<string, string> ends, CancellationToken cancellationToken)
    {
        foreach (var (log, end) in ends.OrderBy(item => item.Key, StringComparer.Ordinal))
        {
            copied.TryGetValue(log, out var after);
            if (end == after)
            {
                continue;
            }

            var next = after is null or "" ? 1 : VaultKeys.LogEntryOf(after, 0).Entry.Last + 1;
            await foreach (var row in first.ListHereAsync(log, after, cancellationToken))
            {
                if (!IsDue(row.Key, ends))
                {
                    continue;
                }

                var entry = VaultKeys.LogEntryOf(row.Key, 0).Entry;
                if (entry.First > next)
                {
                    return false;
                }

                await CopyAsync(row.Key, cancellationToken);
                next = Math.Max(next, entry.Last + 1);
            }
        }

        return true;
    }

    /// <summary>
    /// Copies what of the log of PostgreSQL followed: from the block before the one that was reached on, because what is merged sorts
    /// before what it is made of. What comes later still is compared with all keys.
    /// </summary>
    async Task FollowWalAsync(CancellationToken cancellationToken)
    {
        foreach (var branch in await first.ListHereAsync(VaultKeys.Branches, after: null, cancellationToken)
            .Select(row => (uint)VaultKeys.NumberOf(row.Key)).ToListAsync(cancellationToken))
        {
            var reached = walReached.GetValueOrDefault(branch).Value;
            var from = new Lsn(reached - Math.Min(reached, WalRange.BlockBytes)).Floor(WalRange.BlockBytes);
            var after = VaultKeys.Wal(branch, new WalRange(from, from));
            await foreach (var (key, rows) in CopyListing.SideBySideAsync(
                [.. new[] { first, copy }.Select(at => at.ListHereAsync(VaultKeys.WalsOf(branch), after, cancellationToken))]))
            {
                if (rows[0] is not null && rows[1] is null)
                {
                    await CopyAsync(key, cancellationToken);
                }

                if (rows[0] is not null && damage is null)
                {
                    walReached[branch] = Lsn.Max(walReached.GetValueOrDefault(branch), VaultKeys.WalOf(key, 0).Range.End);
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
        if (await first.GetAsync(key, cancellationToken) is not { } content)
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
