using System.Globalization;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Protocol;

/// <summary>A tablespace, or the data directory itself.</summary>
/// <param name="Oid">Its number; null for the data directory.</param>
/// <param name="Path">Where it is on the server; empty for the data directory.</param>
/// <param name="Kilobytes">About how much is in it; null where the server does not say.</param>
public sealed record BackupTablespace(uint? Oid, string Path, long? Kilobytes);

/// <summary>What a part of a base backup is.</summary>
public enum BackupPartKind
{
    /// <summary>The archive of a tablespace begins: a tar file, compressed where that was asked for.</summary>
    Archive,

    /// <summary>The manifest begins.</summary>
    Manifest,

    /// <summary>More bytes of what began last.</summary>
    Data,

    /// <summary>The server tells how much it has sent.</summary>
    Progress,
}

/// <summary>A part of a base backup.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Tablespace">Of an archive: whose.</param>
/// <param name="Bytes">Of data: valid up to the next read.</param>
/// <param name="Done">Of progress: bytes before compression, of all that has been sent.</param>
public readonly record struct BackupPart(BackupPartKind Kind, BackupTablespace? Tablespace, ReadOnlyMemory<byte> Bytes, long Done);

/// <summary>
/// A base backup, in the order in which the server sends it: archives, one for each tablespace, with their bytes, and the manifest. Before
/// version 15 the server says the same in other words.
/// </summary>
public sealed class BaseBackupReader
{
    const int TablespacesMax = 100_000;
    const int WarningsMax = 20;

    readonly PostgresConnection connection;
    readonly bool hasParentheses;
    readonly List<string> warnings = [];
    readonly Action<ServerNotice>? noticed;
    int archives;

    BaseBackupReader(ReplicationConnection replication)
    {
        (connection, hasParentheses) = (replication.Connection, replication.HasParentheses);
        noticed = connection.Noticed;
        connection.Noticed = Note;
    }

    /// <summary>The log is needed from here on.</summary>
    public Lsn Start { get; private set; }

    /// <summary>The timeline of that.</summary>
    public uint Timeline { get; private set; }

    /// <summary>What is to come, the data directory among them.</summary>
    public IReadOnlyList<BackupTablespace> Tablespaces { get; private set; } = [];

    /// <summary>Set where a read returned nothing: the backup is consistent from here on, when all log up to it was replayed.</summary>
    public Lsn? End { get; private set; }

    /// <summary>The timeline of <see cref="End"/>. Another one than at the start where a standby was promoted meanwhile.</summary>
    public uint EndTimeline { get; private set; }

    internal static async Task<BaseBackupReader> BeginAsync(
        ReplicationConnection replication, BaseBackupOptions options, CancellationToken cancellationToken)
    {
        var reader = new BaseBackupReader(replication);
        await reader.connection.Messages.WriteTextAsync((byte)'Q', options.Command(replication.HasParentheses), cancellationToken);
        return await reader.GuardAsync(async () =>
        {
            (reader.Start, reader.Timeline) = reader.PositionOf(await reader.RowsAsync(cancellationToken));
            var rows = await reader.RowsAsync(cancellationToken);
            reader.Tablespaces =
            [
                .. Enumerable.Range(0, rows.Count).Select(row => new BackupTablespace(
                    rows.NumberAt(row, 0), rows.Text(row, 1) ?? "",
                    long.TryParse(rows.Text(row, 2), NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : null)),
            ];
            return reader;
        }, cancellationToken);
    }

    /// <summary>The next part; null where it was complete. Throws where the server found a damaged page, or could not go on.</summary>
    public ValueTask<BackupPart?> ReadAsync(CancellationToken cancellationToken) =>
        End is null ? new(GuardAsync(() => ReadPartAsync(cancellationToken), cancellationToken)) : new((BackupPart?)null);

    async Task<BackupPart?> ReadPartAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var message = await connection.NextAsync(cancellationToken);
            switch (message.Type)
            {
                case (byte)'H' when hasParentheses:
                case (byte)'c':
                    break;
                case (byte)'H':
                    var tablespace = archives < Tablespaces.Count ? Tablespaces[archives] : null;
                    archives++;
                    return new BackupPart(tablespace is null ? BackupPartKind.Manifest : BackupPartKind.Archive, tablespace, default, 0);
                case (byte)'d':
                    return hasParentheses ? PartOf(message.Body) : new BackupPart(BackupPartKind.Data, null, message.Body, 0);
                case (byte)'T':
                    (End, EndTimeline) = PositionOf(await RowsAsync(new PostgresRows(connection, message.Body.Span), cancellationToken));
                    await connection.ReadyAsync(cancellationToken);
                    connection.Noticed = noticed;
                    return null;
                default:
                    throw connection.Unexpected(message.Type, "a base backup");
            }
        }
    }

    BackupPart PartOf(ReadOnlyMemory<byte> message)
    {
        var body = new MessageBody($"{connection.Host}", message.Span);
        switch (body.U8())
        {
            case (byte)'n':
                var (name, path) = (body.Text(), body.Text());
                var tablespace = Tablespaces.FirstOrDefault(item => item.Path == path
                    && name.StartsWith(item.Oid is { } oid ? $"{oid}.tar" : "base.tar", StringComparison.Ordinal));
                return tablespace is not null && ++archives <= Tablespaces.Count
                    ? new BackupPart(BackupPartKind.Archive, tablespace, default, 0)
                    : throw connection.Garbled($"it sends an archive {name} that it did not announce");
            case (byte)'m':
                return new BackupPart(BackupPartKind.Manifest, null, default, 0);
            case (byte)'d':
                return new BackupPart(BackupPartKind.Data, null, message[1..], 0);
            case (byte)'p':
                return new BackupPart(BackupPartKind.Progress, null, default, body.I64());
            default:
                throw connection.Garbled("a base backup has a part of an unknown kind");
        }
    }

    async Task<PostgresRows> RowsAsync(CancellationToken cancellationToken)
    {
        var message = await connection.NextAsync(cancellationToken);
        return message.Type == (byte)'T'
            ? await RowsAsync(new PostgresRows(connection, message.Body.Span), cancellationToken)
            : throw connection.Unexpected(message.Type, "the start of a base backup");
    }

    async Task<PostgresRows> RowsAsync(PostgresRows rows, CancellationToken cancellationToken)
    {
        while (true)
        {
            var message = await connection.NextAsync(cancellationToken);
            if (message.Type == (byte)'C')
            {
                return rows;
            }

            rows.Add(message.Type == (byte)'D' && rows.Count < TablespacesMax
                ? message.Body.Span
                : throw connection.Unexpected(message.Type, "the positions of a base backup"));
        }
    }

    (Lsn Position, uint Timeline) PositionOf(PostgresRows rows) =>
        rows.LsnAt(0, 0) is { } position && rows.NumberAt(0, 1) is { } timeline
            ? (position, timeline)
            : throw connection.Garbled("a base backup has no position");

    /// <summary>What the server refuses is thrown when it is ready for the next command.</summary>
    async Task<T> GuardAsync<T>(Func<Task<T>> read, CancellationToken cancellationToken)
    {
        try
        {
            return await read();
        }
        catch (PostgresException e) when (!e.IsConnectionLoss)
        {
            connection.Noticed = noticed;
            await connection.RecoverAsync(cancellationToken);
            throw e.SqlState == SqlStates.DamagedData && warnings.Count > 0
                ? new PostgresException(
                    FailureKind.Integrity,
                    $"the data of server {connection.Host} is damaged: {string.Join("; ", warnings)}",
                    "Keep the older backups, which may have these pages whole, and look at the disks of the server. pg_amcheck tells what "
                        + "is affected.",
                    e.SqlState, e)
                : e;
        }
    }

    void Note(ServerNotice notice)
    {
        if (notice.Severity == "WARNING" && warnings.Count < WarningsMax)
        {
            warnings.Add(notice.Message);
        }

        noticed?.Invoke(notice);
    }
}
