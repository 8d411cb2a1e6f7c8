using Salvor.Platform;
using Salvor.Sqlite.Native;

namespace Salvor.Sqlite;

/// <summary>
/// Looks at a database without taking part in it: no lock is taken, no file beside it is made or mapped, and nobody is kept waiting. So
/// what is in the log alone is not seen. For a process that has no database open: closing a file drops the locks of the whole process on
/// it.
/// </summary>
static class DatabaseLook
{
    /// <summary>Tables that other tools for replication make in the databases that they follow, by a pattern of their names.</summary>
    static readonly (string Tool, string Tables)[] Tools = [("Litestream", "_litestream_*"), ("Marmot", "__marmot__*")];

    /// <summary>The header; null where the file is no database, or is encrypted.</summary>
    public static DatabaseHeader? ReadHeader(string path)
    {
        Span<byte> bytes = stackalloc byte[DatabaseHeader.SizeBytes];
        return DatabaseHeader.TryParse(bytes[..Posix.Read(path, Posix.NonBlocking, 0, bytes)]);
    }

    /// <summary>The other tools that left tables in the file. Throws <see cref="SqliteException"/> where that cannot be read.</summary>
    public static IReadOnlyList<string> FindTools(string path)
    {
        var uri = $"file:{string.Join('/', path.Split('/').Select(Uri.EscapeDataString))}?immutable=1";
        using var connection = new SqliteConnection(uri, LibSqlite.OpenReadOnly | LibSqlite.OpenUri);
        return
        [
            .. Tools.Where(tool => connection.QueryTexts(
                    $"SELECT name FROM sqlite_schema WHERE type = 'table' AND name GLOB '{tool.Tables}' LIMIT 1").Count > 0)
                .Select(tool => tool.Tool),
        ];
    }
}
