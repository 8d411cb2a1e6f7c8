using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Postgres.Backup;

/// <summary>The names of chunks in the order in which they came, in a file of its own: 36 bytes for each 16 KiB of a database.</summary>
sealed class ChunkSpill(Stream file) : IDisposable
{
    const int RecordBytes = Hash256.SizeBytes + 4;

    readonly byte[] record = new byte[RecordBytes];

    /// <summary>How many were added.</summary>
    public long Count { get; private set; }

    public void Add(PendingEntry chunk) => Add(chunk.Name!.Value, chunk.Length);

    public void Add(Hash256 name, ulong length)
    {
        MemoryMarshal.AsBytes(new ReadOnlySpan<Hash256>(in name)).CopyTo(record);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(Hash256.SizeBytes), (uint)length);
        file.Write(record);
        Count++;
    }

    /// <summary>Some chunks again, without the packs that they are in.</summary>
    public List<ChunkEntry> Read(long first, int count)
    {
        var chunks = new List<ChunkEntry>(count);
        file.Position = first * RecordBytes;
        for (var i = 0; i < count; i++)
        {
            file.ReadExactly(record);
            chunks.Add(new ChunkEntry(
                MemoryMarshal.Read<Hash256>(record), BinaryPrimitives.ReadUInt32LittleEndian(record.AsSpan(Hash256.SizeBytes)), default));
        }

        return chunks;
    }

    public void Dispose() => file.Dispose();
}
