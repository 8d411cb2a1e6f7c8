using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Sqlite.Restore;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Sqlite.Verify;

/// <summary>How a deep verification is done.</summary>
public sealed record DeepOptions
{
    /// <summary>
    /// Where the proven image is kept, or would be: the restore is made beside it. Its directory exists.
    /// </summary>
    public required string ImagePath { get; init; }

    /// <summary>Keeps the result as the image for the next time, and begins with the one of the last time.</summary>
    public bool KeepImage { get; init; } = true;

    /// <summary>Restores from nothing, and always makes the full check.</summary>
    public bool Full { get; init; }

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }
}

/// <summary>What was restored and proved.</summary>
/// <param name="Point">The restore point.</param>
/// <param name="SizeBytes">The size of the database.</param>
/// <param name="FetchedBytes">What was read of the vault.</param>
/// <param name="FromImage">Whether only the log since the last time was applied.</param>
/// <param name="Check">Which check of SQLite it passed.</param>
/// <param name="Discarded">Why the image of the last time was thrown away; empty where it was not.</param>
public sealed record DeepResult(
    RestorePoint Point, long SizeBytes, long FetchedBytes, bool FromImage, IntegrityCheckDepth Check, string Discarded);

/// <summary>
/// Proves that a vault can be restored by restoring it. Cheap enough to be done often: the result is kept, and next time only the log that
/// came since is applied to a copy of it. Nothing of the kept image is believed: at the end the checksum of the whole file must be that of
/// the source at that commit, and SQLite's own check must pass.
/// </summary>
public sealed class DeepVerifier(VaultCatalog catalog, DeepOptions options, TimeProvider time)
{
    /// <summary>In between, the quick check does: it misses only rows that an index lacks, which no damage of a vault causes.</summary>
    static readonly TimeSpan FullCheckEvery = TimeSpan.FromDays(7);

    readonly RestorePlanner planner = new(catalog);

    /// <summary>Restores a point. Throws what is wrong with the vault, or with the database in it.</summary>
    public async Task<DeepResult> RunAsync(uint branch, RestorePoint point, CancellationToken cancellationToken)
    {
        var discarded = "";
        UnfinishedFile.Sweep(Path.GetDirectoryName(options.ImagePath)!);
        if (options.KeepImage && !options.Full && ProvenRecord.TryRead(options.ImagePath) is { } record)
        {
            try
            {
                if (await TryContinueAsync(record, branch, point, cancellationToken) is { } continued)
                {
                    return continued;
                }

                discarded = "it is not a state on the way to this restore point";
            }
            catch (ImageException e)
            {
                discarded = e.Message;
            }

            Discard();
        }

        return await FromNothingAsync(branch, point, discarded, cancellationToken);
    }

    /// <summary>From the image and the log after it; null where the vault does not have this image's state on the way.</summary>
    async Task<DeepResult?> TryContinueAsync(
        ProvenRecord record, uint branch, RestorePoint point, CancellationToken cancellationToken)
    {
        if (record.VaultId != catalog.Vault.Id || record.Position == 0 || record.Position > point.Position.Value
            || !Hash256.TryParse(record.Lineage, out var lineage)
            || (await planner.LogOfAsync(point, cancellationToken)).Details.PageSize != record.PageSize
            || await ChecksumAtAsync(record, branch, lineage, cancellationToken) is not { } checksumBefore)
        {
            return null;
        }

        var plan = await planner.PlanFromAsync(
            branch, point.Position, new SnapshotRef(record.Branch, new Position(record.Position)), record.Number, lineage,
            cancellationToken);
        using var unfinished = CopyImage();
        var restored = await new SqliteRestorer(catalog, plan) { Progressed = options.Progressed }.ApplyAsync(
            unfinished.Handle, record.PageSize, record.PageCount, checksumBefore, cancellationToken);
        if (restored is null)
        {
            return null;
        }

        options.Progressed?.Invoke(new WorkProgress("checking the whole image"));
        var sum = ImageChecksum.Of(unfinished.Handle, restored.PageSize, catalog.Vault.Hasher, cancellationToken);
        if (sum != restored.Checksum)
        {
            throw new ImageException($"with the log since, it has checksum {sum:x16} in place of {restored.Checksum:x16}");
        }

        var full = time.GetUtcNow() - record.IntegrityCheckedAt >= FullCheckEvery;
        var depth = full ? IntegrityCheckDepth.Full : IntegrityCheckDepth.Quick;
        await FinishAsync(unfinished, restored, point, depth, full ? null : record.IntegrityCheckedAt, cancellationToken);
        return new DeepResult(point, restored.SizeBytes, restored.FetchedBytes, FromImage: true, depth, "");
    }

    /// <summary>
    /// The checksum that the vault has for the state of the image; null where that state is not on the way. Where its object was merged
    /// into one that goes on beyond it, the link there is gone, and where the ladder dropped it the checksum too: then the image's own
    /// stands, and that of the whole file decides in the end.
    /// </summary>
    async Task<ulong?> ChecksumAtAsync(ProvenRecord record, uint branch, Hash256 lineage, CancellationToken cancellationToken)
    {
        var position = new Position(record.Position);
        if (await planner.CoveringAsync(branch, position, cancellationToken) is not { } found || found.Branch != record.Branch)
        {
            return null;
        }

        var log = found.Log;
        var isEnd = log.Header.PositionLast == record.Position;
        if (isEnd ? log.Header.Number != record.Number || log.Header.LineageAfter != lineage : !log.Details.IsCompacted)
        {
            return null;
        }

        var own = ulong.TryParse(record.Checksum, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var parsed)
            ? parsed
            : (ulong?)null;
        return !log.Has(position) || log.Details.Commits[log.LastAt(position)].Checksum == own ? own : null;
    }

    async Task<DeepResult> FromNothingAsync(
        uint branch, RestorePoint point, string discarded, CancellationToken cancellationToken)
    {
        var plan = await planner.PlanAsync(branch, point.Position, cancellationToken);
        using var unfinished = UnfinishedFile.Create(options.ImagePath);
        var restored = await new SqliteRestorer(catalog, plan) { Sized = RequireSpace, Progressed = options.Progressed }
            .WriteAsync(unfinished.Handle, cancellationToken);
        await FinishAsync(unfinished, restored, point, IntegrityCheckDepth.Full, integrityCheckedAt: null, cancellationToken);
        return new DeepResult(
            point, restored.SizeBytes, restored.FetchedBytes, FromImage: false, IntegrityCheckDepth.Full, discarded);
    }

    /// <summary>Lets SQLite check the file, and keeps it as the image of the next time.</summary>
    async Task FinishAsync(
        UnfinishedFile unfinished, RestoredImage restored, RestorePoint point, IntegrityCheckDepth depth,
        DateTimeOffset? integrityCheckedAt, CancellationToken cancellationToken)
    {
        options.Progressed?.Invoke(new WorkProgress(IntegrityCheck.PhaseOf(depth)));
        await Task.Run(
            () => IntegrityCheck.Run(unfinished.Path, $"the database at position {point.Position}", depth, cancellationToken),
            cancellationToken);
        var log = await planner.LogOfAsync(point, cancellationToken);
        if (!options.KeepImage || log.Header.PositionLast != point.Position.Value)
        {
            // A point within a change-set has no link of its own to be known again by.
            return;
        }

        DurableFile.FlushFile(unfinished.Handle, unfinished.Path);
        Posix.Rename(unfinished.Path, options.ImagePath);
        unfinished.IsFinished = true;
        var now = time.GetUtcNow();
        new ProvenRecord
        {
            VaultId = catalog.Vault.Id,
            Branch = point.Branch,
            Position = point.Position.Value,
            Number = log.Header.Number,
            Lineage = log.Header.LineageAfter.ToString(),
            Checksum = $"{restored.Checksum:x16}",
            PageSize = restored.PageSize,
            PageCount = restored.PageCount,
            ProvedAt = now,
            IntegrityCheckedAt = integrityCheckedAt ?? now,
        }.Write(options.ImagePath);
    }

    /// <summary>A file that shares its content with the image, or has a copy of it where the file system cannot do that.</summary>
    UnfinishedFile CopyImage()
    {
        using var image = Posix.Open(options.ImagePath, Posix.ReadOnly | Posix.NoFollow);
        var unfinished = UnfinishedFile.Create(options.ImagePath);
        try
        {
            if (!Posix.TryClone(image, unfinished.Handle))
            {
                RequireSpace(RandomAccess.GetLength(image));
                Copy(image, unfinished.Handle);
            }

            return unfinished;
        }
        catch
        {
            unfinished.Dispose();
            throw;
        }
    }

    static void Copy(SafeFileHandle from, SafeFileHandle to)
    {
        var buffer = new byte[1 << 20];
        for (var offset = 0L; RandomAccess.Read(from, buffer, offset) is var count and > 0; offset += count)
        {
            RandomAccess.Write(to, buffer.AsSpan(0, count), offset);
        }
    }

    /// <summary>Never trusted again.</summary>
    void Discard()
    {
        Posix.Unlink(ProvenRecord.PathFor(options.ImagePath));
        Posix.Unlink(options.ImagePath);
    }

    void RequireSpace(long sizeBytes)
    {
        var directory = Path.GetDirectoryName(options.ImagePath)!;
        var free = new DriveInfo(directory).AvailableFreeSpace;
        if (free < sizeBytes)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"not enough room in {directory} for a deep verification: it needs {SizeText.Format(sizeBytes)}, "
                    + $"and {SizeText.Format(free)} are free",
                "Free some, name another folder with 'state_dir', or set 'keep_image: false' for this source, which halves the need.");
        }
    }

    /// <summary>The image is not what its record says, so it is the image that is wrong, or the vault: a full restore tells.</summary>
    sealed class ImageException(string message) : Exception(message);
}
