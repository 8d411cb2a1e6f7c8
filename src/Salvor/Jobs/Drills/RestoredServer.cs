using System.Globalization;
using Salvor.Postgres.Protocol;
using Salvor.Postgres.Restore;

namespace Salvor.Jobs.Drills;

/// <summary>Asks a recovered server, which nobody else uses, as a superuser of the cluster. Nothing here changes what it holds.</summary>
sealed class RestoredServer
{
    const int TablesMax = 10_000;

    /// <summary>Whatever the roles and databases of the cluster say of their sessions.</summary>
    const string ReadingOnly = "-c default_transaction_read_only=on -c statement_timeout=0 -c lock_timeout=0";

    /// <summary>
    /// Tables, each with the name that it is counted under, which is that of the partitioned table that it is a part of. Foreign tables
    /// have their rows elsewhere, and temporary ones belong to sessions that are gone.
    /// </summary>
    const string Tables = """
        SELECT s.nspname || '.' || top.relname, quote_ident(n.nspname) || '.' || quote_ident(c.relname), c.relkind = 'r'
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_class top ON top.oid = coalesce(pg_partition_root(c.oid), c.oid) JOIN pg_namespace s ON s.oid = top.relnamespace
            WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
            ORDER BY 1, 2
        """;

    readonly PostgresSettings settings;
    readonly IReadOnlyList<string> databases;
    readonly IReadOnlyList<string> closed;
    readonly TimeProvider time;

    RestoredServer(PostgresSettings settings, IReadOnlyList<string> databases, IReadOnlyList<string> closed, TimeProvider time) =>
        (this.settings, this.databases, this.closed, this.time) = (settings, databases, closed, time);

    /// <param name="server">The server.</param>
    /// <param name="database">Asked where a statement names none, and if it is there; else <c>postgres</c>.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public static async Task<RestoredServer> OpenAsync(
        PrivateServer server, string database, TimeProvider time, CancellationToken cancellationToken)
    {
        // One with a limit of -2 is the rest of one that was being dropped.
        const string Databases = "SELECT datname, datallowconn FROM pg_database "
            + "WHERE datconnlimit <> -2 AND (datallowconn OR datname <> 'template0') ORDER BY datname";
        var settings = (await server.SuperuserAsync(cancellationToken)) with { Options = ReadingOnly };
        await using var connection = await PostgresConnection.OpenAsync(
            settings with { Database = "template1" }, SessionKind.Sql, time, cancellationToken);
        var rows = await connection.QueryOneAsync(Databases, cancellationToken);
        var found = Enumerable.Range(0, rows.Count).ToLookup(row => rows.Text(row, 1) == "t", row => rows.Text(row, 0)!);
        var (names, closed) = (found[true].ToList(), found[false].ToList());
        return new(settings with { Database = names.Contains(database) ? database : "postgres" }, names, closed, time);
    }

    /// <summary>
    /// The rows of each table of each database, as <c>database.schema.table</c>; those of partitions count as those of their table. And
    /// what was not counted. Throws where a table cannot be read.
    /// </summary>
    public async Task<(Dictionary<string, long> Rows, List<string> Uncounted)> CountRowsAsync(
        Action<WorkProgress>? progressed, CancellationToken cancellationToken)
    {
        var rows = new Dictionary<string, long>();
        var uncounted = closed.Select(database => $"database {database} (allows no connections)").ToList();
        foreach (var database in databases)
        {
            progressed?.Invoke(new WorkProgress("counting rows") { Item = database });
            await CountRowsAsync(database, rows, uncounted, cancellationToken);
        }

        return (rows, uncounted);
    }

    /// <summary>What the checks of an operator are asked of.</summary>
    /// <param name="path">The data directory.</param>
    public SmokeSubject Subject(string path)
    {
        // A service or an address that the daemon was started with would lead a client to the server that was backed up.
        var others = Environment.GetEnvironmentVariables().Keys.Cast<string>()
            .Where(name => name.StartsWith("PG", StringComparison.Ordinal)).SelectMany(name => new[] { "-u", name });
        var host = settings.Hosts[0];
        return new SmokeSubject(path)
        {
            AskAsync = AskAsync,
            Shell =
            [
                "env", .. others, $"PGHOST={host.Name}", string.Create(CultureInfo.InvariantCulture, $"PGPORT={host.Port}"),
                $"PGUSER={settings.User}", $"PGDATABASE={settings.Database}", "/bin/sh",
            ],
        };
    }

    async Task<IReadOnlyList<string>> AskAsync(SmokeCheck.Sql check, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(check.Database ?? settings.Database, "", cancellationToken);
        var answers = await connection.QueryAsync(check.Statement.Value, cancellationToken);
        return answers is [var rows]
            ? [.. Enumerable.Range(0, Math.Min(rows.Count, SmokeSubject.RowsMax)).Select(row => rows.Text(row, 0) ?? "NULL")]
            : throw new SalvorException(
                FailureKind.Failure, $"{answers.Count} of its statements give rows", "Write one statement with one value.");
    }

    async Task CountRowsAsync(
        string database, Dictionary<string, long> rows, List<string> uncounted, CancellationToken cancellationToken)
    {
        // Nothing of a schema that anybody may write to is to be called by a superuser.
        await using var connection = await OpenAsync(database, "-c search_path=pg_catalog", cancellationToken);
        var tables = await connection.QueryOneAsync(Tables, cancellationToken);
        for (var row = 0; row < tables.Count; row++)
        {
            var name = $"{database}.{tables.Text(row, 0)}";
            if (rows.Count >= TablesMax && !rows.ContainsKey(name))
            {
                uncounted.Add($"{tables.Count - row} tables of {database}");
                return;
            }

            var count = tables.Text(row, 2) == "t"
                ? (await connection.QueryOneAsync($"SELECT count(*) FROM ONLY {tables.Text(row, 1)}", cancellationToken)).Text(0, 0)!
                : "0";
            rows[name] = rows.GetValueOrDefault(name) + long.Parse(count, CultureInfo.InvariantCulture);
        }
    }

    Task<PostgresConnection> OpenAsync(string database, string options, CancellationToken cancellationToken) =>
        PostgresConnection.OpenAsync(
            settings with { Database = database, Options = $"{settings.Options} {options}" }, SessionKind.Sql, time, cancellationToken);
}
