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

    /// <summary>Writes a file of the log; returns one of the exit codes.</summary>
    /// <param name="open">Opens the vault.</param>
    /// <param name="name">What the server asks for: a segment or a history file. Other files are absent.</param>
    /// <param name="target">Where it wants it.</param>
    /// <param name="failed">Told of what comes in the way.</param>
    /// <param name="cancellationToken">Ends it: then nobody can say either.</param>
    public static async Task<int> RunAsync(
        Func<Task<VaultAccess>> open, string name, string target, Action<SalvorException> failed, CancellationToken cancellationToken)
    {
        try
        {
            var catalog = await WalCatalog.LoadAsync(await open(), cancellationToken);
            var content = WalSegment.TimelineOfHistory(name) is > 0 and var timeline
                ? HistoryOf(catalog, timeline)
                : await SegmentAsync(catalog, name, cancellationToken);
            if (content is null)
            {
                return Absent;
            }

            DurableFile.Replace(target, content);
            return Delivered;
        }
        catch (OperationCanceledException)
        {
            return Unknown;
        }
        catch (SalvorException e)
        {
            failed(e);
            return Unknown;
        }
        catch (Exception e) when (e is IOException or PosixException or UnauthorizedAccessException)
        {
            failed(new SalvorException(
                FailureKind.Failure, $"{target} cannot be written: {e.Message}",
                "Make room there; the server asks again when it is started.", e));
            return Unknown;
        }
    }

    static byte[]? HistoryOf(WalCatalog catalog, uint timeline) =>
        timeline > 1 && WalBranches.Find(catalog.Branches, timeline) is { } branch ? WalBranches.HistoryOf(branch).Bytes.ToArray() : null;

    static async Task<byte[]?> SegmentAsync(WalCatalog catalog, string name, CancellationToken cancellationToken)
    {
        if (await ShapeAsync(catalog, cancellationToken) is not { } shape
            || !WalSegment.TryParse(name, shape.SegmentBytes, out var segment))
        {
            return null;
        }

        using var reader = new WalReader(catalog);
        return await reader.SegmentAsync(segment, cancellationToken);
    }

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
