using System.Buffers.Binary;

namespace Salvor.Vault.Format;

/// <summary>The checksum of gzip: CRC-32 of RFC 1952, section 8. Eight bytes at a time by tables, which is faster than inflating.</summary>
static class Crc32
{
    const int TableCount = 8;
    static readonly uint[][] Tables = MakeTables();

    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        for (; bytes.Length >= TableCount; bytes = bytes[TableCount..])
        {
            var low = crc ^ BinaryPrimitives.ReadUInt32LittleEndian(bytes);
            var high = BinaryPrimitives.ReadUInt32LittleEndian(bytes[4..]);
            crc = Tables[7][(byte)low] ^ Tables[6][(byte)(low >> 8)] ^ Tables[5][(byte)(low >> 16)] ^ Tables[4][low >> 24]
                ^ Tables[3][(byte)high] ^ Tables[2][(byte)(high >> 8)] ^ Tables[1][(byte)(high >> 16)] ^ Tables[0][high >> 24];
        }

        foreach (var value in bytes)
        {
            crc = Tables[0][(byte)(crc ^ value)] ^ (crc >> 8);
        }

        return ~crc;
    }

    /// <summary>Table n has, for each byte, what it does to the checksum when n more bytes follow it.</summary>
    static uint[][] MakeTables()
    {
        const uint Polynomial = 0xEDB88320;
        var tables = new uint[TableCount][];
        for (var n = 0; n < TableCount; n++)
        {
            tables[n] = new uint[256];
            for (var value = 0u; value < 256; value++)
            {
                var crc = n == 0 ? value : tables[n - 1][value];
                for (var bit = 0; bit < 8; bit++)
                {
                    crc = (crc >> 1) ^ ((crc & 1) != 0 ? Polynomial : 0);
                }

                tables[n][value] = crc;
            }
        }

        return tables;
    }
}
