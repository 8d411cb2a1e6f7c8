using System.Buffers;
using System.Security.Cryptography;
using Microsoft.Win32.SafeHandles;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>The beginning of a file on this disk that is what the snapshot has.</summary>
/// <param name="File">Open for reading.</param>
/// <param name="Length">How much of the content.</param>
/// <param name="Digest">Its SHA-256: what is copied later must still be that.</param>
readonly record struct SameFront(SafeFileHandle File, long Length, byte[] Digest);

/// <summary>
/// Writes the content of files, in their order in the snapshot: chunks that a file on this disk has in the same place are taken from it,
/// each proved by its name, and the others are fetched. Not thread-safe.
/// </summary>
sealed class RestoredContent : IAsyncDisposable
{
    const int ChunkBytesMax = 1 << 20;
    const int NodePacksKept = 2;

    /// <summary>What is stored together is fetched together: less ahead would fetch it again.</summary>
    const ulong AheadBytesMin = 1 << 20;

    readonly TreeSnapshot snapshot;
    readonly RestoreNotes notes;
    readonly bool isAllFetched;
    readonly ContentStream content;
    readonly RecentPacks opened = new(NodePacksKept, isSparse: true);
    readonly ChunkReader nodes;
    readonly ChunkCursor chunks;
    ulong fetchedTo;
    ulong inRow;

    /// <param name="snapshot">What is restored.</param>
    /// <param name="notes">Told how far it is.</param>
    /// <param name="isAllFetched">Whether all content is needed, and none of it is here.</param>
    public RestoredContent(TreeSnapshot snapshot, RestoreNotes notes, bool isAllFetched)
    {
        (this.snapshot, this.notes, this.isAllFetched) = (snapshot, notes, isAllFetched);
        content = snapshot.ReadContent(isSparse: !isAllFetched);
        nodes = new ChunkReader(snapshot.Vault, opened);
        chunks = new ChunkCursor(nodes, snapshot.Details.Content);
    }

    /// <summary>What was read from the vault.</summary>
    public long FetchedBytes => content.FetchedBytes + nodes.FetchedBytes;

    /// <summary>What of the content was here already.</summary>
    public long ReusedBytes { get; private set; }

    /// <summary>How much of a file on this disk is what it is to have, from its first byte on.</summary>
    public async Task<SameFront> FrontAsync(SafeFileHandle old, WantedEntry wanted, CancellationToken cancellationToken)
    {
        var places = new FilePlaces(wanted.Entry);
        var (at, end) = (wanted.Offset, wanted.Offset + (ulong)wanted.Entry.ContentBytes);
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytesMax);
        try
        {
            while (at < end)
            {
                var chunk = await ChunkAtAsync(at, end, cancellationToken);
                if (!Has(old, places, (long)(at - wanted.Offset), chunk, buffer))
                {
                    break;
                }

                digest.AppendData(buffer, 0, (int)chunk.Length);
                at += chunk.Length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        return new SameFront(old, (long)(at - wanted.Offset), digest.GetCurrentHash());
    }

    /// <summary>The file is left where it is, because all of it is the same.</summary>
    public void Leave(WantedEntry wanted)
    {
        ReusedBytes += wanted.Entry.ContentBytes;
        notes.CountContent(wanted.Path, wanted.Entry.ContentBytes);
    }

    /// <summary>The same as the other, where the front of a file on this disk is known to be the same.</summary>
    public async Task WriteAsync(SafeFileHandle file, WantedEntry wanted, SameFront front, CancellationToken cancellationToken)
    {
        if (TryCopy(file, wanted, front))
        {
            await WriteAsync(file, wanted, front.File, cancellationToken, front.Length);
        }
        else
        {
            // Somebody writes to it: nothing of it is relied on.
            await WriteAsync(file, wanted, old: null, cancellationToken);
        }
    }

    bool TryCopy(SafeFileHandle file, WantedEntry wanted, SameFront front)
    {
        var places = new FilePlaces(wanted.Entry);
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytesMax);
        try
        {
            for (var at = 0L; at < front.Length;)
            {
                var part = buffer.AsSpan(0, (int)Math.Min(ChunkBytesMax, front.Length - at));
                if (!places.TryRead(front.File, at, part))
                {
                    return false;
                }

                digest.AppendData(part);
                places.Write(file, at, part);
                at += part.Length;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }

        if (!digest.GetCurrentHash().AsSpan().SequenceEqual(front.Digest))
        {
            return false;
        }

        ReusedBytes += front.Length;
        notes.CountContent(wanted.Path, front.Length);
        return true;
    }

    /// <summary>Writes what a file is to have into one that is new, or into the one that has some of it.</summary>
    /// <param name="file">Open for writing.</param>
    /// <param name="wanted">The entry of it.</param>
    /// <param name="old">A file that may have some of it, open for reading; may be the same. Null where there is none.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <param name="from">How much of its content it has already.</param>
    public async Task WriteAsync(
        SafeFileHandle file, WantedEntry wanted, SafeFileHandle? old, CancellationToken cancellationToken, long from = 0)
    {
        var places = new FilePlaces(wanted.Entry);
        var (at, end) = (wanted.Offset + (ulong)from, wanted.Offset + (ulong)wanted.Entry.ContentBytes);
        if (old is not null)
        {
            var buffer = ArrayPool<byte>.Shared.Rent(ChunkBytesMax);
            try
            {
                while (at < end)
                {
                    var chunk = await ChunkAtAsync(at, end, cancellationToken);
                    var (place, length) = ((long)(at - wanted.Offset), (int)chunk.Length);
                    if (!Has(old, places, place, chunk, buffer))
                    {
                        await FetchAsync(file, wanted, places, at, at + chunk.Length, cancellationToken);
                    }
                    else
                    {
                        Keep(old == file ? null : file, places, place, buffer.AsSpan(0, length));
                        notes.CountContent(wanted.Path, length);
                    }

                    at += chunk.Length;
                }
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }

        await FetchAsync(file, wanted, places, at, end, cancellationToken);
        if (wanted.Entry.Extents is not null || (old == file && RandomAccess.GetLength(file) != wanted.Entry.SizeBytes))
        {
            RandomAccess.SetLength(file, wanted.Entry.SizeBytes);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await content.DisposeAsync();
        await chunks.DisposeAsync();
        opened.Dispose();
    }

    void Keep(SafeFileHandle? file, FilePlaces places, long at, ReadOnlySpan<byte> bytes)
    {
        ReusedBytes += bytes.Length;
        if (file is not null)
        {
            places.Write(file, at, bytes);
        }
    }

    async ValueTask<ChunkEntry> ChunkAtAsync(ulong at, ulong end, CancellationToken cancellationToken) =>
        await chunks.SeekAsync(at, cancellationToken) && chunks.Start == at && chunks.Current.Length <= Math.Min(end - at, ChunkBytesMax)
            ? chunks.Current
            : throw new DamagedObjectException(snapshot.Key, $"the chunks of its content do not begin at byte {at}, where a file does");

    bool Has(SafeFileHandle old, FilePlaces places, long at, ChunkEntry chunk, byte[] buffer)
    {
        var bytes = buffer.AsSpan(0, (int)chunk.Length);
        return places.TryRead(old, at, bytes) && snapshot.Vault.Secrets.NameOf(bytes) == chunk.Name;
    }

    async Task FetchAsync(
        SafeFileHandle file, WantedEntry wanted, FilePlaces places, ulong at, ulong end, CancellationToken cancellationToken)
    {
        inRow = at == fetchedTo ? inRow : 0;
        while (at < end)
        {
            // What is needed next is not known: reading ahead as much as was needed in a row fetches at most about twice of it.
            var until = isAllFetched ? content.Length : end + (inRow == 0 ? 0 : Math.Max(inRow, AheadBytesMin));
            var data = await content.ReadAsync(at, until, cancellationToken);
            data = data[..(int)Math.Min((ulong)data.Length, end - at)];
            if (data.IsEmpty)
            {
                throw new DamagedObjectException(snapshot.Key, "its content ends within a file");
            }

            places.Write(file, (long)(at - wanted.Offset), data.Span);
            notes.CountContent(wanted.Path, data.Length);
            (at, inRow) = (at + (ulong)data.Length, inRow + (ulong)data.Length);
            fetchedTo = at;
        }
    }
}
