using System.Buffers.Binary;
using System.Diagnostics;
using Salvor.Platform;
using Salvor.Sqlite.Native;
using Salvor.Vault;

namespace Salvor.Sqlite;

/// <summary>
/// A database that is being watched: one connection that never writes, never checkpoints and never changes a setting that lasts. Nothing
/// else in this process may open the file while this is open; see <see cref="FileObject"/>.
/// </summary>
sealed class SqliteDatabase : IDisposable
{
    /// <summary>WAL_WRITE_LOCK of the wal-index: https://www.sqlite.org/walformat.html#wal_locks.</summary>
    const int WalWriteSlot = 0;

    /// <summary>Waiting for a writer holds nothing that anybody needs.</summary>
    static readonly TimeSpan BusyTimeout = TimeSpan.FromSeconds(5);

    static readonly TimeSpan BusyStep = TimeSpan.FromMilliseconds(1);

    readonly SqliteConnection connection;

    SqliteDatabase(string path, SqliteConnection connection, FileIdentity identity)
    {
        (Path, this.connection, Identity) = (path, connection, identity);
        File = connection.DatabaseFile();
        ReadHeader();
    }

    public string Path { get; }

    public FileIdentity Identity { get; }

    /// <summary>The database file.</summary>
    public FileObject File { get; }

    /// <summary>The write-ahead log; null for a database with a rollback journal.</summary>
    public FileObject? Wal { get; private set; }

    public uint PageSize { get; private set; }

    /// <summary>Why a file cannot be protected now, judged without opening it; null where nothing is against it.</summary>
    public static SalvorException? Obstacle(string path)
    {
        var stat = FileStat.Of(path);
        return stat switch
        {
            null => new SalvorException(
                FailureKind.SourceUnreadable, $"database {path} does not exist", "It will be picked up as soon as an app creates it."),
            { Kind: FileKind.Directory } => new SalvorException(
                FailureKind.SourceUnreadable,
                $"{path} is a directory, not a database",
                $"Name the database file, or several with 'paths: {path}/*.db' in the configuration."),
            { Kind: not FileKind.Regular } => new SalvorException(
                FailureKind.SourceUnreadable, $"{path} is not a regular file", "Name the database file itself."),
            { SizeBytes: 0 } => new SalvorException(
                FailureKind.SourceUnreadable,
                $"database {path} is empty",
                "It will be picked up as soon as an app creates its first table."),
            _ when FileSystemType.NetworkName(path) is { } network => new SalvorException(
                FailureKind.SourceUnreadable,
                $"database {path} is on a network file system ({network}), where SQLite's locks and shared memory do not work",
                "Run Salvor on the machine that holds the disk."),
            _ => null,
        };
    }

    /// <summary>Opens a database for watching. Throws <see cref="FailureKind.SourceUnreadable"/> with the reason where it cannot.</summary>
    public static SqliteDatabase Open(string path)
    {
        if (Obstacle(path) is { } obstacle)
        {
            throw obstacle;
        }

        var identity = FileIdentity.Of(path)!.Value;
        SqliteConnection? connection = null;
        try
        {
            connection = new SqliteConnection(path, LibSqlite.OpenReadWrite);
            connection.SetBusyTimeout(BusyTimeout);
            connection.BecomeObserver();

            // The first read opens the log and maps the wal-index, and rolls back what a crashed app left. It needs no schema.
            connection.Execute("PRAGMA user_version");
            var database = new SqliteDatabase(path, connection, identity);
            return FileIdentity.Of(path) == identity
                ? database
                : throw new SqliteException(LibSqlite.Busy, "the file was replaced while it was opened");
        }
        catch (SqliteException e)
        {
            connection?.Dispose();
            throw Unreadable(path, e);
        }
        catch (SalvorException)
        {
            connection?.Dispose();
            throw;
        }
    }

    /// <summary>How a failure of SQLite looks to an operator.</summary>
    public static SalvorException Unreadable(string path, SqliteException e) => e switch
    {
        { IsNotADatabase: true } => new NotADatabaseException(path, e),
        { IsBusy: true } => new SalvorException(
            FailureKind.SourceUnreadable,
            $"database {path} is locked by another process: {e.Message}",
            "An app that uses 'PRAGMA locking_mode=EXCLUSIVE' must be changed to NORMAL; other locks pass by themselves.",
            e),
        { PrimaryCode: 14 or 23 or 3 } => new SalvorException(
            FailureKind.SourceUnreadable,
            $"database {path} cannot be opened: {e.Message}",
            "Let Salvor run as the user that owns the database, with write access to its folder.",
            e),
        { IsJournalLeft: true } => new SalvorException(
            FailureKind.SourceUnreadable,
            $"database {path} has a journal that an app left in the middle of a transaction",
            "The app plays it back when it opens the database again.",
            e),
        { PrimaryCode: 8 } => new SalvorException(
            FailureKind.SourceUnreadable,
            $"database {path} cannot be read without write access: {e.Message}",
            "SQLite's readers share memory in the -shm file: let Salvor run as the user that owns the database.",
            e),
        _ => new SalvorException(
            FailureKind.SourceUnreadable,
            $"database {path} cannot be read: {e.Message} (SQLite code {e.Code})",
            "Check the file with 'sqlite3 FILE \"PRAGMA integrity_check\"'.",
            e),
    };

    /// <summary>
    /// Runs the action while a shared lock keeps the content of a rollback-journal database as it is. False where the action says so, and
    /// where a writer did not let us in.
    /// </summary>
    public async Task<bool> TryWhileUnchangedAsync(Func<bool> action, CancellationToken cancellationToken)
    {
        // SQLite's own waiting looks every 100 ms at last, and the gaps between two busy writers are shorter than that.
        connection.SetBusyTimeout(TimeSpan.Zero);
        for (var waited = Stopwatch.StartNew(); waited.Elapsed < BusyTimeout;)
        {
            connection.Execute("BEGIN");
            try
            {
                connection.Execute("PRAGMA user_version");
                return action();
            }
            catch (SqliteException e) when (e.IsBusy)
            {
                // A writer is at it: the next gap will do.
            }
            finally
            {
                connection.Execute("COMMIT");
            }

            await Task.Delay(BusyStep, cancellationToken);
        }

        return false;
    }

    /// <summary>
    /// Makes SQLite recover the wal-index, as any reader would. Through a connection of its own: one that holds our locks would release
    /// them with its own. False where a writer lives, who finishes what he began: SQLite would wait for him, for up to ten seconds.
    /// </summary>
    public bool TryRecover()
    {
        if (!File.TryLockShared(WalWriteSlot))
        {
            return false;
        }

        File.Unlock(WalWriteSlot);
        using var other = new SqliteConnection(Path, LibSqlite.OpenReadWrite);
        other.BecomeObserver();
        other.Execute("PRAGMA user_version");
        return true;
    }

    /// <summary>The file change counter, which every commit to a rollback-journal database increases.</summary>
    public uint ReadChangeCounter()
    {
        Span<byte> bytes = stackalloc byte[4];
        File.Read(24, bytes);
        return BinaryPrimitives.ReadUInt32BigEndian(bytes);
    }

    /// <summary>Whether the file's header says that the database uses a write-ahead log.</summary>
    public bool ReadIsWal()
    {
        Span<byte> versions = stackalloc byte[2];
        File.Read(18, versions);
        return versions[1] == 2;
    }

    public void Dispose() => connection.Dispose();

    /// <summary>The page size that the file's header names now; a VACUUM may change it in a rollback-journal database.</summary>
    public uint ReadPageSize()
    {
        Span<byte> size = stackalloc byte[2];
        File.Read(16, size);
        uint pageSize = BinaryPrimitives.ReadUInt16BigEndian(size);
        return pageSize == 1 ? 65536 : pageSize;
    }

    void ReadHeader()
    {
        PageSize = ReadPageSize();
        if (!DatabasePages.IsPageSize(PageSize))
        {
            throw new NotADatabaseException(Path, inner: null);
        }

        Wal = ReadIsWal()
            ? connection.WalFile() ?? throw new SqliteException(LibSqlite.Busy, "the write-ahead log is not open yet")
            : null;
    }
}

/// <summary>The file is not a SQLite database. It will not become one by waiting.</summary>
sealed class NotADatabaseException(string path, Exception? inner) : SalvorException(
    FailureKind.SourceUnreadable,
    $"{path} is not a SQLite database",
    "Name the database file itself; encrypted databases (SQLCipher, SEE) cannot be read without their extension.",
    inner);
