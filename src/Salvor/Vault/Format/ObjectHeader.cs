using System.Buffers.Binary;
using System.Numerics;

namespace Salvor.Vault.Format;

/// <summary>What an object is. The value is part of the format.</summary>
public enum ObjectKind : byte
{
    /// <summary>The identity of a vault, made once.</summary>
    Vault = 1,

    /// <summary>A line of history with its parent and fork position.</summary>
    Branch = 2,

    /// <summary>A writer's claim to a vault; its number is the epoch.</summary>
    Claim = 3,

    /// <summary>A part of the log: a change-set, or a part of one.</summary>
    Log = 4,

    /// <summary>Chunks.</summary>
    Pack = 5,

    /// <summary>The root of a snapshot.</summary>
    Snapshot = 6,

    /// <summary>What a daemon last saw of all its vaults at a destination.</summary>
    Head = 7,

    /// <summary>Where the chunks of packs went.</summary>
    Move = 8,

    /// <summary>A snapshot made on request or by schedule.</summary>
    Backup = 9,

    /// <summary>The data key of an encrypted vault, wrapped by a passphrase or a key file; or the note that it was exported.</summary>
    Key = 10,

    /// <summary>What a prune says goes after a grace.</summary>
    Condemned = 11,

    /// <summary>What became of that: it is deleted, or was taken back.</summary>
    Outcome = 12,

    /// <summary>A range of the write-ahead log of PostgreSQL.</summary>
    Wal = 13,
}

/// <summary>Facts about kinds of objects.</summary>
static class ObjectKinds
{
    /// <summary>
    /// Whether an encrypted vault seals this kind. What says who writes, and what is needed before there is a key, is in the clear; none
    /// of it comes from content.
    /// </summary>
    public static bool IsSealed(this ObjectKind kind) =>
        kind is not (ObjectKind.Vault or ObjectKind.Claim or ObjectKind.Head or ObjectKind.Key);
}

/// <summary>
/// The first bytes of every object, in the clear: enough to list, order and chain objects without decompressing anything. Laid out in
/// <c>docs/format.md</c>.
/// </summary>
public sealed record ObjectHeader
{
    public const int SizeBytes = 208;

    /// <summary>Version 1 of the format. A reader refuses another major version; minor versions only add.</summary>
    public const ushort MajorVersion = 1;

    /// <summary>Where the salt is: the last field before the checksum.</summary>
    internal const int SaltOffset = 172;

    /// <summary>What sealing binds each frame to: all but the checksum.</summary>
    internal const int SealedBytes = ChecksummedBytes;

    const int ChecksummedBytes = SizeBytes - 4;
    const int FinalFlag = 1;
    const int BreaksFlag = 2;

    /// <summary>As PNG does it: a byte that is not ASCII, the name, and line ends that a text-mode copy would change.</summary>
    public static ReadOnlySpan<byte> Magic => [0x89, (byte)'S', (byte)'L', (byte)'V', 0x0D, 0x0A, 0x1A, 0x0A];

    public required ObjectKind Kind { get; init; }

    public required Guid VaultId { get; init; }

    public uint Branch { get; init; }

    /// <summary>The writer's number; see <see cref="ObjectKind.Claim"/>.</summary>
    public uint Epoch { get; init; }

    /// <summary>Of a log object the dense number within the branch, from 1; of a move or backup the number in its key.</summary>
    public ulong Number { get; init; }

    public ulong PositionFirst { get; init; }

    public ulong PositionLast { get; init; }

    /// <summary>Ordered time of the first position, in microseconds since 1970 UTC.</summary>
    public long TimeFirstMicros { get; init; }

    public long TimeLastMicros { get; init; }

    /// <summary>For log objects: what a listing says of them.</summary>
    public LogSummary Log { get; init; }

    public Hash256 LineageBefore { get; init; }

    public Hash256 LineageAfter { get; init; }

    /// <summary>Of a sealed object: what its key is derived with. Zero in the clear.</summary>
    public Hash256 Salt { get; init; }

    public void Write(Span<byte> target)
    {
        target[..SizeBytes].Clear();
        Magic.CopyTo(target);
        BinaryPrimitives.WriteUInt16LittleEndian(target[8..], MajorVersion);
        target[12] = (byte)Kind;
        VaultId.TryWriteBytes(target[16..32], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt32LittleEndian(target[32..], Branch);
        BinaryPrimitives.WriteUInt32LittleEndian(target[36..], Epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(target[40..], Number);
        BinaryPrimitives.WriteUInt64LittleEndian(target[48..], PositionFirst);
        BinaryPrimitives.WriteUInt64LittleEndian(target[56..], PositionLast);
        BinaryPrimitives.WriteInt64LittleEndian(target[64..], TimeFirstMicros);
        BinaryPrimitives.WriteInt64LittleEndian(target[72..], TimeLastMicros);
        LineageBefore.CopyTo(target[80..]);
        LineageAfter.CopyTo(target[112..]);
        Salt.CopyTo(target[SaltOffset..]);
        target[13] = (byte)Log.Kind;
        target[14] = (byte)((Log.Final ? FinalFlag : 0) | (Log.HasBreaks ? BreaksFlag : 0));
        target[15] = (byte)Log.Granularity;
        BinaryPrimitives.WriteUInt32LittleEndian(target[144..], Log.Points);
        BinaryPrimitives.WriteUInt32LittleEndian(target[ChecksummedBytes..], Checksum.Crc32C(target[..ChecksummedBytes]));
    }

    public static ObjectHeader Read(string key, ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < SizeBytes || !bytes[..8].SequenceEqual(Magic))
        {
            throw new DamagedObjectException(key, "it is not a Salvor object, or its start is missing");
        }

        // The version is judged before the checksum: a newer format may lay out the rest in another way.
        var major = BinaryPrimitives.ReadUInt16LittleEndian(bytes[8..]);
        if (major != MajorVersion)
        {
            throw new NewerFormatException(key, major);
        }

        if (Checksum.Crc32C(bytes[..ChecksummedBytes]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[ChecksummedBytes..]))
        {
            throw new DamagedObjectException(key, "its header does not match its checksum");
        }

        return new ObjectHeader
        {
            Kind = (ObjectKind)bytes[12],
            VaultId = new Guid(bytes[16..32], bigEndian: true),
            Branch = BinaryPrimitives.ReadUInt32LittleEndian(bytes[32..]),
            Epoch = BinaryPrimitives.ReadUInt32LittleEndian(bytes[36..]),
            Number = BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]),
            PositionFirst = BinaryPrimitives.ReadUInt64LittleEndian(bytes[48..]),
            PositionLast = BinaryPrimitives.ReadUInt64LittleEndian(bytes[56..]),
            TimeFirstMicros = BinaryPrimitives.ReadInt64LittleEndian(bytes[64..]),
            TimeLastMicros = BinaryPrimitives.ReadInt64LittleEndian(bytes[72..]),
            Log = new LogSummary(
                (LogKind)bytes[13], (bytes[14] & FinalFlag) != 0, (bytes[14] & BreaksFlag) != 0, (Granularity)bytes[15],
                BinaryPrimitives.ReadUInt32LittleEndian(bytes[144..])),
            LineageBefore = new Hash256(bytes.Slice(80, 32)),
            LineageAfter = new Hash256(bytes.Slice(112, 32)),
            Salt = new Hash256(bytes.Slice(SaltOffset, 32)),
        };
    }
}

/// <summary>An object was written by a newer, incompatible version of the format.</summary>
public sealed class NewerFormatException(string key, int version)
    : SalvorException(
        FailureKind.Integrity,
        $"object {key} has format version {version}, and this program reads version {ObjectHeader.MajorVersion}",
        $"Use a Salvor release that reads vault format {version}; 'salvor version' prints what a release reads.")
{
    /// <summary>The key of the object inside its vault.</summary>
    public string Key { get; } = key;
}

/// <summary>The checksum of headers, frames and indexes: CRC-32C (Castagnoli), as in RFC 3720.</summary>
public static class Checksum
{
    public static uint Crc32C(ReadOnlySpan<byte> bytes) => ~Update(uint.MaxValue, bytes);

    /// <summary>Goes on with what follows, from a state that begins as all ones and is inverted in the end.</summary>
    internal static uint Update(uint crc, ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length >= 8)
        {
            crc = BitOperations.Crc32C(crc, BinaryPrimitives.ReadUInt64LittleEndian(bytes));
            bytes = bytes[8..];
        }

        foreach (var value in bytes)
        {
            crc = BitOperations.Crc32C(crc, value);
        }

        return crc;
    }
}
