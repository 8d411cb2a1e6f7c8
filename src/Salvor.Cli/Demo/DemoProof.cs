using Salvor.Sqlite.Native;
using Salvor.Sqlite.Restore;

namespace Salvor.Cli.Demo;

/// <summary>Compares a restored database with what was written, computed anew: each row, and SQLite's own check.</summary>
static class DemoProof
{
    /// <summary>How many transactions the database holds. Throws where a row is not what it must be after exactly so many.</summary>
    public static int Compare(string path)
    {
        IntegrityCheck.Run(path, IntegrityCheckDepth.Full, CancellationToken.None);
        using var connection = new SqliteConnection(IntegrityCheck.UriOf(path), LibSqlite.OpenReadOnly | LibSqlite.OpenUri);
        var rows = connection.QueryTexts(DemoContent.RowsQuery);
        foreach (var ((found, expected), index) in rows.Zip(DemoContent.Rows(rows.Count)).Select((pair, index) => (pair, index)))
        {
            if (found != expected)
            {
                throw Unequal(path, $"row {index + 1} is not what was written: '{Shorten(found)}' instead of '{Shorten(expected)}'");
            }
        }

        return rows.Count;
    }

    /// <summary>Throws where the number of transactions is not within what the ledger allows.</summary>
    public static void ExpectWithin(string path, int found, int min, int max)
    {
        if (found < min || found > max)
        {
            throw Unequal(path, $"it holds {found} commits, and by the ledger of the app it must hold {min} to {max}");
        }
    }

    static SalvorException Unequal(string path, string what) => new(
        FailureKind.Integrity, $"{path} is not proved: {what}", "Run 'salvor demo --keep' to keep the evidence, and report it.");

    static string Shorten(string text) => text.Length <= 40 ? text : text[..40] + "...";
}
