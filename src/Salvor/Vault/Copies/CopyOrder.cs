using System.Runtime.CompilerServices;

namespace Salvor.Vault.Copies;

/// <summary>One key of a vault, with the size that the object has at each of several destinations; null where it is absent.</summary>
readonly record struct CopyRow(string Key, long?[] Sizes)
{
    /// <summary>Where somebody deleted it, and the destination keeps it.</summary>
    public required bool[] IsHidden { get; init; }
}

/// <summary>
/// Walks through a vault at several destinations in the order in which objects may be copied, so that a copy that stops anywhere is a
/// vault that can be read: what an object needs comes before it.
/// </summary>
static class CopyOrder
{
    static readonly string[] First = [VaultKeys.KeySlots, VaultKeys.Identity, VaultKeys.Claims, VaultKeys.Packs];
    static readonly string[] Known =
    [
        .. First, VaultKeys.Moves, VaultKeys.Snapshots, VaultKeys.Backups, VaultKeys.Branches, VaultKeys.Logs, VaultKeys.Condemned,
        VaultKeys.Outcomes, VaultKeys.Wals,
    ];

    /// <summary>Every key that any of the destinations has.</summary>
    public static async IAsyncEnumerable<CopyRow> WalkAsync(
        IReadOnlyList<VaultAccess> copies, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Listed before the packs, and what needs it before it: what is stored meanwhile may need what is not listed. All these are few.
        var condemned = await ListAsync(copies, VaultKeys.Condemned, cancellationToken).ToListAsync(cancellationToken);
        var outcomes = await ListAsync(copies, VaultKeys.Outcomes, cancellationToken).ToListAsync(cancellationToken);
        var backups = await ListAsync(copies, VaultKeys.Backups, cancellationToken).ToListAsync(cancellationToken);
        var moves = await ListAsync(copies, VaultKeys.Moves, cancellationToken).ToListAsync(cancellationToken);
        var snapshots = await ListAsync(copies, VaultKeys.Snapshots, cancellationToken).ToListAsync(cancellationToken);
        var branches = await ListAsync(copies, VaultKeys.Branches, cancellationToken).ToListAsync(cancellationToken);
        foreach (var prefix in First)
        {
            if (prefix == VaultKeys.Packs && copies[0].Identity.IsPostgres)
            {
                // A base backup needs the log; that needs nothing but its branch.
                await foreach (var row in branches.ToAsyncEnumerable().Concat(ListAsync(copies, VaultKeys.Wals, cancellationToken)))
                {
                    yield return row;
                }

                branches = [];
            }

            await foreach (var row in ListAsync(copies, prefix, cancellationToken))
            {
                yield return row;
            }
        }

        foreach (var row in moves.Concat(snapshots).Concat(backups))
        {
            yield return row;
        }

        foreach (var branch in branches)
        {
            yield return branch;
            var name = branch.Key[VaultKeys.Branches.Length..];
            await foreach (var row in ListAsync(copies, $"{VaultKeys.Logs}{name}/", cancellationToken))
            {
                yield return row;
            }
        }

        // What stands for a condemned object comes before the record that hides that.
        foreach (var row in condemned.Concat(outcomes))
        {
            yield return row;
        }

        await foreach (var row in ListAsync(copies, "", cancellationToken))
        {
            if (!Known.Any(prefix => row.Key.StartsWith(prefix, StringComparison.Ordinal)))
            {
                yield return row;
            }
        }
    }

    /// <summary>Keys below a prefix at all of the destinations.</summary>
    public static async IAsyncEnumerable<CopyRow> ListAsync(
        IReadOnlyList<VaultAccess> copies, string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var (key, rows) in CopyListing.SideBySideAsync(
            [.. copies.Select(copy => copy.ListHereAsync(prefix, after: null, cancellationToken))]))
        {
            yield return new CopyRow(key, [.. rows.Select(row => row?.SizeBytes)])
            {
                IsHidden = [.. rows.Select(row => row?.IsHidden == true)],
            };
        }
    }
}
