using Salvor.Sqlite.Native;

namespace Salvor.Sqlite;

/// <summary>A copy of a database that lies among files, while apps write to it.</summary>
static class DatabaseCopy
{
    /// <summary>A writer of a database with a rollback journal lets others in between his transactions.</summary>
    static readonly TimeSpan BusyTimeout = TimeSpan.FromSeconds(10);

    /// <summary>
    /// Writes the database as of one commit, with what is in its log, page by page into an empty file. Writers of a database with a
    /// rollback journal wait meanwhile. It is only read: a journal that an app left is not played back, which would write to the files of
    /// a user and remove what the journal names. Throws <see cref="FailureKind.SourceUnreadable"/> with the reason.
    /// </summary>
    public static void Write(string path, string target)
    {
        try
        {
            using var source = new SqliteConnection(path, LibSqlite.OpenReadOnly);
            source.SetBusyTimeout(BusyTimeout);
            source.BecomeObserver();
            using var copy = new SqliteConnection(target, LibSqlite.OpenReadWrite | LibSqlite.OpenCreate);

            // It is read once and removed: nothing of it has to outlive a loss of power.
            copy.Execute("PRAGMA journal_mode=OFF");
            copy.Execute("PRAGMA synchronous=OFF");
            source.CopyTo(copy);
        }
        catch (SqliteException e)
        {
            throw SqliteDatabase.Unreadable(path, e);
        }
    }
}
