using Salvor.Platform;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Wal;

namespace Salvor.Postgres;

/// <summary>
/// Gives a recovering server a file of the log. The server believes each exit code up to 125 to mean that the log ends there, and
/// opens the database with what it has: so only what is proved to be absent may be told by one of those.
/// </summary>
public static class WalGet
{
    /// <summary>The file is there, durably.</summary>
    public const int Delivered = 0;

    /// <summary>The vault has nothing of it, and nothing after it.</summary>
    public const int Absent = 1;

    /// <summary>Nobody can say: the server ends, and tries again when it is started.</summary>
    public const int Unknown = 255;

    /// <summary>
    /// Writes a file of the log; returns one of the exit codes. Copies are asked in their order until one has all of the file. What is only
    /// begun, or absent, is told as such where every copy was asked: one that could not be may have more.
    /// </summary>
    /// <param name="copies">Each opens the vault at one destination.</param>
    /// <param name="name">What the server asks for: a segment or a history file. Other files are absent.</param>
    /// <param name="target">Where it wants it.</param>
    /// <param name="failed">Told of what comes in the way.</param>
    /// <param name="cancellationToken">Ends it: then nobody can say either.</param>
    public static async Task<int> RunAsync(
        IReadOnlyList<Func<Task<VaultAccess>>> copies, string name, string target, Action<SalvorException> failed,
        CancellationToken cancellationToken)
    {
        var (longest, isUnknown) = (default((byte[] Content, long Had)?), false);
        foreach (var open in copies)
        {
            try
            {
                var found = await FindAsync(await open(), name, cancellationToken);
                longest = found?.Had > (longest?.Had ?? -1) ? found : longest;
                if (longest is { } whole && whole.Had == whole.Content.Length)
                {
                    return Deliver(whole.Content, target, failed);
                }
            }
            catch (OperationCanceledException)
            {
                return Unknown;
            }
            catch (SalvorException e)
            {
                failed(e);
                isUnknown = true;
            }
        }

        return isUnknown ? Unknown : longest is { } begun ? Deliver(begun.Content, target, failed) : Absent;
    }

    static int Deliver(byte[] content, string target, Action<SalvorException> failed)
    {
        try
        {
            DurableFile.Replace(target, content);
            return Delivered;
        }
        catch (Exception e) when (e is IOException or PosixException or UnauthorizedAccessException)
        {
            failed(new SalvorException(
                FailureKind.Failure, $"{target} cannot be written: {e.Message}",
                "Make room there; the server asks again when it is started.", e));
            return Unknown;
        }
    }

    /// <summary>A file, and how much of it there is; null where nothing of it is.</summary>
    static async Task<(byte[] Content, long Had)?> FindAsync(VaultAccess vault, string name, CancellationToken cancellationToken)
    {
        var catalog = await WalCatalog.LoadAsync(vault, cancellationToken);
        if (WalSegment.TimelineOfHistory(name) is > 0 and var timeline)
        {
            return HistoryOf(catalog, timeline) is { } history ? (history, history.Length) : null;
        }

        if (await ShapeAsync(catalog, cancellationToken) is not { } shape
            || !WalSegment.TryParse(name, shape.SegmentBytes, out var segment))
        {
            return null;
        }

        using var reader = new WalReader(catalog);
        return await reader.SegmentAsync(segment, cancellationToken) is { } content
            && WalBranches.Find(catalog.Branches, segment.Timeline) is { } branch
                ? (content, Lsn.Min(catalog.Reach(branch.Number, segment.Range.First), segment.Range.End) - segment.Range.First)
                : null;
    }

    static byte[]? HistoryOf(WalCatalog catalog, uint timeline) =>
        timeline > 1 && WalBranches.Find(catalog.Branches, timeline) is { } branch ? WalBranches.HistoryOf(branch).Bytes.ToArray() : null;

    /// <summary>All objects of a vault say the same of the cluster.</summary>
    static async Task<WalShape?> ShapeAsync(WalCatalog catalog, CancellationToken cancellationToken)
    {
        SalvorException? failure = null;
        foreach (var entry in catalog.Branches.Reverse().SelectMany(branch => catalog.Objects(branch.Number).Reverse()))
        {
            try
            {
                return await WalReader.ShapeAsync(catalog.Vault, entry, cancellationToken);
            }
            catch (DamagedObjectException e)
            {
                failure ??= e;
            }
        }

        return failure is null ? null : throw failure;
    }
}
