using Salvor.Vault.Wal;

namespace Salvor.Postgres.Protocol;

/// <summary>What a server says of itself.</summary>
/// <param name="SystemId">Made with the cluster: a standby has the one of its primary, any other cluster another.</param>
/// <param name="Timeline">The timeline that it writes, or replays.</param>
/// <param name="Flushed">Up to where its log is durable.</param>
public sealed record ServerIdentity(string SystemId, uint Timeline, Lsn Flushed);

/// <summary>A history file: where a timeline comes from.</summary>
/// <param name="Name">Such as <c>00000002.history</c>.</param>
/// <param name="Content">As the server has it.</param>
public sealed record HistoryFile(string Name, byte[] Content);

/// <summary>A physical replication slot, which keeps the log for us.</summary>
/// <param name="Exists">Whether there is one of this name.</param>
/// <param name="RestartLsn">From where on the log is kept; null where nothing is kept yet, and where the slot was lost.</param>
/// <param name="RestartTimeline">The timeline of that; null where it is not known.</param>
public sealed record SlotPosition(bool Exists, Lsn? RestartLsn, uint? RestartTimeline);

/// <summary>
/// Commands of the replication protocol: who the server is, its slots, the log as it is written, and base backups. One command at a time.
/// <see href="https://www.postgresql.org/docs/current/protocol-replication.html"/> has them.
/// </summary>
public sealed class ReplicationConnection : IAsyncDisposable
{
    /// <summary>From here on commands have their options in parentheses, and a slot can be read.</summary>
    const int VersionOfParentheses = 150000;

    const int VersionOfIncrementals = 170000;
    const int UploadBytes = 64 << 10;

    ReplicationConnection(PostgresConnection connection) => Connection = connection;

    /// <summary>Connects. Throws <see cref="PostgresException"/>, or a usage error where a file of the settings cannot be used.</summary>
    public static async Task<ReplicationConnection> OpenAsync(
        PostgresSettings settings, TimeProvider time, CancellationToken cancellationToken) =>
        new(await PostgresConnection.OpenAsync(settings, SessionKind.Replication, time, cancellationToken));

    /// <summary>What carries the commands.</summary>
    public PostgresConnection Connection { get; }

    /// <summary>As <c>server_version_num</c> has it: 150018 is 15.18.</summary>
    public int ServerVersion => Connection.ServerVersion;

    internal bool HasParentheses => ServerVersion >= VersionOfParentheses;

    public async Task<ServerIdentity> IdentifyAsync(CancellationToken cancellationToken)
    {
        var rows = await Connection.QueryOneAsync("IDENTIFY_SYSTEM", cancellationToken);
        return rows.Text(0, 0) is { Length: > 0 and <= 20 } id && id.All(char.IsAsciiDigit)
            && rows.NumberAt(0, 1) is { } timeline && rows.LsnAt(0, 2) is { } flushed
            ? new ServerIdentity(id, timeline, flushed)
            : throw Connection.Garbled("it does not say who it is");
    }

    /// <summary>The length of a segment of the log, in bytes: 1 MiB to 1 GiB, 16 MiB unless the cluster was made otherwise.</summary>
    public async Task<int> SegmentBytesAsync(CancellationToken cancellationToken)
    {
        var text = await Connection.ShowAsync("wal_segment_size", cancellationToken);
        var (digits, shift) = text switch
        {
            [.. var number, 'G', 'B'] => (number, 30),
            [.. var number, 'M', 'B'] => (number, 20),
            [.. var number, 'k', 'B'] => (number, 10),
            _ => ("", 0),
        };
        return int.TryParse(digits, out var count) && count is > 0 and <= 1 << 20
            && (long)count << shift is >= 1 << 20 and <= 1 << 30 and var bytes && (bytes & (bytes - 1)) == 0
            ? (int)bytes
            : throw Connection.Garbled($"it says that segments have {text}");
    }

    /// <summary>The history of a timeline above 1. Throws <see cref="SqlStates.Removed"/> where the server has none.</summary>
    public async Task<HistoryFile> ReadHistoryAsync(uint timeline, CancellationToken cancellationToken)
    {
        var rows = await Connection.QueryOneAsync($"TIMELINE_HISTORY {timeline}", cancellationToken);
        var name = $"{timeline:X8}.history";
        return rows.Text(0, 0) == name && rows.Bytes(0, 1) is { } content
            ? new HistoryFile(name, content)
            : throw Connection.Garbled($"what it sends as {name} is none");
    }

    /// <summary>Makes a slot that keeps the log from now on. Throws <see cref="SqlStates.AlreadyThere"/> where there is one.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="isTemporary">Whether it goes with this connection.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public Task CreateSlotAsync(string name, bool isTemporary, CancellationToken cancellationToken) => Connection.QueryOneAsync(
        $"CREATE_REPLICATION_SLOT {PostgresNames.Slot(name)}{(isTemporary ? " TEMPORARY" : "")} PHYSICAL "
            + (HasParentheses ? "(RESERVE_WAL)" : "RESERVE_WAL"),
        cancellationToken);

    /// <summary>
    /// Where a slot is. Before version 15 that is no command of replication: then it is asked by a connection for statements.
    /// </summary>
    public async Task<SlotPosition> ReadSlotAsync(string name, CancellationToken cancellationToken)
    {
        if (HasParentheses)
        {
            var rows = await Connection.QueryOneAsync($"READ_REPLICATION_SLOT {PostgresNames.Slot(name)}", cancellationToken);
            return new SlotPosition(rows.Text(0, 0) is not null, rows.LsnAt(0, 1), rows.NumberAt(0, 2));
        }

        await using var other = await Connection.OpenBesideAsync(cancellationToken);
        var found = await other.QueryOneAsync(
            $"SELECT restart_lsn FROM pg_catalog.pg_replication_slots WHERE slot_name = {PostgresNames.Text(name)}", cancellationToken);
        return found.Count == 0 ? new SlotPosition(false, null, null) : new SlotPosition(true, found.LsnAt(0, 0), null);
    }

    /// <summary>Removes a slot. Throws <see cref="SqlStates.NoSuchObject"/>, or <see cref="SqlStates.InUse"/>.</summary>
    public Task DropSlotAsync(string name, CancellationToken cancellationToken) =>
        Connection.QueryAsync($"DROP_REPLICATION_SLOT {PostgresNames.Slot(name)}", cancellationToken);

    /// <summary>
    /// Begins to receive the log of a timeline from an address on. Nothing else can be asked until the reader is at its end. Throws
    /// <see cref="SqlStates.Removed"/> at the first read where the server no longer has it.
    /// </summary>
    /// <param name="slot">The slot that keeps the log until it is confirmed; null for none.</param>
    /// <param name="start">The first byte wanted: best the first of a segment, as every record must be found whole.</param>
    /// <param name="timeline">The timeline; one of the past goes up to where the server left it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public Task<WalStream> ReceiveAsync(string? slot, Lsn start, uint timeline, CancellationToken cancellationToken) =>
        WalStream.BeginAsync(
            Connection,
            $"START_REPLICATION {(slot is null ? "" : $"SLOT {PostgresNames.Slot(slot)} ")}PHYSICAL {start} TIMELINE {timeline}",
            cancellationToken);

    /// <summary>Begins a base backup: returns after the checkpoint. Nothing else can be asked until the reader is at its end.</summary>
    public Task<BaseBackupReader> BackUpAsync(BaseBackupOptions options, CancellationToken cancellationToken) =>
        BaseBackupReader.BeginAsync(this, options, cancellationToken);

    /// <summary>
    /// Gives the server the manifest of a backup, for an incremental one after it on this connection. From version 17 on.
    /// </summary>
    /// <param name="manifest">The manifest as the server sent it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task UploadManifestAsync(Stream manifest, CancellationToken cancellationToken)
    {
        if (ServerVersion < VersionOfIncrementals)
        {
            throw PostgresSettings.Wrong(
                $"server {Connection.Host} is older than version 17, which makes no incremental backups", "Make a full one.");
        }

        await Connection.Messages.WriteTextAsync((byte)'Q', "UPLOAD_MANIFEST", cancellationToken);
        if (await Connection.FirstAsync(cancellationToken) is { Type: not (byte)'G' and var type })
        {
            throw Connection.Unexpected(type, "the upload of a manifest");
        }

        var buffer = new byte[UploadBytes];
        for (int count; (count = await manifest.ReadAsync(buffer, cancellationToken)) > 0;)
        {
            await Connection.Messages.WriteAsync((byte)'d', buffer.AsMemory(0, count), cancellationToken);
        }

        await Connection.Messages.WriteAsync((byte)'c', default, cancellationToken);
        await Connection.ReadAnswerAsync(cancellationToken);
    }

    public ValueTask DisposeAsync() => Connection.DisposeAsync();
}
