using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Salvor.Platform;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Sqlite;

/// <summary>
/// The table of page hashes at one position, in a local file, so that a start need not read the whole log since the last snapshot. It is
/// believed only if it adds up to its checksum and the vault says that the source had this checksum at this position.
/// </summary>
sealed record PageTableCache(Guid VaultId, uint Branch, Position Position, uint PageSize, ulong[] Hashes)
{
    const int HeaderBytes = 48;
    const int CrcBytes = 4;

    static ReadOnlySpan<byte> Magic => "SLVPAGE1"u8;

    /// <summary>Replaces the file. It need not survive a loss of power.</summary>
    public void Write(string path)
    {
        var bytes = new byte[HeaderBytes + (Hashes.Length * sizeof(ulong)) + CrcBytes];
        Magic.CopyTo(bytes);
        VaultId.TryWriteBytes(bytes.AsSpan(8));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(24), Branch);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(28), PageSize);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(32), Position.Value);
        MemoryMarshal.AsBytes(Hashes.AsSpan()).CopyTo(bytes.AsSpan(HeaderBytes));
        var crc = Checksum.Crc32C(bytes.AsSpan(0, bytes.Length - CrcBytes));
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(bytes.Length - CrcBytes), crc);
        var temporary = path + ".tmp";
        File.WriteAllBytes(temporary, bytes);
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>The cache of a vault, or null where there is none that is whole. Whatever is wrong with it costs time only.</summary>
    public static PageTableCache? TryRead(string path, Guid vaultId)
    {
        try
        {
            if (!File.Exists(path))
            {
                return null;
            }

            var bytes = File.ReadAllBytes(path);
            var hashBytes = bytes.Length - HeaderBytes - CrcBytes;
            if (hashBytes < 0 || hashBytes % sizeof(ulong) != 0 || !bytes.AsSpan(0, 8).SequenceEqual(Magic)
                || Checksum.Crc32C(bytes.AsSpan(0, bytes.Length - CrcBytes))
                    != BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(bytes.Length - CrcBytes))
                || new Guid(bytes.AsSpan(8, 16)) != vaultId)
            {
                return null;
            }

            return new PageTableCache(
                vaultId,
                BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(24)),
                new Position(BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(32))),
                BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(28)),
                MemoryMarshal.Cast<byte, ulong>(bytes.AsSpan(HeaderBytes, hashBytes)).ToArray());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
