using Salvor.Vault.Format;

namespace Salvor.Vault.Snapshots;

/// <summary>Where a chunk is inside its pack.</summary>
readonly record struct ChunkPlace(Hash256 Name, ushort Frame, uint Offset, uint Length)
{
    public const int SizeBytes = Hash256.SizeBytes + 2 + 4 + 4;

    public static ReadOnlyMemory<byte> Write(IReadOnlyList<ChunkPlace> places)
    {
        var writer = new FieldWriter();
        writer.U32((uint)places.Count);
        foreach (var place in places)
        {
            writer.Hash(place.Name);
            writer.U16(place.Frame);
            writer.U32(place.Offset);
            writer.U32(place.Length);
        }

        return writer.Written;
    }

    /// <summary>The chunk table of a pack.</summary>
    public static async Task<Dictionary<Hash256, ChunkPlace>> ReadAsync(
        VaultAccess vault, Hash256 pack, CancellationToken cancellationToken)
    {
        using var stored = await vault.OpenAsync(VaultKeys.Pack(pack), ObjectKind.Pack, whole: false, cancellationToken);
        return Read(stored, await stored.ReadDetailsAsync(cancellationToken));
    }

    /// <summary>The chunk table of a pack, checked against its frames.</summary>
    public static Dictionary<Hash256, ChunkPlace> Read(StoredObject pack, ReadOnlySpan<byte> details)
    {
        var reader = new FieldReader(pack.Key, details);
        var places = new Dictionary<Hash256, ChunkPlace>();
        for (var count = reader.Count(SizeBytes); count > 0; count--)
        {
            var place = new ChunkPlace(reader.Hash(), reader.U16(), reader.U32(), reader.U32());
            if (place.Frame >= pack.Frames.Count - 1 || (ulong)place.Offset + place.Length > pack.Frames[place.Frame].ContentBytes)
            {
                throw new DamagedObjectException(pack.Key, $"chunk {place.Name} lies outside its frames");
            }

            places[place.Name] = place;
        }

        reader.ExpectEnd();
        return places;
    }
}
