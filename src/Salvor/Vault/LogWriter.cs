using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>Where the log of a branch ends. The next object continues from here.</summary>
/// <param name="Branch">The branch.</param>
/// <param name="Number">The number of its last object, part or not; 0 where there is none.</param>
/// <param name="Position">The last restore point.</param>
/// <param name="TimeMicros">Its ordered time.</param>
/// <param name="Lineage">The link after the last object.</param>
public sealed record LogTip(uint Branch, ulong Number, Position Position, long TimeMicros, Hash256 Lineage);

/// <summary>
/// Appends change-sets to the log of a branch, one after the other. A number that another writer took first ends this writer: see
/// <see cref="AppendAsync"/>.
/// </summary>
public sealed class LogWriter(VaultAccess vault, LogTip tip, uint epoch)
{
    ulong? openPart;

    /// <summary>Where the log ends after the last successful append.</summary>
    public LogTip Tip { get; private set; } = tip;

    /// <summary>Bytes stored so far, for figures.</summary>
    public long StoredBytes { get; private set; }

    /// <summary>
    /// Makes the change-set durable. After a failure that may pass, call again with the same change-set: an object that was stored although
    /// its answer was lost is recognised. Throws <see cref="FailureKind.Locked"/> where another writer took the number.
    /// </summary>
    public async Task AppendAsync(ChangeSetBuilder changeSet, CancellationToken cancellationToken)
    {
        var number = Tip.Number + 1;
        var first = Tip.Position.Next;
        var last = new Position(Tip.Position.Value + Math.Max(1, (ulong)changeSet.Commits.Count));
        var frameHashes = new Hash256[changeSet.FrameCount];
        using var writer = new ObjectWriter(vault.Secrets);
        for (var i = 0; i < changeSet.FrameCount; i++)
        {
            frameHashes[i] = vault.Secrets.NameOf(changeSet.FrameContent(i));
            var frame = SealedFrame.Seal(changeSet.FrameContent(i));
            writer.Add(frame);
            frame.Release();
        }

        var details = Details(changeSet, frameHashes, openPart ?? number).ToBytes();
        var header = new ObjectHeader
        {
            Kind = ObjectKind.Log,
            VaultId = vault.Id,
            Branch = Tip.Branch,
            Epoch = epoch,
            Number = number,
            PositionFirst = first.Value,
            PositionLast = last.Value,
            TimeFirstMicros = changeSet.Final ? changeSet.Commits[0].TimeMicros : Tip.TimeMicros,
            TimeLastMicros = changeSet.Final ? changeSet.Commits[^1].TimeMicros : Tip.TimeMicros,
            LineageBefore = Tip.Lineage,
        };
        header = header with { LineageAfter = Lineage.Next(vault.Secrets, Tip.Lineage, header, details.Span) };
        var (bytes, _) = writer.Finish(header, details.Span);

        var key = VaultKeys.Log(Tip.Branch, number);
        if (!await vault.PutAsync(key, bytes, cancellationToken))
        {
            await vault.ExpectOwnAsync(key, bytes, cancellationToken);
        }

        StoredBytes += bytes.Length;
        openPart = changeSet.Final ? null : openPart ?? number;
        Tip = Tip with
        {
            Number = number,
            Position = changeSet.Final ? last : Tip.Position,
            TimeMicros = header.TimeLastMicros,
            Lineage = header.LineageAfter,
        };
    }

    static LogDetails Details(ChangeSetBuilder changeSet, Hash256[] frameHashes, ulong firstPart) => new()
    {
        Kind = changeSet.Kind,
        Final = changeSet.Final,
        PageSize = changeSet.PageSize,
        FirstPart = firstPart,
        ChecksumBefore = changeSet.ChecksumBefore,
        ChecksumAfter = changeSet.Final ? changeSet.Commits[^1].Checksum : changeSet.ChecksumBefore,
        Cursor = changeSet.Cursor,
        Inode = changeSet.Inode,
        InodeBirth = changeSet.InodeBirth,
        Reason = changeSet.Reason,
        Snapshot = changeSet.Snapshot,
        FrameHashes = frameHashes,
        Commits = changeSet.Commits,
        Pages = changeSet.Pages,
    };
}
