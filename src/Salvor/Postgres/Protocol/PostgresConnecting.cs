using System.Net.Security;
using System.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>What a connection is for.</summary>
public enum SessionKind
{
    /// <summary>Statements, in the database of the settings.</summary>
    Sql,

    /// <summary>The log and base backups: only commands of replication are understood.</summary>
    Replication,
}

/// <summary>Connects: tries hosts in their order, and for each with and without encryption as the mode has it.</summary>
static class PostgresConnecting
{
    const int ProtocolVersion = 3 << 16;
    const int VersionMin = 130000;

    /// <summary>The first server that lets us in and is what is wanted. Throws what the last one answered.</summary>
    public static async Task<PostgresConnection> OpenAsync(
        PostgresSettings settings, SessionKind kind, TimeProvider time, CancellationToken cancellationToken)
    {
        for (var i = 0; ; i++)
        {
            try
            {
                return await OpenWithinAsync(settings.Hosts[i], settings, kind, time, cancellationToken);
            }
            catch (PostgresException e) when (i + 1 < settings.Hosts.Count
                && e.SqlState is SqlStates.CannotConnect or SqlStates.NotYet or SqlStates.ConnectionLost)
            {
                // The next one. A server that refuses who we are is an answer, as with libpq.
            }
        }
    }

    static async Task<PostgresConnection> OpenWithinAsync(
        PostgresHost host, PostgresSettings settings, SessionKind kind, TimeProvider time, CancellationToken cancellationToken)
    {
        using var deadline = new CancellationTokenSource(settings.ConnectTimeout ?? Timeout.InfiniteTimeSpan, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(deadline.Token, cancellationToken);
        try
        {
            var connection = await OpenAsync(host, settings, kind, time, either.Token);
            return Unfit(connection, settings.Target) is not { } why
                ? connection
                : throw await RejectAsync(
                    connection, $"server {host} {why}", "Name the other servers too (host=a,b), or leave target_session_attrs out.",
                    SqlStates.CannotConnect);
        }
        catch (OperationCanceledException) when (deadline.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw PostgresErrors.Late(host, settings.ConnectTimeout!.Value);
        }
    }

    static async Task<PostgresConnection> OpenAsync(
        PostgresHost host, PostgresSettings settings, SessionKind kind, TimeProvider time, CancellationToken cancellationToken)
    {
        // A socket never leaves the machine, and the server offers no encryption there.
        var mode = host.IsSocket ? SslMode.Disable : settings.SslMode;
        var wasEncrypted = false;
        try
        {
            return await LogInAsync(encrypt: mode is not (SslMode.Disable or SslMode.Allow), cancellationToken);
        }
        catch (PostgresException e) when (e.SqlState == SqlStates.NotAuthorized
            && (mode == SslMode.Allow || (mode == SslMode.Prefer && wasEncrypted)))
        {
            try
            {
                return await LogInAsync(encrypt: mode == SslMode.Allow, cancellationToken);
            }
            catch (PostgresException second) when (second.SqlState == SqlStates.NotAuthorized)
            {
                // The other way is no better: what was said of the one that is preferred counts.
                throw e;
            }
        }

        async Task<PostgresConnection> LogInAsync(bool encrypt, CancellationToken cancel)
        {
            var stream = await PostgresTransport.ConnectAsync(host, settings, cancel);
            try
            {
                var tls = encrypt ? await PostgresTls.TryEncryptAsync(stream, host, settings, cancel) : null;
                if (encrypt && tls is null && mode >= SslMode.Require)
                {
                    throw PostgresErrors.Refused(
                        $"server {host} offers no encryption, and the settings ask for it",
                        "Set ssl=on with a certificate in postgresql.conf; sslmode=prefer would send everything in clear.");
                }

                wasEncrypted = tls is not null;
                stream = tls ?? stream;
                var connection = new PostgresConnection(
                    new MessageStream(stream, $"{host}", time), host, settings, time) { IsEncrypted = tls is not null };
                return await StartAsync(connection, kind, tls, cancel);
            }
            catch
            {
                await stream.DisposeAsync();
                throw;
            }
        }
    }

    static async Task<PostgresConnection> StartAsync(
        PostgresConnection connection, SessionKind kind, SslStream? tls, CancellationToken cancellationToken)
    {
        var (host, settings) = (connection.Host, connection.Settings);
        await connection.Messages.WriteAsync(0, StartMessage(settings, kind), cancellationToken);
        var login = new PostgresLogin(
            connection.Messages, host, settings, kind == SessionKind.Replication ? "replication" : settings.Database, tls);
        while (true)
        {
            var message = await connection.NextAsync(cancellationToken);
            if (message.Type == (byte)'R')
            {
                if (await login.AnswerAsync(message.Body, cancellationToken))
                {
                    break;
                }
            }
            else if (message.Type != (byte)'v')
            {
                throw connection.Unexpected(message.Type, "the log-in");
            }
        }

        await connection.ReadyAsync(cancellationToken);
        return connection.ServerVersion >= VersionMin
            ? connection
            : throw await RejectAsync(
                connection, $"server {host} is PostgreSQL {connection.Parameters.GetValueOrDefault("server_version", "of no version")}",
                "Version 13 or newer is supported.", SqlStates.ProtocolViolation);
    }

    static byte[] StartMessage(PostgresSettings settings, SessionKind kind)
    {
        List<(string Name, string Value)> parameters =
        [
            ("user", settings.User),
            ("client_encoding", "UTF8"),
            ("application_name", settings.ApplicationName),
            kind == SessionKind.Replication ? ("replication", "true") : ("database", settings.Database),
        ];
        if (settings.Options.Length > 0)
        {
            parameters.Add(("options", settings.Options));
        }

        var text = string.Concat(parameters.Select(item => $"{item.Name}\0{item.Value}\0")) + '\0';
        byte[] body = [0, ProtocolVersion >> 16, 0, 0, .. Encoding.UTF8.GetBytes(text)];
        return body;
    }

    /// <summary>Why it is not the one that is wanted, by what it tells everybody who connects; null where it is.</summary>
    static string? Unfit(PostgresConnection connection, SessionTarget target) =>
        target == SessionTarget.Any ? null
        : connection.Parameters.GetValueOrDefault("in_hot_standby") is not { } standby
            ? "does not say whether it is a primary, which takes version 14"
        : (standby == "on") == (target == SessionTarget.Standby) ? null
        : $"is not a {(target == SessionTarget.Primary ? "primary" : "standby")}";

    static async Task<PostgresException> RejectAsync(PostgresConnection connection, string message, string hint, string sqlState)
    {
        await connection.DisposeAsync();
        return new PostgresException(FailureKind.SourceUnreadable, message, hint, sqlState);
    }
}
