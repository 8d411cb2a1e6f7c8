using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Postgres;

/// <summary>
/// Stores a file that the server wants to archive. It returns when that is durable in the vault, also where it was there before, and throws
/// on anything that is not certain: the server keeps the file then, and asks again.
/// </summary>
public static class WalPush
{
    /// <summary>Stores a segment, an open segment that ends in <c>.partial</c>, or a history file.</summary>
    /// <param name="vault">Of this cluster.</param>
    /// <param name="path">The file in the server's <c>pg_wal</c>, where the history of its timeline is beside it.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends it between two objects.</param>
    public static async Task RunAsync(VaultAccess vault, string path, TimeProvider time, CancellationToken cancellationToken)
    {
        var name = Path.GetFileName(path);
        if (name.EndsWith(".backup", StringComparison.Ordinal))
        {
            // A note of where a base backup began, which the backup has itself.
            return;
        }

        if (WalSegment.TimelineOfHistory(name) is > 0 and var timeline)
        {
            var history = TimelineHistory.Read(timeline, await ReadAsync(path, cancellationToken));
            await WalBranches.EnsureAsync(vault, ShapeBeside(path).SystemId, history, time, cancellationToken);
            return;
        }

        await PushSegmentAsync(vault, path, name, time, cancellationToken);
    }

    static async Task PushSegmentAsync(
        VaultAccess vault, string path, string name, TimeProvider time, CancellationToken cancellationToken)
    {
        var bytes = await ReadAsync(path, cancellationToken);
        var isPartial = name.EndsWith(WalSegment.Partial, StringComparison.Ordinal);
        var shape = WalShape.TryRead(bytes);
        if (shape is null || bytes.Length != shape.SegmentBytes
            || !WalSegment.TryParse(isPartial ? name[..^WalSegment.Partial.Length] : name, shape.SegmentBytes, out var segment))
        {
            throw Refused(path, shape is null ? "it does not begin as a segment of the log does"
                : bytes.Length != shape.SegmentBytes ? $"its segments have {shape.SegmentBytes} bytes, and it has {bytes.Length}"
                : $"that is no name of a segment of {shape.SegmentBytes} bytes");
        }

        var length = isPartial ? WholeBytes(bytes, segment, shape) : bytes.Length;
        var branch = await BranchAsync(vault, path, shape.SystemId, segment.Timeline, time, cancellationToken);
        var writer = new WalWriter(vault, branch, segment.Timeline, shape);
        var had = new DateTimeOffset(File.GetLastWriteTimeUtc(path), TimeSpan.Zero);
        if (length > 0)
        {
            await writer.StoreAsync(segment.Range.First, bytes.AsMemory(0, length), had, time.GetUtcNow(), cancellationToken);
        }
    }

    /// <summary>Behind the last record of an open segment the file has what an older one of that name had.</summary>
    static int WholeBytes(ReadOnlySpan<byte> bytes, WalSegment segment, WalShape shape)
    {
        var records = new WalRecords(shape, segment.Timeline, segment.Range.First, _ => { });
        records.Add(bytes);
        return records.WholeEnd > segment.Range.First ? (int)(records.WholeEnd - segment.Range.First) : 0;
    }

    static async Task<uint> BranchAsync(
        VaultAccess vault, string path, ulong systemId, uint timeline, TimeProvider time, CancellationToken cancellationToken)
    {
        var beside = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, $"{timeline:X8}.history");
        if (timeline > 1 && !File.Exists(beside))
        {
            var catalog = await WalCatalog.LoadAsync(vault, cancellationToken);
            var known = WalBranches.Find(catalog.Branches, timeline)
                ?? throw Refused(path, $"the history of its timeline, {beside}, is not there");
            return await WalBranches.EnsureAsync(vault, systemId, WalBranches.HistoryOf(known), time, cancellationToken);
        }

        var history = TimelineHistory.Read(
            timeline, timeline == 1 ? default(ReadOnlyMemory<byte>) : await ReadAsync(beside, cancellationToken));
        return await WalBranches.EnsureAsync(vault, systemId, history, time, cancellationToken);
    }

    /// <summary>A history does not say of which cluster it is; the segments beside it do.</summary>
    static WalShape ShapeBeside(string path)
    {
        foreach (var other in Directory.EnumerateFiles(Path.GetDirectoryName(Path.GetFullPath(path))!).Where(IsSegment))
        {
            var start = new byte[WalShape.LongHeaderBytes];
            using var file = File.OpenRead(other);
            if (file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length && WalShape.TryRead(start) is { } shape)
            {
                return shape;
            }
        }

        throw Refused(path, "no segment is beside it that says of which cluster it is");

        static bool IsSegment(string other) => WalSegment.TryParse(Path.GetFileName(other), 1 << 20, out _)
            || WalSegment.TryParse(Path.GetFileName(other), 1 << 30, out _);
    }

    static async Task<byte[]> ReadAsync(string path, CancellationToken cancellationToken)
    {
        try
        {
            return new FileInfo(path).Length <= 1 << 30
                ? await File.ReadAllBytesAsync(path, cancellationToken)
                : throw Refused(path, "it is longer than any file of the log");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SalvorException(
                FailureKind.SourceUnreadable, $"{path} cannot be read: {e.Message}",
                "Run it as the user of the server, which calls it in its data directory with 'archive_command'.", e);
        }
    }

    static SalvorException Refused(string path, string what) => new(
        FailureKind.SourceUnreadable, $"{path} is not archived: {what}",
        "Only files of pg_wal of a running server are: call it by 'archive_command' with %p.");
}
