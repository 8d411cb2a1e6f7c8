using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Salvor.Storage.Sftp;

/// <summary>
/// Kinds of packets of SFTP version 3, the one that every server speaks. Source: draft-ietf-secsh-filexfer-02; OpenSSH's extensions and
/// where its server differs: the file PROTOCOL of OpenSSH.
/// </summary>
enum SftpPacketType : byte
{
    Init = 1,
    Version = 2,
    Open = 3,
    Close = 4,
    Read = 5,
    Write = 6,
    LinkStat = 7,
    OpenDirectory = 11,
    ReadDirectory = 12,
    Remove = 13,
    MakeDirectory = 14,
    Stat = 17,
    Rename = 18,
    Status = 101,
    Handle = 102,
    Data = 103,
    Name = 104,
    Attributes = 105,
    Extended = 200,
    ExtendedReply = 201,
}

/// <summary>The answers without content.</summary>
enum SftpStatus : uint
{
    Ok = 0,
    EndOfFile = 1,
    NoSuchFile = 2,
    PermissionDenied = 3,

    /// <summary>Anything that the other codes have no word for: the name exists, the disk is full.</summary>
    Failure = 4,
    BadMessage = 5,
    NoConnection = 6,
    ConnectionLost = 7,
    Unsupported = 8,
}

/// <summary>The server sent what the protocol does not allow.</summary>
sealed class SftpProtocolException(string message) : IOException(message);

/// <summary>A request, whose number is filled in when it is sent. Its bytes are rented until <see cref="Return"/>.</summary>
sealed class SftpPacket
{
    const int NumberOffset = 5;

    readonly byte[] buffer;
    int length = NumberOffset + sizeof(uint);

    /// <param name="type">What is asked for.</param>
    /// <param name="argumentsBytes">How many bytes the arguments take, at least.</param>
    public SftpPacket(SftpPacketType type, int argumentsBytes)
    {
        buffer = ArrayPool<byte>.Shared.Rent(length + argumentsBytes);
        buffer[sizeof(uint)] = (byte)type;
    }

    /// <summary>A request with one path or handle, and room for more arguments.</summary>
    public static SftpPacket With(SftpPacketType type, ReadOnlySpan<byte> first, int moreBytes = 0) =>
        new SftpPacket(type, sizeof(uint) + first.Length + moreBytes).Add(first);

    public SftpPacket Add(uint value)
    {
        BinaryPrimitives.WriteUInt32BigEndian(buffer.AsSpan(length), value);
        length += sizeof(uint);
        return this;
    }

    public SftpPacket Add(ulong value)
    {
        BinaryPrimitives.WriteUInt64BigEndian(buffer.AsSpan(length), value);
        length += sizeof(ulong);
        return this;
    }

    /// <summary>A string of the protocol: its length, then its bytes.</summary>
    public SftpPacket Add(ReadOnlySpan<byte> bytes)
    {
        Add((uint)bytes.Length);
        bytes.CopyTo(buffer.AsSpan(length));
        length += bytes.Length;
        return this;
    }

    /// <summary>The bytes to send.</summary>
    public ReadOnlyMemory<byte> Seal(uint number)
    {
        BinaryPrimitives.WriteUInt32BigEndian(buffer, (uint)(length - sizeof(uint)));
        BinaryPrimitives.WriteUInt32BigEndian(buffer.AsSpan(NumberOffset), number);
        return buffer.AsMemory(0, length);
    }

    public void Return() => ArrayPool<byte>.Shared.Return(buffer);
}

/// <summary>Reads what a server sent, none of which is trusted: no length is followed that goes past the packet's end.</summary>
ref struct SftpPacketReader(ReadOnlySpan<byte> rest)
{
    ReadOnlySpan<byte> rest = rest;

    public readonly bool IsAtEnd => rest.IsEmpty;

    public uint ReadUInt32() => BinaryPrimitives.ReadUInt32BigEndian(Take(sizeof(uint)));

    public ulong ReadUInt64() => BinaryPrimitives.ReadUInt64BigEndian(Take(sizeof(ulong)));

    public ReadOnlySpan<byte> ReadBytes()
    {
        var length = ReadUInt32();
        return length <= (uint)rest.Length ? Take((int)length) : throw CutOff();
    }

    public string ReadText() => Encoding.UTF8.GetString(ReadBytes());

    public SftpAttributes ReadAttributes()
    {
        var flags = ReadUInt32();
        var size = (flags & SftpAttributes.HasSize) != 0 ? ReadUInt64() : (ulong?)null;
        if ((flags & SftpAttributes.HasOwner) != 0)
        {
            Take(2 * sizeof(uint));
        }

        var mode = (flags & SftpAttributes.HasPermissions) != 0 ? ReadUInt32() : (uint?)null;
        uint? modified = null;
        if ((flags & SftpAttributes.HasTimes) != 0)
        {
            Take(sizeof(uint));
            modified = ReadUInt32();
        }

        for (var extensions = (flags & SftpAttributes.HasExtensions) != 0 ? ReadUInt32() : 0; extensions > 0; extensions--)
        {
            ReadBytes();
            ReadBytes();
        }

        return new(size <= long.MaxValue ? (long)size : null, mode, modified);
    }

    ReadOnlySpan<byte> Take(int count)
    {
        if (count > rest.Length)
        {
            throw CutOff();
        }

        var taken = rest[..count];
        rest = rest[count..];
        return taken;
    }

    static SftpProtocolException CutOff() => new("a packet ends before its content does");
}

/// <summary>What a server says of a file.</summary>
/// <param name="SizeBytes">Its length; null where it is not said.</param>
/// <param name="Mode">Kind and permissions as Linux has them; null where they are not said.</param>
/// <param name="ModifiedSeconds">When its content last changed, since 1970; null where it is not said.</param>
readonly record struct SftpAttributes(long? SizeBytes, uint? Mode, uint? ModifiedSeconds)
{
    public const uint HasSize = 1, HasOwner = 2, HasPermissions = 4, HasTimes = 8, HasExtensions = 0x80000000;

    const uint KindMask = 0xF000, Regular = 0x8000, Directory = 0x4000;

    /// <summary>A file without a length is none that could be read.</summary>
    public bool IsRegular => (Mode & KindMask) == Regular && SizeBytes is not null;

    public bool IsDirectory => (Mode & KindMask) == Directory;
}

/// <summary>One name of a directory.</summary>
readonly record struct SftpName(string Name, SftpAttributes Attributes);
