using System.Text;

namespace Salvor.Postgres.Backup;

/// <summary>An entry of a tar archive, as a server writes it: in the form <c>ustar</c>, with numbers that may be binary.</summary>
/// <param name="Path">Its path, each byte as one character; directories have no slash at the end.</param>
/// <param name="Type">Such as <c>0</c> for a file.</param>
/// <param name="SizeBytes">How long its content is.</param>
/// <param name="Permissions">The twelve permission bits.</param>
/// <param name="ModifiedSeconds">Since 1970.</param>
/// <param name="Target">Of a link.</param>
sealed record TarHeader(string Path, char Type, long SizeBytes, uint Permissions, long ModifiedSeconds, byte[] Target)
{
    public const int BlockBytes = 512;

    public const char File = '0';
    public const char Directory = '5';
    public const char Link = '2';

    const int ChecksumAt = 148;
    const int ChecksumBytes = 8;

    public uint UserId { get; private init; }

    public uint GroupId { get; private init; }

    public string User { get; private init; } = "";

    public string Group { get; private init; } = "";

    /// <summary>Reads a block; null where it is all zeros, which is the end of an archive. Throws where it is no header.</summary>
    public static TarHeader? Read(ReadOnlySpan<byte> block)
    {
        if (!block.ContainsAnyExcept((byte)0))
        {
            return null;
        }

        var sum = ChecksumBytes * (long)' ';
        foreach (var (i, value) in block.ToArray().Index())
        {
            sum += i is >= ChecksumAt and < ChecksumAt + ChecksumBytes ? 0 : value;
        }

        if (Number(block.Slice(ChecksumAt, ChecksumBytes)) != sum || !block[257..].StartsWith("ustar"u8))
        {
            throw BackupErrors.Wrong("an archive has something else where an entry begins");
        }

        var name = Text(block[..100]);
        var prefix = Text(block.Slice(345, 155));
        var size = Number(block.Slice(124, 12));
        var type = (char)block[156];
        return new TarHeader(
            Encoding.Latin1.GetString(prefix.Length == 0 ? name : [.. prefix, (byte)'/', .. name]).TrimEnd('/'),
            type == '\0' ? File : type,
            size < 0 || (size > 0 && type is Directory or Link) ? throw BackupErrors.Wrong($"an entry has {size} bytes") : size,
            (uint)(Number(block.Slice(100, 8)) & 0xFFF),
            Number(block.Slice(136, 12)),
            Text(block.Slice(157, 100)).ToArray())
        {
            UserId = (uint)Number(block.Slice(108, 8)),
            GroupId = (uint)Number(block.Slice(116, 8)),
            User = Encoding.UTF8.GetString(Text(block.Slice(265, 32))),
            Group = Encoding.UTF8.GetString(Text(block.Slice(297, 32))),
        };
    }

    static ReadOnlySpan<byte> Text(ReadOnlySpan<byte> field) => field.IndexOf((byte)0) is >= 0 and var end ? field[..end] : field;

    /// <summary>Octal digits; or, where the first bit is set, the rest of the field as a binary number.</summary>
    static long Number(ReadOnlySpan<byte> field)
    {
        var value = 0L;
        if ((field[0] & 0x80) != 0)
        {
            foreach (var digit in field[1..])
            {
                value = value <= long.MaxValue >> 8
                    ? (value << 8) | digit
                    : throw BackupErrors.Wrong("an entry has a number that is too large");
            }

            return value;
        }

        foreach (var digit in Text(field).Trim((byte)' '))
        {
            value = digit is >= (byte)'0' and <= (byte)'7' && value <= long.MaxValue >> 3
                ? (value << 3) | (uint)(digit - '0')
                : throw BackupErrors.Wrong("an entry has a number that is none");
        }

        return value;
    }
}
