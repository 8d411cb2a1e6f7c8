using System.Buffers;
using Salvor.Vault.Format;

namespace Salvor.Vault.Wal;

/// <summary>An object of the log in a listing.</summary>
/// <param name="StoredBytes">Its size at the destination; 0 where that is not known.</param>
public readonly record struct WalRef(uint Branch, WalRange Range, long StoredBytes = 0)
{
    /// <summary>Its key inside the vault.</summary>
    public string Key => VaultKeys.Wal(Branch, Range);
}

/// <summary>An object of the log that is open, checked but for its frames.</summary>
sealed class WalObject : IDisposable
{
    readonly VaultAccess vault;
    readonly StoredObject stored;
    readonly long[] starts;

    WalObject(VaultAccess vault, StoredObject stored, WalRef entry, WalDetails details)
    {
        (this.vault, this.stored, Ref, Details) = (vault, stored, entry, details);
        starts = new long[stored.Frames.Count];
        for (var i = 0; i + 1 < starts.Length; i++)
        {
            starts[i + 1] = starts[i] + stored.Frames[i].ContentBytes;
        }
    }

    public WalRef Ref { get; }

    public ObjectHeader Header => stored.Header;

    public WalDetails Details { get; }

    /// <summary>How many frames hold the log.</summary>
    public int FrameCount => starts.Length - 1;

    /// <summary>Opens an object; where it is missing or damaged, that of another copy.</summary>
    /// <param name="whole">All of it will be read.</param>
    public static async Task<WalObject> OpenAsync(VaultAccess vault, WalRef entry, bool whole, CancellationToken cancellationToken)
    {
        return await ReadAsync(vault, await OpenEnvelopeAsync(vault, entry.Key, whole, cancellationToken), cancellationToken);
    }

    /// <summary>Opens an object without its details.</summary>
    public static Task<StoredObject> OpenEnvelopeAsync(VaultAccess vault, string key, bool whole, CancellationToken cancellationToken)
    {
        var entry = VaultKeys.WalOf(key, storedBytes: 0);
        return vault.OpenAsync(key, ObjectKind.Wal, whole, cancellationToken, header => Misplaced(header, entry));
    }

    /// <summary>Reads and checks the details of an object that is open. It is closed with what this returns, or where this fails.</summary>
    public static async Task<WalObject> ReadAsync(VaultAccess vault, StoredObject stored, CancellationToken cancellationToken)
    {
        try
        {
            return await ReadOpenAsync(vault, stored, cancellationToken);
        }
        catch
        {
            stored.Dispose();
            throw;
        }
    }

    static async Task<WalObject> ReadOpenAsync(VaultAccess vault, StoredObject stored, CancellationToken cancellationToken)
    {
        var entry = VaultKeys.WalOf(stored.Key, stored.SizeBytes);
        var details = WalDetails.Read(stored.Key, await stored.ReadDetailsAsync(cancellationToken));
        var content = stored.Frames.Take(stored.Frames.Count - 1).ToList();
        var problem = details.FrameHashes.Count != content.Count ? "its frames do not match its details"
            : content.Any(frame => frame.ContentBytes == 0) || content.Sum(frame => (long)frame.ContentBytes) != entry.Range.Length
                ? $"its frames do not have the {entry.Range.Length} bytes that its name says"
            : details.ProblemIn(entry.Range);
        return problem is null ? new WalObject(vault, stored, entry, details) : throw new DamagedObjectException(stored.Key, problem);
    }

    /// <summary>Reads a part of it, which is in its range, into a buffer of that size.</summary>
    public async Task ReadAsync(WalRange part, Memory<byte> target, CancellationToken cancellationToken)
    {
        var rented = ArrayPool<byte>.Shared.Rent(SealedFrame.ContentBytesMax);
        try
        {
            for (var i = 0; i < FrameCount; i++)
            {
                var frame = new WalRange(Ref.Range.First + starts[i], Ref.Range.First + starts[i + 1]);
                var wanted = frame.Within(part);
                if (!wanted.IsEmpty)
                {
                    var content = rented.AsMemory(0, (int)frame.Length);
                    await ReadFrameAsync(i, content, cancellationToken);
                    content.Slice((int)(wanted.First - frame.First), (int)wanted.Length)
                        .CopyTo(target[(int)(wanted.First - part.First)..]);
                }
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    /// <summary>Checks that a frame has the content that the details were made with, and returns it.</summary>
    async Task ReadFrameAsync(int index, Memory<byte> content, CancellationToken cancellationToken)
    {
        await stored.ReadFrameAsync(index, content, cancellationToken);
        if (vault.Secrets.NameOf(content.Span) != Details.FrameHashes[index])
        {
            throw new DamagedObjectException(stored.Key, $"frame {index} does not match its hash");
        }
    }

    public void Dispose() => stored.Dispose();

    static string? Misplaced(ObjectHeader header, WalRef entry) =>
        (header.Branch, header.PositionFirst, header.PositionLast) == (entry.Branch, entry.Range.First.Value, entry.Range.End.Value)
            ? Micros.IsTime(header.TimeFirstMicros) && Micros.IsTime(header.TimeLastMicros) ? null : "its times are none"
            : $"it holds {new Lsn(header.PositionFirst)}-{new Lsn(header.PositionLast)} of branch {header.Branch}, put in this place";
}
