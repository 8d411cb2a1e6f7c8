using Salvor.Sqlite.Native;
using Salvor.Sqlite.Restore;

namespace Salvor.Jobs.Drills;

/// <summary>Asks a restored database, which nobody else uses and nothing here changes.</summary>
static class RestoredDatabase
{
    const int TablesMax = 1_000;

    /// <summary>The rows of each table, and the tables whose rows could not be counted. Tables of modules are left out.</summary>
    public static (Dictionary<string, long> Rows, List<string> Uncounted) CountRows(string path, CancellationToken cancellationToken)
    {
        using var connection = Open(path);
        using var stop = connection.StopWhen(cancellationToken);
        var tables = connection.QueryTexts(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' "
                + $"AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name LIMIT {TablesMax}");
        var (rows, uncounted) = (new Dictionary<string, long>(), new List<string>());
        foreach (var table in tables)
        {
            try
            {
                var quoted = table.Replace("\"", "\"\"", StringComparison.Ordinal);
                rows[table] = long.Parse(
                    connection.QueryTexts($"SELECT count(*) FROM \"{quoted}\"")[0], System.Globalization.CultureInfo.InvariantCulture);
            }
            catch (SqliteException e) when (!e.IsInterrupted)
            {
                uncounted.Add($"{table}: {e.Message}");
            }
        }

        return (rows, uncounted);
    }

    /// <summary>The first column of the first rows that a statement gives; a NULL is "NULL".</summary>
    public static List<string> Query(string path, string sql, int rowsMax, CancellationToken cancellationToken)
    {
        using var connection = Open(path);
        using var stop = connection.StopWhen(cancellationToken);
        return connection.QueryFirst(sql, rowsMax);
    }

    static SqliteConnection Open(string path) => new(IntegrityCheck.UriOf(path), LibSqlite.OpenReadOnly | LibSqlite.OpenUri);
}
