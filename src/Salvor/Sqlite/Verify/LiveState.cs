using Salvor.Sqlite.Capture;
using Salvor.Sqlite.Native;
using Salvor.Sqlite.Wal;
using Salvor.Vault;

namespace Salvor.Sqlite.Verify;

/// <summary>
/// The page hashes of a database at one commit, read while its app goes on. A read transaction holds that commit: what the app writes
/// meanwhile goes behind it, and no checkpoint goes beyond it. Nothing else in this process may have the database open.
/// </summary>
static class LiveState
{
    const int ReadBytes = 1 << 20;
    const int AttemptsMax = 500;

    /// <summary>Reads all pages. The app waits for nothing, but its log cannot begin anew meanwhile.</summary>
    public static (PageTable Table, uint PageSize) Read(
        string path, PageHasher hasher, Action<TimeSpan> pause, CancellationToken cancellationToken)
    {
        if (SqliteDatabase.Obstacle(path) is { } obstacle)
        {
            throw obstacle;
        }

        try
        {
            using var connection = new SqliteConnection(path, LibSqlite.OpenReadWrite);
            connection.SetBusyTimeout(TimeSpan.FromSeconds(5));
            connection.BecomeObserver();
            connection.Execute("PRAGMA user_version");
            var pageSize = uint.Parse(
                connection.QueryTexts("PRAGMA page_size")[0], System.Globalization.CultureInfo.InvariantCulture);
            var isWal = connection.QueryTexts("PRAGMA journal_mode")[0] == "wal";
            var table = isWal
                ? OfLog(connection, pageSize, hasher, pause, cancellationToken)
                : OfFile(connection, pageSize, hasher, cancellationToken);
            connection.Execute("ROLLBACK");
            return (table, pageSize);
        }
        catch (SqliteException e)
        {
            throw SqliteDatabase.Unreadable(path, e);
        }
    }

    /// <summary>A rollback journal: the shared lock of the transaction keeps the file as it is.</summary>
    static PageTable OfFile(SqliteConnection connection, uint pageSize, PageHasher hasher, CancellationToken cancellationToken)
    {
        Begin(connection);
        var file = connection.DatabaseFile();
        var table = new PageTable();
        HashFile(file, DatabaseScan.PageCount(file, pageSize), pageSize, hasher, table, [], cancellationToken);
        return table;
    }

    static PageTable OfLog(
        SqliteConnection connection, uint pageSize, PageHasher hasher, Action<TimeSpan> pause, CancellationToken cancellationToken)
    {
        var file = connection.DatabaseFile();
        var index = new WalIndex(file);
        var header = BeginAtHeader(connection, index, pause);
        var log = connection.WalFile() ?? throw new SqliteException(LibSqlite.Busy, "the write-ahead log is not open yet");
        var overlay = ReadFrames(log, header, pageSize, hasher, cancellationToken);
        var table = new PageTable();

        // An index that was made anew beside an empty log does not know the size of the database.
        var pageCount = header.LastFrame == 0 ? DatabaseScan.PageCount(file, pageSize) : header.PageCount;
        HashFile(file, pageCount, pageSize, hasher, table, overlay, cancellationToken);
        return table;
    }

    static void Begin(SqliteConnection connection)
    {
        connection.Execute("BEGIN");
        connection.Execute("SELECT count(*) FROM sqlite_master");
    }

    /// <summary>Begins the transaction where the same commit was the newest before and after: then it is that of the transaction.</summary>
    static WalIndexHeader BeginAtHeader(SqliteConnection connection, WalIndex index, Action<TimeSpan> pause)
    {
        for (var attempt = 1; ; attempt++)
        {
            var isKnown = index.TryRead(out var before);
            Begin(connection);
            if (isKnown && index.TryRead(out var after) && after == before)
            {
                return after;
            }

            if (attempt == AttemptsMax)
            {
                throw new SqliteException(LibSqlite.Busy, "commits come too fast to find a moment between two of them");
            }

            connection.Execute("ROLLBACK");
            pause(TimeSpan.FromMilliseconds(1));
        }
    }

    /// <summary>
    /// The newest version of each page in the log. Where the log began anew meanwhile, the transaction had no need of it: then all was in
    /// the file already, and SQLite keeps that as it is for as long.
    /// </summary>
    static Dictionary<uint, ulong> ReadFrames(
        FileObject log, WalIndexHeader header, uint pageSize, PageHasher hasher, CancellationToken cancellationToken)
    {
        var overlay = new Dictionary<uint, ulong>();
        var frame = new byte[WalFrameHeader.SizeBytes + pageSize];
        for (var number = 1u; number <= header.LastFrame; number++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var isThere = log.Read(WalFrameHeader.Offset(number, pageSize), frame);
            var start = WalFrameHeader.Read(frame);
            if (!isThere || start.Salts != header.Salts)
            {
                return [];
            }

            overlay[start.Page] = hasher.Hash(start.Page, frame.AsSpan(WalFrameHeader.SizeBytes));
        }

        var head = new byte[WalHeader.SizeBytes];
        return log.Read(0, head) && WalHeader.TryRead(head)?.Salts == header.Salts ? overlay : [];
    }

    static void HashFile(
        FileObject file, uint pageCount, uint pageSize, PageHasher hasher, PageTable table, Dictionary<uint, ulong> overlay,
        CancellationToken cancellationToken)
    {
        var buffer = new byte[ReadBytes];
        var lockPage = DatabasePages.LockBytePage(pageSize);
        var perRead = (uint)(ReadBytes / pageSize);
        for (var first = 1u; first <= pageCount; first += perRead)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var count = Math.Min(perRead, pageCount - first + 1);
            var content = buffer.AsSpan(0, (int)(count * pageSize));
            file.Read((first - 1L) * pageSize, content);
            for (var i = 0u; i < count; i++)
            {
                if (first + i != lockPage)
                {
                    var hash = overlay.TryGetValue(first + i, out var newer)
                        ? newer
                        : hasher.Hash(first + i, content.Slice((int)(i * pageSize), (int)pageSize));
                    table.Set(first + i, hash);
                }
            }
        }

        table.Resize(pageCount);
    }
}
