using Salvor.Vault.Format;

namespace Salvor.Vault.Trees;

/// <summary>What an entry of a tree is. The numbers are part of the format.</summary>
public enum TreeEntryKind
{
    /// <summary>The end of the directory that was begun last.</summary>
    End = 0,

    /// <summary>What is in it follows, up to its end.</summary>
    Directory = 1,

    /// <summary>A regular file.</summary>
    File = 2,

    /// <summary>A symbolic link.</summary>
    Link = 3,

    /// <summary>A named pipe.</summary>
    Pipe = 4,

    /// <summary>A character device.</summary>
    CharacterDevice = 5,

    /// <summary>A block device.</summary>
    BlockDevice = 6,

    /// <summary>A socket, which nothing but its maker has a use for.</summary>
    Socket = 7,
}

/// <summary>What else is to be known of an entry. The numbers are part of the format.</summary>
[Flags]
public enum TreeEntryMarks
{
    None = 0,

    /// <summary>The file changed while it was read, each time: what is stored may never have been in it at one moment.</summary>
    Changed = 1,

    /// <summary>It could not be read, so it has no content, or not all that is in the directory is known.</summary>
    Unreadable = 2,

    /// <summary>Its time is so young that it may have changed again without showing it: the next backup reads it.</summary>
    Young = 4,

    /// <summary>A directory of which a rule of the source left out what is in it.</summary>
    LeftOut = 16,

    /// <summary>
    /// A directory that is a configured path (of the root of the file system: one in it). What was below it is listed, but for what is
    /// marked <see cref="LeftOut"/>, <see cref="Gaps"/> or <see cref="Unreadable"/>.
    /// </summary>
    Root = 32,

    /// <summary>A directory in which a pattern left out a name.</summary>
    Gaps = 64,

    /// <summary>Beside <see cref="Root"/>: this backup left out more than others of its source.</summary>
    Narrowed = 128,
}

/// <summary>An extended attribute of an entry.</summary>
/// <param name="Name">Its name, as bytes.</param>
/// <param name="Value">Its value.</param>
public readonly record struct TreeAttribute(byte[] Name, byte[] Value);

/// <summary>Bytes of a sparse file that are not a hole.</summary>
/// <param name="Offset">Where they begin in the file.</param>
/// <param name="Length">How many there are; at least 1.</param>
public readonly record struct TreeExtent(long Offset, long Length);

/// <summary>
/// One entry of the listing of a tree. Entries follow in the order of the names' bytes, what is in a directory right after it; the content
/// of files lies in the same order, one after the other, in the content of the snapshot. <c>docs/format.md</c> has the layout.
/// </summary>
public sealed record TreeEntry
{
    /// <summary>No entry is longer: names, targets and attributes are bounded by the system.</summary>
    internal const int BytesMax = 8 << 20;

    /// <summary>
    /// No path from the top is longer, a slash before each name: four times what a system call takes. Whoever keeps the paths of all
    /// directories above a place needs a bounded memory.
    /// </summary>
    internal const int PathBytesMax = 16 << 10;

    const int ExtentBytes = 16;
    const int AttributeBytesMin = 2 + 4;

    /// <summary>The end of a directory.</summary>
    public static readonly TreeEntry End = new() { Kind = TreeEntryKind.End, Name = [] };

    public required TreeEntryKind Kind { get; init; }

    /// <summary>The name in its directory, as bytes: no zero, no slash, not <c>.</c> or <c>..</c>.</summary>
    public required byte[] Name { get; init; }

    public TreeEntryMarks Marks { get; init; }

    /// <summary>The twelve permission bits.</summary>
    public uint Permissions { get; init; }

    public uint UserId { get; init; }

    public uint GroupId { get; init; }

    /// <summary>What the machine of the source called the user; empty where it had no name for it.</summary>
    public string User { get; init; } = "";

    public string Group { get; init; } = "";

    /// <summary>When the content last changed, in nanoseconds since 1970.</summary>
    public long ModifiedNanoseconds { get; init; }

    /// <summary>When anything of it last changed; tells an unchanged file.</summary>
    public long ChangedNanoseconds { get; init; }

    /// <summary>Which file of its file system it was; tells an unchanged file.</summary>
    public ulong Inode { get; init; }

    /// <summary>In the order of their names.</summary>
    public IReadOnlyList<TreeAttribute> Attributes { get; init; } = [];

    /// <summary>The length of a file, holes included.</summary>
    public long SizeBytes { get; init; }

    /// <summary>Of a sparse file what is no hole, in order; null where it has no holes.</summary>
    public IReadOnlyList<TreeExtent>? Extents { get; init; }

    /// <summary>Of a file with several names the path of the first one that was met, from the top of the tree; empty otherwise.</summary>
    public byte[] FirstPath { get; init; } = [];

    /// <summary>The target of a link.</summary>
    public byte[] Target { get; init; } = [];

    /// <summary>Of a device.</summary>
    public uint DeviceMajor { get; init; }

    /// <summary>Of a device.</summary>
    public uint DeviceMinor { get; init; }

    /// <summary>How many bytes of the content are this file's.</summary>
    public long ContentBytes =>
        Kind != TreeEntryKind.File || Marks.HasFlag(TreeEntryMarks.Unreadable) ? 0 : Extents?.Sum(extent => extent.Length) ?? SizeBytes;

    internal void Write(FieldWriter writer)
    {
        writer.U8((byte)Kind);
        if (Kind == TreeEntryKind.End)
        {
            return;
        }

        writer.U8((byte)Marks);
        writer.Bytes(Name);
        writer.U32(Permissions);
        writer.U32(UserId);
        writer.U32(GroupId);
        writer.Text(User);
        writer.Text(Group);
        writer.I64(ModifiedNanoseconds);
        writer.I64(ChangedNanoseconds);
        writer.U64(Inode);
        writer.U32((uint)Attributes.Count);
        foreach (var (name, value) in Attributes)
        {
            writer.Bytes(name);
            writer.Blob(value);
        }

        WriteOwn(writer);
    }

    /// <summary>Reads one entry and checks that it can be restored to one place only.</summary>
    internal static TreeEntry Read(string key, ReadOnlySpan<byte> bytes)
    {
        var reader = new FieldReader(key, bytes);
        var kind = (TreeEntryKind)reader.U8();
        if (kind == TreeEntryKind.End)
        {
            reader.ExpectEnd();
            return End;
        }

        var entry = new TreeEntry
        {
            Kind = Enum.IsDefined(kind)
                ? kind
                : throw new DamagedObjectException(key, $"it lists an entry of the unknown kind {(int)kind}"),
            Marks = (TreeEntryMarks)reader.U8(),
            Name = NameFrom(key, ref reader),
            Permissions = reader.U32() & 0xFFF,
            UserId = reader.U32(),
            GroupId = reader.U32(),
            User = reader.Text(),
            Group = reader.Text(),
            ModifiedNanoseconds = reader.I64(),
            ChangedNanoseconds = reader.I64(),
            Inode = reader.U64(),
            Attributes = AttributesFrom(ref reader),
        };
        entry = ReadOwn(key, entry, ref reader);
        reader.ExpectEnd();
        return entry;
    }

    void WriteOwn(FieldWriter writer)
    {
        switch (Kind)
        {
            case TreeEntryKind.File:
                writer.U64((ulong)SizeBytes);
                writer.Bytes(FirstPath);
                writer.U8(Extents is null ? (byte)0 : (byte)1);
                if (Extents is not null)
                {
                    writer.U32((uint)Extents.Count);
                    foreach (var extent in Extents)
                    {
                        writer.U64((ulong)extent.Offset);
                        writer.U64((ulong)extent.Length);
                    }
                }

                break;
            case TreeEntryKind.Link:
                writer.Bytes(Target);
                break;
            case TreeEntryKind.CharacterDevice or TreeEntryKind.BlockDevice:
                writer.U32(DeviceMajor);
                writer.U32(DeviceMinor);
                break;
            default:
                break;
        }
    }

    static TreeEntry ReadOwn(string key, TreeEntry entry, ref FieldReader reader)
    {
        switch (entry.Kind)
        {
            case TreeEntryKind.File:
                var size = reader.U64();
                var first = reader.Bytes();
                var file = entry with
                {
                    SizeBytes = size <= long.MaxValue
                        ? (long)size
                        : throw new DamagedObjectException(key, $"it lists a file of {size} bytes"),
                    FirstPath = first,
                    Extents = reader.U8() switch
                    {
                        0 => null,
                        1 => ExtentsFrom(key, size, ref reader),
                        var unknown => throw new DamagedObjectException(key, $"it lists a file with holes of the unknown kind {unknown}"),
                    },
                };
                return file;
            case TreeEntryKind.Link:
                var target = reader.Bytes();
                return target.Length == 0 || target.Contains((byte)0)
                    ? throw new DamagedObjectException(key, "it lists a link to nowhere")
                    : entry with { Target = target };
            case TreeEntryKind.CharacterDevice or TreeEntryKind.BlockDevice:
                return entry with { DeviceMajor = reader.U32(), DeviceMinor = reader.U32() };
            default:
                return entry;
        }
    }

    static byte[] NameFrom(string key, ref FieldReader reader)
    {
        var name = reader.Bytes();
        return IsName(name) ? name : throw new DamagedObjectException(key, "it lists an entry whose name is none");
    }

    /// <summary>Whether it names one place in one directory.</summary>
    internal static bool IsName(ReadOnlySpan<byte> name) =>
        name.Length is > 0 and <= 255 && !name.ContainsAny((byte)0, (byte)'/') && !name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8);

    static TreeAttribute[] AttributesFrom(ref FieldReader reader)
    {
        var attributes = new TreeAttribute[reader.Count(AttributeBytesMin)];
        for (var i = 0; i < attributes.Length; i++)
        {
            attributes[i] = new TreeAttribute(reader.Bytes(), reader.Blob());
        }

        return attributes;
    }

    static TreeExtent[] ExtentsFrom(string key, ulong size, ref FieldReader reader)
    {
        var extents = new TreeExtent[reader.Count(ExtentBytes)];
        var end = 0UL;
        for (var i = 0; i < extents.Length; i++)
        {
            var (offset, length) = (reader.U64(), reader.U64());
            if (length == 0 || offset < end || length > size || offset > size - length)
            {
                throw new DamagedObjectException(key, "it lists a sparse file whose parts do not fit into it");
            }

            extents[i] = new TreeExtent((long)offset, (long)length);
            end = offset + length;
        }

        return extents;
    }
}
