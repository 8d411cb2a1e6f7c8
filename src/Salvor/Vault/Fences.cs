using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>
/// Fences: log objects without content that take a number, so that no older writer can. Writers compete for numbers and for nothing else:
/// whoever was frozen, cut off or wrongly taken for dead finds its next number taken when it goes on, and stops. No clock has a part in it.
/// <para>
/// Three rules make it whole. A writer that enters takes a number of the newest branch before it reads where that ends. A writer that
/// leaves a branch ends it before it begins the next one. And a writer goes on only where the last object is not of a newer epoch.
/// </para>
/// </summary>
public static class Fences
{
    /// <summary>An older writer that is alive and busy may be faster a few times.</summary>
    const int AttemptsMax = 100;

    /// <summary>Of a fence before which there is nothing that says more.</summary>
    const uint AnyPageSize = 4096;

    /// <summary>
    /// Shuts older writers out of the newest branch; true where an object was added, so that the catalogue is out of date. Throws
    /// <see cref="FailureKind.Locked"/> where a newer writer was here.
    /// </summary>
    /// <param name="catalog">The vault; not empty.</param>
    /// <param name="epoch">Our own.</param>
    /// <param name="isNeeded">False where the writer before us said that it ended: then this only looks.</param>
    public static Task<bool> TakeAsync(
        VaultCatalog catalog, uint epoch, bool isNeeded, TimeProvider time, CancellationToken cancellationToken) =>
        PutAsync(catalog, epoch, isNeeded ? LogKind.Fence : null, "", time, cancellationToken);

    /// <summary>Ends the newest branch: whoever goes on makes another one.</summary>
    /// <param name="catalog">The vault; not empty.</param>
    /// <param name="epoch">Our own.</param>
    /// <param name="reason">For people: why the branch is left.</param>
    internal static Task<bool> EndAsync(
        VaultCatalog catalog, uint epoch, string reason, TimeProvider time, CancellationToken cancellationToken) =>
        PutAsync(catalog, epoch, LogKind.End, reason, time, cancellationToken);

    /// <summary>The epoch of whoever wrote last to the newest branch; 0 where nothing was written.</summary>
    internal static async Task<uint> NewestEpochAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        if (catalog.IsEmpty)
        {
            return 0;
        }

        var branch = catalog.Branches.Last();
        var number = catalog.Logs(branch.Number).Last;
        return number == 0 ? branch.Epoch : (await catalog.ReadLogAsync(branch.Number, number, cancellationToken)).Header.Epoch;
    }

    static async Task<bool> PutAsync(
        VaultCatalog catalog, uint epoch, LogKind? kind, string reason, TimeProvider time, CancellationToken cancellationToken)
    {
        var branch = catalog.Branches.Last();
        var number = catalog.Logs(branch.Number).Last;
        for (var attempt = 1; ; attempt++)
        {
            var last = number == 0 ? null : await catalog.ReadLogAsync(branch.Number, number, cancellationToken);
            var lastEpoch = last?.Header.Epoch ?? branch.Epoch;
            if (lastEpoch > epoch)
            {
                throw new TakenOverException(
                    $"vault {catalog.Vault.Location} was taken over: epoch {lastEpoch} wrote to branch {branch.Number}, "
                        + $"and ours is {epoch}");
            }

            if (kind is null || last?.Details.Kind == LogKind.End || (kind == LogKind.Fence && lastEpoch == epoch))
            {
                return false;
            }

            try
            {
                using var fence = Make(kind.Value, last?.Details, reason);
                await new LogWriter(catalog.Vault, TipOf(catalog, branch, last), epoch, time).AppendAsync(fence, cancellationToken);
                return true;
            }
            catch (TakenOverException) when (kind == LogKind.Fence && attempt < AttemptsMax)
            {
                // Somebody was faster. What an older writer added in time counts, and the next number is as good. Not for an end: it
                // stands where we decided to leave.
                number++;
            }
        }
    }

    /// <summary>It is the first part of a change-set that never ends, so that readers of the log step over it.</summary>
    static ChangeSetBuilder Make(LogKind kind, LogDetails? last, string reason) =>
        new(kind, last?.PageSize ?? AnyPageSize, last?.ChecksumAfter ?? 0)
        {
            Final = false,
            Reason = reason,
            Cursor = last?.Cursor ?? default,
            Inode = last?.Inode ?? 0,
            InodeBirth = last?.InodeBirth ?? 0,
        };

    static LogTip TipOf(VaultCatalog catalog, Branch branch, LogObject? last) => last is null
        ? new LogTip(branch.Number, 0, new Position(branch.Record.ForkPosition), 0, catalog.LineageStart(branch))
        : new LogTip(
            branch.Number,
            last.Header.Number,
            new Position(last.Details.Final ? last.Header.PositionLast : last.Header.PositionFirst - 1),
            last.Header.TimeLastMicros,
            last.Header.LineageAfter);
}
