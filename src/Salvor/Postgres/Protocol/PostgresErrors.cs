using System.Net.Sockets;
using System.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>What a server says in an error or a notice.</summary>
/// <param name="Severity"><c>ERROR</c>, <c>FATAL</c>, <c>WARNING</c> and so on, in English.</param>
/// <param name="SqlState">Which it is.</param>
/// <param name="Message">In the language of the server.</param>
/// <param name="Detail">More of it; empty for nothing.</param>
/// <param name="Hint">The server's advice; empty for none.</param>
public sealed record ServerNotice(string Severity, string SqlState, string Message, string Detail, string Hint)
{
    /// <summary>Reads the fields of an error or a notice.</summary>
    internal static ServerNotice Read(ReadOnlySpan<byte> body)
    {
        var fields = new Dictionary<byte, string>();
        while (body.Length > 1 && body[0] != 0 && body[1..].IndexOf((byte)0) is >= 0 and var end)
        {
            fields[body[0]] = Encoding.UTF8.GetString(body.Slice(1, end));
            body = body[(end + 2)..];
        }

        return new ServerNotice(
            Field('V', Field('S', "ERROR")), Field('C', SqlStates.ProtocolViolation), Field('M', "no message"), Field('D', ""),
            Field('H', ""));

        string Field(char name, string otherwise) => fields.GetValueOrDefault((byte)name) is { Length: > 0 } value ? value : otherwise;
    }
}

/// <summary>What an operator is told of a failure.</summary>
static class PostgresErrors
{
    /// <summary>An error of a server.</summary>
    /// <param name="notice">What it said.</param>
    /// <param name="place">Which server.</param>
    /// <param name="settings">As whom.</param>
    /// <param name="host">Through which way.</param>
    public static PostgresException Of(ServerNotice notice, string place, PostgresSettings settings, PostgresHost host)
    {
        var detail = notice.Detail.Length > 0 ? $" ({notice.Detail})" : "";
        var message = $"server {place} refused user {settings.User}: {notice.Message}{detail}";
        var other = $"server {place} says: {notice.Message}{detail}";
        return notice.SqlState switch
        {
            SqlStates.WrongPassword => New(message, PasswordHint(settings)),
            SqlStates.NotAuthorized => New(message, AccessHint(notice, settings, host)),
            SqlStates.NotPermitted => New(
                other,
                $"Run in psql, as a superuser: ALTER ROLE \"{settings.User}\" REPLICATION; and see that it may do what it was refused."),
            SqlStates.TooManyConnections => New(
                other, "Raise max_wal_senders or max_connections of the server, or end connections that nobody needs (pg_stat_activity)."),
            SqlStates.NotYet => New(other, "Wait until the server accepts connections, and try again; its log says what it is doing."),
            SqlStates.ShuttingDown or "57P02" => New(other, "Start the server again; what was not received is sent then."),
            SqlStates.InUse => New(
                other, "Another receiver reads from this slot: stop it, or use a slot of another name.", FailureKind.Locked),
            SqlStates.NoSuchObject => New(other, "Check the name, and create what is missing; pg_replication_slots has the slots."),
            SqlStates.AlreadyThere => New(other, "Use it, or choose another name."),
            SqlStates.NotInState => New(
                other,
                notice.Hint.Length > 0 ? notice.Hint
                : "If it is a slot that was lost, drop it and make a new one, then make a full backup: the log between the two is gone."),
            SqlStates.Removed => New(
                other,
                "The server no longer has this log, so there is a gap after what was received. Make a full backup, and see that "
                    + "a replication slot keeps the log, within max_slot_wal_keep_size."),
            SqlStates.DamagedData => New(
                other, "Data on the server is damaged: look at its disks, and keep the older backups.", FailureKind.Integrity),
            _ => New(other, notice.Hint.Length > 0 ? notice.Hint : $"The server's log has more of it, SQLSTATE {notice.SqlState}."),
        };

        PostgresException New(string text, string hint, FailureKind kind = FailureKind.SourceUnreadable) =>
            new(kind, text, hint, notice.SqlState);
    }

    /// <summary>No connection could be made.</summary>
    public static PostgresException Unreachable(PostgresHost host, Exception e) => new(
        FailureKind.SourceUnreadable,
        $"cannot connect to server {host}: {e.Message}",
        e is SocketException { SocketErrorCode: SocketError.ConnectionRefused } ? host.IsSocket
            ? "Is the server running, and does it have a socket in this folder? See unix_socket_directories and port."
            : "Is the server running, and does it listen there? See listen_addresses and port, and firewalls between."
        : e is SocketException { SocketErrorCode: SocketError.HostNotFound or SocketError.NoData or SocketError.TryAgain }
            ? "Check the name of the host, and whether this machine can look it up."
        : host.IsSocket ? "Name the folder of the server's socket as host, or a host name to connect through the network."
        : "Check host, port and the network between.",
        SqlStates.CannotConnect,
        e);

    /// <summary>It takes too long.</summary>
    public static PostgresException Late(PostgresHost host, TimeSpan within) => new(
        FailureKind.SourceUnreadable,
        $"server {host} did not let us in within {within.TotalSeconds:0} s",
        "Check host, port and the network between; connect_timeout=SECONDS waits longer.",
        SqlStates.CannotConnect);

    /// <summary>The connection broke.</summary>
    public static PostgresException Lost(string place, string why, Exception? inner = null) => new(
        FailureKind.SourceUnreadable,
        $"the connection to server {place} is lost: {why}",
        "Connect again; if it happens often, look at the server's log and the network between.",
        SqlStates.ConnectionLost,
        inner);

    /// <summary>The other side does not speak the protocol.</summary>
    public static PostgresException Garbled(string place, string what) => new(
        FailureKind.SourceUnreadable,
        $"server {place} does not keep to the protocol: {what}",
        "Is that a PostgreSQL server of version 13 or newer, with no pooler in front of it?",
        SqlStates.ProtocolViolation);

    /// <summary>The log-in or the encryption is refused by this side.</summary>
    public static PostgresException Refused(string message, string hint, Exception? inner = null) =>
        new(FailureKind.SourceUnreadable, message, hint, SqlStates.NotAuthorized, inner);

    public static string PasswordHint(PostgresSettings settings) =>
        (PostgresPasswordFile.Problem(settings.PasswordFile) is { } problem ? $"The {problem}: run chmod 0600 on it. " : "")
        + $"Check the password of user {settings.User}: in the settings, in PGPASSWORD or in {settings.PasswordFile}, where the "
        + "database of a replication connection is \"replication\"."
        + (settings.Password?.Value.All(char.IsAscii) == false
            ? " It has characters outside of ASCII: set and type it in composed form (Unicode NFKC)." : "");

    static string AccessHint(ServerNotice notice, PostgresSettings settings, PostgresHost host)
    {
        if (!notice.Message.Contains("pg_hba.conf", StringComparison.Ordinal))
        {
            return $"Check that role {settings.User} exists and has LOGIN and REPLICATION.";
        }

        var from = host.IsSocket ? "local   replication  "
            : settings.SslMode == SslMode.Disable ? "host    replication  "
            : "hostssl replication  ";
        return $"Add a line to pg_hba.conf, such as: {from}{settings.User}  {(host.IsSocket ? "" : "ADDRESS/32  ")}scram-sha-256, and run "
            + "SELECT pg_reload_conf(); a line for database \"all\" does not cover replication."
            + (settings.SslMode is SslMode.Disable or SslMode.Allow ? " A hostssl line lets in with sslmode=require." : "");
    }
}
