using System.Runtime.InteropServices;

namespace Salvor.Platform;

/// <summary>Which file system a path is on, as far as it matters: locks, shared memory and inotify end at the machine.</summary>
static partial class FileSystemType
{
    /// <summary>
    /// The name of the network or cluster file system that holds a path, or of the nearest directory above that exists; null for
    /// a local one. FUSE answers null: the kernel does not say what is behind it, and much of it is local.
    /// </summary>
    public static string? NetworkName(string path) => NameOf(MagicOf(path));

    /// <summary>Whether a program serves the file system: what is behind it, the kernel does not say.</summary>
    public static bool IsFuse(string path) => MagicOf(path) == 0x65735546;

    /// <summary>The name for a magic number of https://man7.org/linux/man-pages/man2/statfs.2.html, or null for a local one.</summary>
    public static string? NameOf(uint magic) => magic switch
    {
        0x6969 => "nfs",
        0x517B => "smb",
        0xFF534D42 => "cifs",
        0xFE534D42 => "smb2",
        0x01021997 => "9p",
        0x00C36400 => "ceph",
        0x5346414F or 0x6B414653 => "afs",
        0x73757245 => "coda",
        0x01161970 => "gfs2",
        0x7461636F => "ocfs2",
        0x0BD00BD0 => "lustre",
        0x47504653 => "gpfs",
        0x19830326 => "beegfs",
        0xAAD7AAEA => "panfs",
        0x564C => "ncp",
        0x786F4256 => "vboxsf",
        _ => null,
    };

    static uint MagicOf(string path)
    {
        var buffer = new long[32];
        for (var place = Path.GetFullPath(path); StatFsCall(place, buffer) < 0;)
        {
            var error = Marshal.GetLastPInvokeError();
            var above = Path.GetDirectoryName(place);
            switch (error)
            {
                case Errno.Interrupted:
                    break;
                case Errno.NoEntry or Errno.NotDirectory when above is not null:
                    place = above;
                    break;
                default:
                    throw new PosixException(error, "look at the file system of", path, FailureKind.SourceUnreadable);
            }
        }

        // The magic number is 32 bits wide and may arrive with its sign extended.
        return unchecked((uint)buffer[0]);
    }

    // The structure has 15 words of 64 bits on the architectures that we build for; the type is the first.
    [LibraryImport("libc", EntryPoint = "statfs", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatFsCall(string path, [In, Out] long[] buffer);
}
