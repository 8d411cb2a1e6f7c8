using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>Where the log of a branch ends. The next object continues from here.</summary>
/// <param name="Branch">The branch.</param>
/// <param name="Number">The number of its last object, part or not; 0 where there is none.</param>
/// <param name="Position">The last restore point.</param>
/// <param name="TimeMicros">Its ordered time.</param>
/// <param name="Lineage">The link after the last object.</param>
public sealed record LogTip(uint Branch, ulong Number, Position Position, long TimeMicros, Hash256 Lineage);

/// <summary>A log object as it will be stored, and where the log ends then. Owns its bytes.</summary>
public sealed class SealedLog : IDisposable
{
    readonly ObjectWriter writer;

    internal SealedLog(ObjectWriter writer, string key, ReadOnlyMemory<byte> bytes, LogTip tip, ulong? openPart)
    {
        (this.writer, Key, Bytes, Tip, OpenPart) = (writer, key, bytes, tip, openPart);
    }

    /// <summary>Its key within the vault.</summary>
    public string Key { get; }

    /// <summary>Valid until it is disposed.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    public LogTip Tip { get; }

    /// <summary>The first part of a change-set that does not end with this object; null where it ends.</summary>
    internal ulong? OpenPart { get; }

    public void Dispose() => writer.Dispose();
}

/// <summary>
/// Appends change-sets to the log of a branch, one after the other. A number that another writer took first ends this writer: see
/// <see cref="AppendAsync"/>. Numbers become free again when their objects were compacted and deleted, so a free number alone proves
/// nothing to a writer that was frozen or cut off for long: one that did not see the end of the log lately looks before it publishes, and
/// counts nothing durable that took as long.
/// </summary>
public sealed class LogWriter(VaultAccess vault, LogTip tip, uint epoch, TimeProvider time)
{
    /// <summary>How long an object stays after another one that covers it was seen.</summary>
    public static readonly TimeSpan SupersededKept = TimeSpan.FromMinutes(10);

    /// <summary>
    /// How long a look at the end of the log holds. Far less than a superseded object stays, because clocks differ, and a put that was
    /// under way may arrive late.
    /// </summary>
    static readonly TimeSpan LookHolds = SupersededKept / 4;

    ulong? openPart;

    /// <summary>When the end of the log was last seen to be ours, by two clocks: the first one stops on some machines that sleep.</summary>
    (long Timestamp, DateTimeOffset Wall)? confirmed;

    /// <summary>Where the log ends after the last change-set that was taken: the next one continues from here.</summary>
    public LogTip Tip { get; private set; } = tip;

    /// <summary>Where the log ends at the destination: everything up to here survives.</summary>
    public LogTip Stored { get; private set; } = tip;

    /// <summary>Bytes stored so far, for figures.</summary>
    public long StoredBytes { get; private set; }

    /// <summary>
    /// Makes the change-set durable. After a failure that may pass, call again with the same change-set: an object that was stored although
    /// its answer was lost is recognised. Throws <see cref="FailureKind.Locked"/> where another writer took the number.
    /// </summary>
    public async Task AppendAsync(ChangeSetBuilder changeSet, CancellationToken cancellationToken)
    {
        using var log = Seal(changeSet);
        await StoreAsync(log.Key, log.Bytes, log.Tip, cancellationToken);
        Take(log);
    }

    /// <summary>The object that continues <see cref="Tip"/> with a change-set. Nothing is stored or taken yet.</summary>
    public SealedLog Seal(ChangeSetBuilder changeSet)
    {
        var number = Tip.Number + 1;
        var first = Tip.Position.Next;
        var last = new Position(Tip.Position.Value + Math.Max(1, (ulong)changeSet.Commits.Count));
        var frameHashes = new Hash256[changeSet.FrameCount];
        var writer = vault.NewObject();
        for (var i = 0; i < changeSet.FrameCount; i++)
        {
            frameHashes[i] = vault.Secrets.NameOf(changeSet.FrameContent(i));
            var frame = SealedFrame.Seal(changeSet.FrameContent(i), vault.Compression);
            writer.Add(frame);
            frame.Release();
        }

        var details = Details(changeSet, frameHashes, openPart ?? number);
        var bytes = details.ToBytes();
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
            Log = LogSummary.Of(details),
        };
        header = header with { LineageAfter = Lineage.Next(vault.Secrets, Tip.Lineage, header, bytes.Span) };
        var next = Tip with
        {
            Number = number,
            Position = changeSet.Final ? last : Tip.Position,
            TimeMicros = header.TimeLastMicros,
            Lineage = header.LineageAfter,
        };
        return new SealedLog(
            writer, VaultKeys.Log(Tip.Branch, number), writer.Finish(header, bytes.Span).Bytes, next,
            changeSet.Final ? null : openPart ?? number);
    }

    /// <summary>The next change-set continues after this one, which is stored or kept somewhere until it can be.</summary>
    public void Take(SealedLog log)
    {
        openPart = log.OpenPart;
        Tip = log.Tip;
    }

    /// <summary>Stores what was sealed, in the order in which it was. May be repeated as <see cref="AppendAsync"/>.</summary>
    /// <param name="key">Its key.</param>
    /// <param name="bytes">The object.</param>
    /// <param name="end">Where the log ends with it.</param>
    public async Task StoreAsync(string key, ReadOnlyMemory<byte> bytes, LogTip end, CancellationToken cancellationToken)
    {
        Invariant.Check(end.Number == Stored.Number + 1);
        if (!IsConfirmed)
        {
            await LookAsync(cancellationToken);
        }

        var started = (time.GetTimestamp(), time.GetUtcNow());
        if (!await vault.PutAsync(key, bytes, cancellationToken))
        {
            await vault.ExpectOwnAsync(key, bytes, cancellationToken);
        }

        if (!IsConfirmed)
        {
            await LookAsync(cancellationToken);
        }

        confirmed = confirmed!.Value.Timestamp > started.Item1 ? confirmed : started;
        StoredBytes += bytes.Length;
        Stored = end;
    }

    bool IsConfirmed => confirmed is { } last
        && time.GetElapsedTime(last.Timestamp) < LookHolds && (time.GetUtcNow() - last.Wall).Duration() < LookHolds;

    /// <summary>
    /// Only the next number may follow the end that we know: an earlier attempt of ours may have stored it. The last object of a log is
    /// never compacted, so whoever went on has left one behind it.
    /// </summary>
    async Task LookAsync(CancellationToken cancellationToken)
    {
        var started = (time.GetTimestamp(), time.GetUtcNow());
        var end = VaultKeys.Log(Stored.Branch, Stored.Number);
        await foreach (var row in vault.ListAsync(VaultKeys.LogsOf(Stored.Branch), end, cancellationToken))
        {
            var (entry, _) = VaultKeys.LogEntryOf(row.Key, row.SizeBytes);
            if (entry.Last > Stored.Number + 1)
            {
                throw await vault.TakenOverAsync(row.Key, cancellationToken);
            }
        }

        confirmed = started;
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
