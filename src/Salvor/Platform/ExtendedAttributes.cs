using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Salvor.Platform;

/// <summary>A name with a value that a file system keeps beside a file; access control lists and capabilities are some.</summary>
/// <param name="Name">Its name, as bytes.</param>
/// <param name="Value">Its value.</param>
readonly record struct ExtendedAttribute(byte[] Name, byte[] Value);

/// <summary>Reads and writes them, in the order of their names.</summary>
static partial class ExtendedAttributes
{
    const int NoData = 61;

    /// <summary>No list and no value is longer.</summary>
    const int BytesMax = 64 << 10;

    /// <summary>Those of an open file or directory. Empty where the file system has none.</summary>
    public static IReadOnlyList<ExtendedAttribute> Of(SafeFileHandle file, string path) => Read(PathOf(file), path);

    /// <summary>Sets one of an open file or directory. Returns 0 or the error number.</summary>
    public static int TrySet(SafeFileHandle file, ExtendedAttribute attribute) =>
        SetCall(PathOf(file), [.. attribute.Name, 0], attribute.Value, (nuint)attribute.Value.Length, 0) < 0
            ? Marshal.GetLastPInvokeError()
            : 0;

    /// <summary>Removes one of an open file or directory. Returns 0 or the error number.</summary>
    public static int TryRemove(SafeFileHandle file, byte[] name) =>
        RemoveCall(PathOf(file), [.. name, 0]) < 0 ? Marshal.GetLastPInvokeError() : 0;

    static List<ExtendedAttribute> Read(byte[] file, string path)
    {
        var count = ListCall(file, null, 0);
        if (count <= 0)
        {
            return count == 0 || Marshal.GetLastPInvokeError() is Errno.NotSupported
                ? []
                : throw new PosixException(Marshal.GetLastPInvokeError(), "list the attributes of", path, FailureKind.SourceUnreadable);
        }

        var names = new byte[BytesMax];
        count = ListCall(file, names, (nuint)names.Length);
        if (count < 0)
        {
            throw new PosixException(Marshal.GetLastPInvokeError(), "list the attributes of", path, FailureKind.SourceUnreadable);
        }

        var attributes = new List<ExtendedAttribute>();
        for (var rest = names.AsMemory(0, (int)count); !rest.IsEmpty;)
        {
            var length = rest.Span.IndexOf((byte)0);
            if (ReadValue(file, rest[..(length + 1)].ToArray(), path) is { } value)
            {
                attributes.Add(new ExtendedAttribute(rest[..length].ToArray(), value));
            }

            rest = rest[(length + 1)..];
        }

        attributes.Sort(static (a, b) => a.Name.AsSpan().SequenceCompareTo(b.Name));
        return attributes;
    }

    /// <summary>Null where it vanished since it was listed.</summary>
    static byte[]? ReadValue(byte[] file, byte[] name, string path)
    {
        var buffer = new byte[BytesMax];
        var count = GetCall(file, name, buffer, (nuint)buffer.Length);
        return count >= 0 ? buffer[..(int)count]
            : Marshal.GetLastPInvokeError() == NoData ? null
            : throw new PosixException(
                Marshal.GetLastPInvokeError(), $"read the attribute {Encoding.UTF8.GetString(name[..^1])} of", path,
                FailureKind.SourceUnreadable);
    }

    /// <summary>The file that is open, whatever has its name by now; also where it is open for its place alone.</summary>
    static byte[] PathOf(SafeFileHandle file) => Encoding.UTF8.GetBytes($"/proc/self/fd/{file.DangerousGetHandle()}\0");

    [LibraryImport("libc", EntryPoint = "listxattr", SetLastError = true)]
    private static partial nint ListCall(byte[] path, byte[]? names, nuint size);

    [LibraryImport("libc", EntryPoint = "getxattr", SetLastError = true)]
    private static partial nint GetCall(byte[] path, byte[] name, byte[] value, nuint size);

    [LibraryImport("libc", EntryPoint = "setxattr", SetLastError = true)]
    private static partial int SetCall(byte[] path, byte[] name, byte[] value, nuint size, int flags);

    [LibraryImport("libc", EntryPoint = "removexattr", SetLastError = true)]
    private static partial int RemoveCall(byte[] path, byte[] name);
}
