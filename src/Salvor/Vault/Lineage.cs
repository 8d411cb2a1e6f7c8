using System.Buffers.Binary;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>
/// The hash chain through the log. Each link covers the one before it, the object's place and its details, and these hold the hash of
/// every frame; so an object that is missing, reordered, swapped, changed or from another vault breaks the chain at a place with a name.
/// </summary>
static class Lineage
{
    /// <summary>Where the chain of a branch starts: at its parent's link, or at nothing for the first branch.</summary>
    public static Hash256 StartOf(VaultSecrets secrets, Guid vaultId, uint branch, Position fork, Hash256 parentLink)
    {
        Span<byte> bytes = stackalloc byte[16 + 4 + 8 + Hash256.SizeBytes];
        vaultId.TryWriteBytes(bytes, bigEndian: true, out _);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[16..], branch);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[20..], fork.Value);
        parentLink.CopyTo(bytes[28..]);
        return secrets.LinkOf(bytes);
    }

    /// <summary>The link after a log object.</summary>
    public static Hash256 Next(VaultSecrets secrets, Hash256 before, ObjectHeader header, ReadOnlySpan<byte> details)
    {
        Span<byte> bytes = stackalloc byte[Hash256.SizeBytes + 4 + 8 + 8 + 8 + 8 + 8 + Hash256.SizeBytes];
        before.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes[32..], header.Branch);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[36..], header.Number);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[44..], header.PositionFirst);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes[52..], header.PositionLast);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[60..], header.TimeFirstMicros);
        BinaryPrimitives.WriteInt64LittleEndian(bytes[68..], header.TimeLastMicros);
        secrets.NameOf(details).CopyTo(bytes[76..]);
        return secrets.LinkOf(bytes);
    }
}
