using System.Globalization;
using System.Runtime.InteropServices;

namespace Salvor.Platform;

/// <summary>The names of users and groups, wherever the system keeps them.</summary>
static partial class Accounts
{
    /// <summary>The name of a user; its number where it has none.</summary>
    public static string UserName(uint id) => NameAt(UserCall(id)) ?? id.ToString(CultureInfo.InvariantCulture);

    /// <summary>The name of a group; its number where it has none.</summary>
    public static string GroupName(uint id) => NameAt(GroupCall(id)) ?? id.ToString(CultureInfo.InvariantCulture);

    /// <summary>The name of a user; empty where it has none.</summary>
    public static string FindUserName(uint id) => NameAt(UserCall(id)) ?? "";

    /// <summary>The name of a group; empty where it has none.</summary>
    public static string FindGroupName(uint id) => NameAt(GroupCall(id)) ?? "";

    /// <summary>The group of a name; null where there is none.</summary>
    public static uint? FindGroup(string groupName) =>
        GroupByNameCall(groupName) is not 0 and var entry ? (uint)Marshal.ReadInt32(entry, 2 * nint.Size) : null;

    /// <summary>The user and the main group of a name; null where there is none.</summary>
    public static (uint User, uint Group)? Find(string userName)
    {
        var entry = UserByNameCall(userName);

        // struct passwd begins with two pointers, then has the two numbers.
        return entry == 0
            ? null
            : ((uint)Marshal.ReadInt32(entry, 2 * nint.Size), (uint)Marshal.ReadInt32(entry, (2 * nint.Size) + sizeof(int)));
    }

    /// <summary>
    /// Gives what root has, a file or a folder with what root has in it, to a user. Links and what belongs to others stay as they are. A
    /// folder is given last: until then nobody else can put anything in the place of what is in it.
    /// </summary>
    public static void Give(string path, uint user, uint group)
    {
        if (FileStat.Of(path, followLinks: false) is not { Kind: FileKind.Regular or FileKind.Directory, UserId: 0 })
        {
            return;
        }

        // Looked at again where it cannot be exchanged any more.
        using var file = Posix.Open(path, Posix.ReadOnly | Posix.NoFollow | Posix.NonBlocking);
        var stat = FileStat.Of(file, path);
        if (stat.UserId != 0)
        {
            return;
        }

        if (stat.Kind == FileKind.Directory)
        {
            foreach (var inside in Directory.EnumerateFileSystemEntries($"/proc/self/fd/{file.DangerousGetHandle()}/"))
            {
                Give(inside, user, group);
            }
        }

        if (Posix.ChangeOwner(file, user, group) is > 0 and var error)
        {
            throw new PosixException(error, "change the owner of", path);
        }
    }

    static string? NameAt(nint entry) => entry == 0 ? null : Marshal.PtrToStringUTF8(Marshal.ReadIntPtr(entry));

    // Both structures begin with the pointer to the name.
    [LibraryImport("libc", EntryPoint = "getpwuid")]
    private static partial nint UserCall(uint id);

    [LibraryImport("libc", EntryPoint = "getgrgid")]
    private static partial nint GroupCall(uint id);

    [LibraryImport("libc", EntryPoint = "getpwnam", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint UserByNameCall(string name);

    [LibraryImport("libc", EntryPoint = "getgrnam", StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GroupByNameCall(string name);
}
