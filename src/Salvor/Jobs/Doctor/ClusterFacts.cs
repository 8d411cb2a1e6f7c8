using System.Globalization;
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

/// <summary>How a server that follows another one fares.</summary>
/// <param name="IsFed">Whether it receives from the other one now.</param>
/// <param name="IsPaused">Whether it was told not to apply what it has.</param>
/// <param name="ReplayedTo">Up to where it applied its log.</param>
/// <param name="WaitingBytes">How much of it was received and is not applied.</param>
/// <param name="LastCommitAge">How long ago the last transaction was committed that it applied; null where it applied none.</param>
sealed record StandbyFacts(bool IsFed, bool IsPaused, Lsn ReplayedTo, long WaitingBytes, TimeSpan? LastCommitAge);

/// <summary>What the server of a source says of itself.</summary>
sealed record ClusterFacts
{
    static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(5);

    static readonly string[] Settings =
    [
        "wal_level", "max_slot_wal_keep_size", "wal_keep_size", "archive_mode", "archive_timeout", "data_checksums", "full_page_writes",
        "fsync", "synchronous_standby_names",
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
        SELECT pg_is_in_recovery(), (SELECT count(*) FROM pg_stat_wal_receiver),
            CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() ELSE false END,
            pg_last_wal_replay_lsn(), pg_last_wal_receive_lsn(),
            floor(extract(epoch FROM greatest(clock_timestamp() - pg_last_xact_replay_timestamp(), '0')))::bigint;
        SELECT current_setting('max_replication_slots')::bigint - count(*), pg_size_bytes(current_setting('max_slot_wal_keep_size'))
            FROM pg_replication_slots;
        """;

    const int VersionOfLogStatistics = 140000;

    /// <summary>Of a server that was started a moment ago an hour is not known yet: it is taken for one.</summary>
    const string OfLog = """
        SELECT floor(wal_bytes * 3600 / greatest(extract(epoch FROM clock_timestamp() - stats_reset), 3600))::bigint FROM pg_stat_wal;
        """;

    const int VersionOfCollations = 150000;
    const int VersionOfSummaries = 170000;

    const string OfCollations = """
        SELECT datname FROM pg_database WHERE datcollversion <> pg_database_collation_actual_version(oid) ORDER BY datname;
        """;

    public required PostgresSourceConfig Source { get; init; }

    /// <summary>Why it cannot be followed; null where it can.</summary>
    public SalvorException? Failure { get; init; }

    /// <summary>Version and place, for messages.</summary>
    public string Server { get; init; } = "";

    public string SystemId { get; init; } = "";

    /// <summary>Its settings by their names, as it shows them; <c>summarize_wal</c> where its version has it.</summary>
    public IReadOnlyDictionary<string, string> Shown { get; init; } = new Dictionary<string, string>();

    /// <summary>Why the rest is not known, which takes statements; null where it is.</summary>
    public SalvorException? SqlFailure { get; init; }

    /// <summary>How many more may receive its log or a base backup at once.</summary>
    public long SendersFree { get; init; }

    public IReadOnlyList<SlotFacts> Slots { get; init; } = [];

    /// <summary>How many more slots can be made.</summary>
    public long SlotsFree { get; init; }

    /// <summary>How much log slots may keep; less than 0 where nothing limits it.</summary>
    public long SlotBytesMax { get; init; } = -1;

    /// <summary>How much log it writes in an hour, on the average; null where it does not tell (before 14).</summary>
    public long? LogBytesPerHour { get; init; }

    /// <summary>Null where it follows no other server.</summary>
    public StandbyFacts? Standby { get; init; }

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
        string[] later = connection.ServerVersion >= VersionOfSummaries ? ["summarize_wal"] : [];
        foreach (var setting in Settings.Concat(later))
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
        await using var connection = await other.OpenBesideAsync(cancellationToken);
        var hasLog = other.ServerVersion >= VersionOfLogStatistics;
        var statements = Statements + (hasLog ? OfLog : "") + (other.ServerVersion >= VersionOfCollations ? OfCollations : "");
        var answers = await connection.QueryAsync(statements, cancellationToken);
        const int SetsMin = 5;
        var ofCollations = SetsMin + (hasLog ? 1 : 0);
        if (answers.Count < ofCollations)
        {
            throw connection.Garbled($"it answers {answers.Count} sets of rows");
        }

        var (senders, slots, archiver, standby, limits) = (answers[0], answers[1], answers[2], answers[3], answers[4]);
        return facts with
        {
            SendersFree = (senders.NumberAt(0, 1) ?? 0L) - (senders.NumberAt(0, 0) ?? 0),
            Slots = [.. Enumerable.Range(0, slots.Count).Select(row => new SlotFacts(
                slots.Text(row, 0) ?? "", slots.Text(row, 1) == "t", slots.Text(row, 2) ?? "",
                Distance(slots.LsnAt(row, 3), slots.LsnAt(row, 4))))],
            Archiver = new ArchiverFacts(
                archiver.NumberAt(0, 0) ?? 0, Named(archiver, 1), archiver.NumberAt(0, 3) ?? 0, Named(archiver, 4),
                archiver.Text(0, 6) == "t"),
            Standby = standby.Text(0, 0) == "t" ? StandbyOf(standby) : null,
            SlotsFree = LongAt(limits, 0) ?? 0,
            SlotBytesMax = LongAt(limits, 1) ?? -1,
            LogBytesPerHour = hasLog ? LongAt(answers[SetsMin], 0) : null,
            OtherCollations = [
                .. answers.Skip(ofCollations).SelectMany(rows => Enumerable.Range(0, rows.Count).Select(row => rows.Text(row, 0) ?? "")),
            ],
        };
    }

    static StandbyFacts StandbyOf(PostgresRows rows) => new(
        LongAt(rows, 1) > 0, rows.Text(0, 2) == "t", rows.LsnAt(0, 3) ?? Lsn.None, Distance(rows.LsnAt(0, 3), rows.LsnAt(0, 4)),
        LongAt(rows, 5) is { } seconds ? TimeSpan.FromSeconds(seconds) : null);

    static long? LongAt(PostgresRows rows, int column) =>
        long.TryParse(rows.Text(0, column), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number) ? number : null;

    static long Distance(Lsn? from, Lsn? to) => from is { } start && to is { } end && end > start ? end - start : 0;

    static (string, DateTimeOffset)? Named(PostgresRows rows, int column) =>
        rows.Text(0, column) is { } name && rows.NumberAt(0, column + 1) is { } seconds
            ? (name, DateTimeOffset.FromUnixTimeSeconds(seconds))
            : null;
}
