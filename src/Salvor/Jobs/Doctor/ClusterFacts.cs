using Salvor.Jobs.Config;
using Salvor.Postgres.Protocol;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Doctor;

/// <summary>A permanent replication slot of a server.</summary>
/// <param name="Name">Its name: letters, digits and underscores.</param>
/// <param name="IsActive">Whether somebody reads from it.</param>
/// <param name="Status">
/// Of the log that it keeps: <c>reserved</c>, <c>extended</c>, <c>unreserved</c> or <c>lost</c>; empty where it keeps none.
/// </param>
/// <param name="HeldBytes">How much log it keeps; 0 where it keeps none.</param>
sealed record SlotFacts(string Name, bool IsActive, string Status, long HeldBytes);

/// <summary>What a server says of its archiver.</summary>
/// <param name="Archived">How many files it archived.</param>
/// <param name="LastArchived">The last of them, and when; null where there is none.</param>
/// <param name="Failed">How many times it failed to.</param>
/// <param name="LastFailed">What it failed to archive last, and when; null where it never did.</param>
/// <param name="Fails">Whether nothing was archived since it failed last.</param>
sealed record ArchiverFacts(
    uint Archived, (string Name, DateTimeOffset At)? LastArchived, uint Failed, (string Name, DateTimeOffset At)? LastFailed, bool Fails);

/// <summary>What the server of a source says of itself.</summary>
sealed record ClusterFacts
{
    static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(5);

    static readonly string[] Settings =
    [
        "wal_level", "max_slot_wal_keep_size", "archive_mode", "data_checksums", "full_page_writes", "fsync", "synchronous_standby_names",
    ];

    /// <summary>What any role may ask that may connect.</summary>
    const string Statements = """
        SET search_path = pg_catalog;
        SELECT count(*) - 1, current_setting('max_wal_senders') FROM pg_stat_replication;
        SELECT slot_name, active, coalesce(wal_status, ''), restart_lsn,
            CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END
            FROM pg_replication_slots WHERE NOT temporary ORDER BY slot_name;
        SELECT archived_count, last_archived_wal, floor(extract(epoch FROM last_archived_time))::bigint,
            failed_count, last_failed_wal, floor(extract(epoch FROM last_failed_time))::bigint,
            last_failed_time IS NOT NULL AND coalesce(last_failed_time > last_archived_time, true)
            FROM pg_stat_archiver;
        """;

    const int VersionOfCollations = 150000;

    const string OfCollations = """
        SELECT datname FROM pg_database WHERE datcollversion <> pg_database_collation_actual_version(oid) ORDER BY datname;
        """;

    public required PostgresSourceConfig Source { get; init; }

    /// <summary>Why it cannot be followed; null where it can.</summary>
    public SalvorException? Failure { get; init; }

    /// <summary>Version and place, for messages.</summary>
    public string Server { get; init; } = "";

    public string SystemId { get; init; } = "";

    /// <summary>Its settings by their names, as it shows them.</summary>
    public IReadOnlyDictionary<string, string> Shown { get; init; } = new Dictionary<string, string>();

    /// <summary>Why the rest is not known, which takes statements; null where it is.</summary>
    public SalvorException? SqlFailure { get; init; }

    /// <summary>How many more may receive its log or a base backup at once.</summary>
    public long SendersFree { get; init; }

    public IReadOnlyList<SlotFacts> Slots { get; init; } = [];

    public ArchiverFacts? Archiver { get; init; }

    /// <summary>Databases that were sorted by another version of their collation.</summary>
    public IReadOnlyList<string> OtherCollations { get; init; } = [];

    /// <summary>Asks the server as a follower would connect to it. Never throws; what takes too long is a failure.</summary>
    public static async Task<ClusterFacts> GatherAsync(PostgresSourceConfig source, TimeProvider time, CancellationToken deadline)
    {
        var settings = source.Server ?? throw new InvalidOperationException($"the connection of {source.Name} was not read");
        settings = settings with { ConnectTimeout = settings.ConnectTimeout < ConnectMax ? settings.ConnectTimeout : ConnectMax };
        var facts = new ClusterFacts { Source = source };
        try
        {
            await using var connection = await ReplicationConnection.OpenAsync(settings, time, deadline);
            facts = await AskAsync(facts, connection, deadline);
            try
            {
                return await SelectAsync(facts, connection.Connection, deadline);
            }
            catch (PostgresException e)
            {
                return facts with { SqlFailure = e };
            }
        }
        catch (SalvorException e)
        {
            return facts with { Failure = e };
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested)
        {
            return facts with
            {
                Failure = new SalvorException(
                    FailureKind.SourceUnreadable, $"server {settings.Place} did not answer in time",
                    "Check host, port and the network between, and what the server is busy with."),
            };
        }
    }

    static async Task<ClusterFacts> AskAsync(ClusterFacts facts, ReplicationConnection connection, CancellationToken cancellationToken)
    {
        var shown = new Dictionary<string, string>();
        foreach (var setting in Settings)
        {
            shown[setting] = await connection.Connection.ShowAsync(setting, cancellationToken);
        }

        var (server, version) = (connection.Connection, connection.Connection.Parameters.GetValueOrDefault("server_version"));
        return facts with
        {
            Server = $"PostgreSQL {version} at {server.Host} as {server.Settings.User}",
            SystemId = (await connection.IdentifyAsync(cancellationToken)).SystemId,
            Shown = shown,
        };
    }

    /// <summary>Of the same server, while the other connection to it is open: the server counts it.</summary>
    static async Task<ClusterFacts> SelectAsync(ClusterFacts facts, PostgresConnection other, CancellationToken cancellationToken)
    {
        await using var connection = await OpenAsync(other.Settings with { Hosts = [other.Host] }, other.Time, cancellationToken);
        var hasCollations = other.ServerVersion >= VersionOfCollations;
        var answers = await connection.QueryAsync(hasCollations ? Statements + OfCollations : Statements, cancellationToken);
        const int SetsMin = 3;
        if (answers.Count < SetsMin)
        {
            throw connection.Garbled($"it answers {answers.Count} sets of rows");
        }

        var (senders, slots, archiver) = (answers[0], answers[1], answers[2]);
        return facts with
        {
            SendersFree = (senders.NumberAt(0, 1) ?? 0L) - (senders.NumberAt(0, 0) ?? 0),
            Slots = [.. Enumerable.Range(0, slots.Count).Select(row => new SlotFacts(
                slots.Text(row, 0) ?? "", slots.Text(row, 1) == "t", slots.Text(row, 2) ?? "",
                Distance(slots.LsnAt(row, 3), slots.LsnAt(row, 4))))],
            Archiver = new ArchiverFacts(
                archiver.NumberAt(0, 0) ?? 0, Named(archiver, 1), archiver.NumberAt(0, 3) ?? 0, Named(archiver, 4),
                archiver.Text(0, 6) == "t"),
            OtherCollations = [
                .. answers.Skip(SetsMin).SelectMany(rows => Enumerable.Range(0, rows.Count).Select(row => rows.Text(row, 0) ?? "")),
            ],
        };
    }

    /// <summary>A replication connection needs no database: where none is named, there may be none of the user's name.</summary>
    static async Task<PostgresConnection> OpenAsync(PostgresSettings settings, TimeProvider time, CancellationToken cancellationToken)
    {
        try
        {
            return await PostgresConnection.OpenAsync(settings, SessionKind.Sql, time, cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState == SqlStates.NoSuchDatabase)
        {
            return await PostgresConnection.OpenAsync(settings with { Database = "postgres" }, SessionKind.Sql, time, cancellationToken);
        }
    }

    static long Distance(Lsn? from, Lsn? to) => from is { } start && to is { } end && end > start ? end - start : 0;

    static (string, DateTimeOffset)? Named(PostgresRows rows, int column) =>
        rows.Text(0, column) is { } name && rows.NumberAt(0, column + 1) is { } seconds
            ? (name, DateTimeOffset.FromUnixTimeSeconds(seconds))
            : null;
}
