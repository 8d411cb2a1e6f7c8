using Salvor.Platform;

namespace Salvor.Sqlite.Restore;

/// <summary>The names of what SQLite keeps beside a database: https://www.sqlite.org/tempfiles.html.</summary>
static class DatabaseFiles
{
    public const string WalIndexSuffix = "-shm";

    /// <summary>The write-ahead log, the rollback journal and the wal-index.</summary>
    public static readonly IReadOnlyList<string> Suffixes = ["-wal", "-journal", WalIndexSuffix];

    /// <summary>Where a database really is: SQLite follows symbolic links too and keeps its other files there.</summary>
    public static string Resolve(string path)
    {
        var full = Path.GetFullPath(path);
        if (FileStat.Of(full, followLinks: false) is not { Kind: FileKind.Link })
        {
            return full;
        }

        try
        {
            return new FileInfo(full).ResolveLinkTarget(returnFinalTarget: true)?.FullName ?? full;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PosixException(Errno.Of(e), "follow the link", full, FailureKind.Usage);
        }
    }
}
