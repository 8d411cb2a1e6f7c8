using Salvor.Platform;
using Salvor.Sqlite.Native;

namespace Salvor.Sqlite.Restore;

/// <summary>How much of a database is checked.</summary>
public enum IntegrityCheckDepth
{
    /// <summary><c>PRAGMA integrity_check</c>: also that each index has exactly the rows of its table.</summary>
    Full,

    /// <summary><c>PRAGMA quick_check</c>: all but the indexes' content, in a fraction of the time.</summary>
    Quick,
}

/// <summary>
/// SQLite's own check of a finished file that nobody else uses. The file is opened as unchanging, so neither a lock nor a <c>-wal</c> or
/// <c>-shm</c> appears beside it, and one that is there is not read.
/// </summary>
public static class IntegrityCheck
{
    const int ProblemsMax = 10;

    // Rows are looked up in their indexes in random order, which a larger cache halves the reads of. Without indexes, and for the quick
    // check, every page is read once, and SQLite's small default is faster because it stays in the processor's cache.
    const int LookupCacheKibibytes = 64 * 1024;

    /// <summary>What a check is called while it runs; how far it is, SQLite does not tell.</summary>
    public static string PhaseOf(IntegrityCheckDepth depth) =>
        depth == IntegrityCheckDepth.Full ? "checking with integrity_check" : "checking with quick_check";

    /// <summary>
    /// Returns when the database is sound. Throws <see cref="FailureKind.Integrity"/> with the first problems, or
    /// <see cref="UncheckableDatabaseException"/>.
    /// </summary>
    public static void Run(string path, IntegrityCheckDepth depth, CancellationToken cancellationToken) =>
        Run(path, path, depth, cancellationToken);

    /// <summary>As the other, for a file that will have another name: the one for messages.</summary>
    internal static void Run(string path, string name, IntegrityCheckDepth depth, CancellationToken cancellationToken)
    {
        List<string> answers;
        try
        {
            answers = Ask(path, depth, cancellationToken);
        }
        catch (SqliteException e) when (e.IsInterrupted && cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException($"the check of {name} was stopped", e, cancellationToken);
        }
        catch (SqliteException e) when (IsUnknown(e) || (e.IsNotADatabase && HasNewerFormat(path)))
        {
            throw new UncheckableDatabaseException(name, e);
        }
        catch (SqliteException e) when (e.PrimaryCode == LibSqlite.Corrupt || e.IsNotADatabase)
        {
            throw Unsound(name, depth, e.Message, e);
        }
        catch (SqliteException e)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"{name} could not be checked: {e.Message} (SQLite code {e.Code})",
                "This says nothing about the database. Look at 'dmesg', then run the same command again.",
                e);
        }

        if (answers is not ["ok"])
        {
            throw Unsound(name, depth, Summary(answers), inner: null);
        }
    }

    /// <summary>One answer may be a heading and several lines.</summary>
    static string Summary(IEnumerable<string> answers) => string.Join("; ", answers
        .SelectMany(answer => answer.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        .Where(line => !line.StartsWith("*** in database ", StringComparison.Ordinal))
        .Take(ProblemsMax));

    static List<string> Ask(string path, IntegrityCheckDepth depth, CancellationToken cancellationToken)
    {
        using var connection = new SqliteConnection(UriOf(path), LibSqlite.OpenReadOnly | LibSqlite.OpenUri);
        using var stop = connection.StopWhen(cancellationToken);
        if (depth == IntegrityCheckDepth.Full
            && connection.QueryTexts("SELECT 1 FROM sqlite_master WHERE type = 'index' LIMIT 1").Count > 0)
        {
            connection.Execute($"PRAGMA cache_size=-{LookupCacheKibibytes}");
        }

        // An interrupt from before any statement ran is forgotten, and the walk through the pages is one instruction.
        cancellationToken.ThrowIfCancellationRequested();
        return connection.QueryTexts($"PRAGMA {NameOf(depth)}({ProblemsMax})");
    }

    static string NameOf(IntegrityCheckDepth depth) => depth == IntegrityCheckDepth.Full ? "integrity_check" : "quick_check";

    /// <summary>A path may contain what separates the parts of a URI.</summary>
    internal static string UriOf(string path) =>
        "file://" + string.Join('/', Path.GetFullPath(path).Split('/').Select(Uri.EscapeDataString)) + "?mode=ro&immutable=1";

    /// <summary>
    /// What newer or extended libraries write: a function, collation or schema format that is not known here, or a definition that cannot
    /// be parsed. The other two endings of that message are damage.
    /// </summary>
    static bool IsUnknown(SqliteException e) =>
        e.PrimaryCode == LibSqlite.Error
        || (e.PrimaryCode == LibSqlite.Corrupt
            && e.Message.StartsWith("malformed database schema", StringComparison.Ordinal)
            && e.Message.Contains(" - ", StringComparison.Ordinal)
            && !e.Message.EndsWith(" - invalid rootpage", StringComparison.Ordinal)
            && !e.Message.EndsWith(" - orphan index", StringComparison.Ordinal));

    /// <summary>A file with SQLite's mark whose version for readers is one that this library refuses.</summary>
    static bool HasNewerFormat(string path)
    {
        const int readVersionOffset = 19;
        const byte wal = 2;
        Span<byte> header = stackalloc byte[readVersionOffset + 1];
        using var file = Posix.Open(path, Posix.ReadOnly);
        return RandomAccess.Read(file, header, fileOffset: 0) == header.Length
            && header.StartsWith("SQLite format 3\0"u8)
            && header[readVersionOffset] > wal;
    }

    static SalvorException Unsound(string name, IntegrityCheckDepth depth, string problems, Exception? inner) => new(
        FailureKind.Integrity,
        $"{name} fails {NameOf(depth)}: {problems}",
        "The source was like this at that moment: restore an earlier one, 'salvor list' shows them, or keep this one with '--no-check'.",
        inner);
}

/// <summary>The database uses what the SQLite library on this machine does not have. That is no damage and no proof of health.</summary>
public sealed class UncheckableDatabaseException : SalvorException
{
    internal UncheckableDatabaseException(string name, SqliteException inner) : base(
        FailureKind.Failure,
        $"{name} cannot be checked by SQLite {SqliteConnection.LibraryVersion}, which does not know all that it uses: {inner.Message}",
        "Restore with '--no-check', then run 'PRAGMA integrity_check' with the app's own SQLite and extensions.",
        inner)
    {
    }
}
