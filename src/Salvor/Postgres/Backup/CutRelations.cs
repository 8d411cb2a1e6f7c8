using System.Globalization;
using System.Text.RegularExpressions;
using Salvor.Postgres.Protocol;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Backup;

/// <summary>
/// Relations of which the end was cut off since a backup. Pages that are added there again may come into no log as long as nothing is in
/// them, and so in no summary: what is put together of such a relation would have its old rows there. So all of it is to be sent.
/// </summary>
sealed partial class CutRelations
{
    static readonly Lsn Farthest = new(ulong.MaxValue);

    readonly HashSet<(uint Database, uint Relation)> relations = [];

    /// <summary>Those that the server has summarized: the last of its log may be missing. Throws where it may not be asked.</summary>
    /// <param name="server">A connection to it, which stays as it is.</param>
    /// <param name="since">Where the log of the backup begins.</param>
    /// <param name="until">Where that of the next begins; null where that is not known yet.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<CutRelations> ReadAsync(
        PostgresConnection server, Lsn since, Lsn? until, CancellationToken cancellationToken)
    {
        var cut = new CutRelations();
        var rows = await AskAsync(server, since, until ?? Farthest, cancellationToken);
        for (var row = 0; row < rows.Count; row++)
        {
            cut.relations.Add((rows.NumberAt(row, 0) ?? 0, rows.NumberAt(row, 1) ?? 0));
        }

        return cut;
    }

    /// <summary>Whether a file, by its path in the data directory, is one of theirs.</summary>
    public bool Has(string path) => File().Match(path) is { Success: true } file
        && relations.Contains((NumberOf(file.Groups[1].Value), NumberOf(file.Groups[2].Value)));

    /// <summary>Where nothing is known of them, only a full backup is right.</summary>
    static async Task<PostgresRows> AskAsync(PostgresConnection server, Lsn since, Lsn until, CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await server.OpenBesideAsync(cancellationToken);
            return await connection.QueryOneAsync(Statement(since, until), cancellationToken);
        }
        catch (PostgresException e)
        {
            throw new NotIncrementalException($"the summaries of the log cannot be asked for: {e.Message}", e);
        }
    }

    /// <summary>Those that were cut to nothing are sent whole by each server.</summary>
    static string Statement(Lsn since, Lsn until) => $"""
        SELECT DISTINCT c.reldatabase, c.relfilenode
            FROM pg_catalog.pg_available_wal_summaries() s, pg_catalog.pg_wal_summary_contents(s.tli, s.start_lsn, s.end_lsn) c
            WHERE c.is_limit_block AND c.relblocknumber > 0 AND s.end_lsn > '{since}' AND s.start_lsn < '{until}'
        """;

    static uint NumberOf(string digits) => uint.TryParse(digits, CultureInfo.InvariantCulture, out var number) ? number : 0;

    /// <summary>Relations of all databases are in <c>global</c>, and their database is 0.</summary>
    [GeneratedRegex(@"(?:^global|/(\d+))/(\d+)(?:_\w+)?(?:\.\d+)?$")]
    private static partial Regex File();
}
