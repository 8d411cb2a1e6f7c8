using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Salvor.Platform;

namespace Salvor.Postgres.Restore;

/// <summary>
/// The file that says of a data directory that a restore into it began and did not end, and of which cluster: made before anything else
/// and removed when all is done. It is held locked by the restore that runs.
/// </summary>
sealed class RestoreMark : IDisposable
{
    /// <summary>Its name in the data directory.</summary>
    public const string Name = "salvor_restoring";

    const int BytesMax = 4096;

    readonly string path;
    readonly SafeFileHandle file;

    RestoreMark(string path, SafeFileHandle file) => (this.path, this.file) = (path, file);

    /// <summary>Makes it, durably, or takes over the one of a restore that ended. Throws where another restore runs there.</summary>
    /// <param name="dataDirectory">There already.</param>
    /// <param name="systemId">Of the cluster that is restored.</param>
    public static RestoreMark Take(string dataDirectory, ulong systemId)
    {
        var path = Path.Combine(dataDirectory, Name);
        var mark = new RestoreMark(path, Posix.Open(path, Posix.ReadWrite | Posix.Create | Posix.NoFollow));
        try
        {
            // One that is gone by now was that of a restore that ended just now.
            if (!Posix.TryLock(mark.file, exclusive: true, path)
                || FileStat.Of(path, followLinks: false)?.Identity != FileStat.Of(mark.file, path).Identity)
            {
                throw new SalvorException(
                    FailureKind.Locked, $"another restore writes to {dataDirectory}",
                    "Let it end, or name another directory with '--output'.");
            }

            var text = string.Create(
                CultureInfo.InvariantCulture,
                $"{systemId}\nis the system identifier of the cluster that 'salvor restore' did not bring back to its end here.\n");
            RandomAccess.SetLength(mark.file, 0);
            RandomAccess.Write(mark.file, Encoding.ASCII.GetBytes(text), 0);
            DurableFile.FlushFile(mark.file, path);
            DurableFile.FlushDirectory(dataDirectory);
            return mark;
        }
        catch
        {
            mark.file.Dispose();
            throw;
        }
    }

    /// <summary>Whether there is one.</summary>
    public static bool IsIn(string dataDirectory) =>
        FileStat.Of(Path.Combine(dataDirectory, Name), followLinks: false) is { Kind: FileKind.Regular };

    /// <summary>The cluster of which a restore did not end; null where there is none, or it does not say.</summary>
    public static ulong? SystemIdIn(string dataDirectory)
    {
        if (!IsIn(dataDirectory))
        {
            return null;
        }

        Span<byte> bytes = stackalloc byte[BytesMax];
        var count = Posix.Read(Path.Combine(dataDirectory, Name), Posix.NoFollow, 0, bytes);
        var line = Encoding.ASCII.GetString(bytes[..count]).Split('\n')[0];
        return ulong.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : null;
    }

    /// <summary>All is done.</summary>
    public void Remove()
    {
        Posix.Unlink(path);
        DurableFile.FlushDirectory(Path.GetDirectoryName(path)!);
    }

    public void Dispose()
    {
        // A process that is being started has the handle too, until it runs.
        Posix.Unlock(file, path);
        file.Dispose();
    }
}
