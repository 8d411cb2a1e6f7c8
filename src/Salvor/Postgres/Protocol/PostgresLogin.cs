using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>Answers what a server asks before it lets us in.</summary>
/// <param name="messages">The connection.</param>
/// <param name="host">The server.</param>
/// <param name="settings">As whom.</param>
/// <param name="database">The database by which the password is looked up.</param>
/// <param name="tls">The encryption; null without.</param>
sealed class PostgresLogin(MessageStream messages, PostgresHost host, PostgresSettings settings, string database, SslStream? tls)
{
    const int BytesInSalt = 4;

    /// <summary>Once true, the server has proved itself, where that was asked for.</summary>
    bool isBound;
    bool isProved;
    Scram? scram;

    /// <summary>Answers one message of authentication. True when we are in.</summary>
    public async Task<bool> AnswerAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
    {
        var (kind, rest) = Open(request);
        switch (kind)
        {
            case 0:
                ExpectProof();
                return true;
            case 3:
                ExpectNoBinding();
                ExpectCover();
                await messages.WriteTextAsync((byte)'p', Password(), cancellationToken);
                return false;
            case 5:
                ExpectNoBinding();
                await messages.WriteTextAsync((byte)'p', Md5(rest.Span), cancellationToken);
                return false;
            case 10:
                await BeginScramAsync(rest, cancellationToken);
                return false;
            case 11 when scram is not null:
                await messages.WriteAsync((byte)'p', scram.Final(rest.Span), cancellationToken);
                return false;
            case 12 when scram is not null:
                isProved = scram.Proves(rest.Span)
                    ? true
                    : throw PostgresErrors.Refused(
                        $"server {host} does not know the password of user {settings.User} itself",
                        "Somebody else answers in its place, or the way to it leads through a pooler. Do not connect there.");
                return false;
            default:
                var name = kind switch { 7 or 8 => "GSSAPI", 9 => "SSPI", _ => $"{kind}" };
                throw PostgresErrors.Refused(
                    $"server {host} asks for a way to log in that is not supported ({name})",
                    "Give this role a line in pg_hba.conf with scram-sha-256, or with cert and sslcert here.");
        }
    }

    (int Kind, ReadOnlyMemory<byte> More) Open(ReadOnlyMemory<byte> request)
    {
        var body = new MessageBody($"{host}", request.Span);
        return (body.I32(), request[4..]);
    }

    async Task BeginScramAsync(ReadOnlyMemory<byte> rest, CancellationToken cancellationToken)
    {
        var offered = Encoding.ASCII.GetString(rest.Span).Split('\0');
        var endPoint = settings.ChannelBinding != ChannelBinding.Disable && tls?.RemoteCertificate is X509Certificate2 certificate
            ? PostgresTls.EndPointOf(certificate)
            : null;
        isBound = endPoint is not null && offered.Contains(Scram.Bound);
        if (!isBound)
        {
            ExpectNoBinding();
        }

        if (!isBound && !offered.Contains(Scram.Plain))
        {
            throw PostgresErrors.Refused(
                $"server {host} offers no way to log in that is supported: {string.Join(", ", offered.Where(name => name.Length > 0))}",
                "Give this role a line in pg_hba.conf with scram-sha-256.");
        }

        // "y" tells the server that binding would have been possible: if somebody on the way took its offer out, it refuses.
        var flag = isBound ? "p=tls-server-end-point,," : endPoint is not null ? "y,," : "n,,";
        scram = new Scram(
            Password(), flag, isBound ? endPoint! : [], Convert.ToBase64String(RandomNumberGenerator.GetBytes(18)), $"{host}");
        var first = scram.First();
        var name = isBound ? Scram.Bound : Scram.Plain;
        var body = new byte[name.Length + 1 + 4 + first.Length];
        Encoding.ASCII.GetBytes(name, body);
        BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(name.Length + 1), first.Length);
        first.CopyTo(body, name.Length + 5);
        await messages.WriteAsync((byte)'p', body, cancellationToken);
    }

    /// <summary>A server that lets us in without what was begun or asked for is not believed.</summary>
    void ExpectProof()
    {
        if (scram is not null && !isProved)
        {
            throw PostgresErrors.Garbled($"{host}", "it ends the log-in before it has proved itself");
        }

        if (scram is null)
        {
            ExpectNoBinding();
        }
    }

    void ExpectNoBinding()
    {
        if (settings.ChannelBinding == ChannelBinding.Require)
        {
            throw PostgresErrors.Refused(
                $"server {host} does not bind the log-in to the encryption, and channel_binding=require asks for that",
                "It takes TLS and a role with a scram-sha-256 password, and the method scram-sha-256 in pg_hba.conf.");
        }
    }

    void ExpectCover()
    {
        if (tls is null && !host.IsSocket)
        {
            throw PostgresErrors.Refused(
                $"server {host} asks for the password of user {settings.User} in clear over a connection that is not encrypted",
                "Use sslmode=verify-full, or the method scram-sha-256 in pg_hba.conf.");
        }
    }

    string Password() => settings.PasswordFor(host, database)?.Value ?? throw new PostgresException(
        FailureKind.SourceUnreadable,
        $"server {host} asks for the password of user {settings.User}, and there is none",
        PostgresErrors.PasswordHint(settings), SqlStates.WrongPassword);

    [SuppressMessage("Security", "CA5351", Justification = "The server has only this of a role whose password was set so.")]
    string Md5(ReadOnlySpan<byte> salt)
    {
        if (salt.Length != BytesInSalt)
        {
            throw PostgresErrors.Garbled($"{host}", "its salt is none");
        }

        var inner = Convert.ToHexStringLower(MD5.HashData(Encoding.UTF8.GetBytes(Password() + settings.User)));
        return "md5" + Convert.ToHexStringLower(MD5.HashData([.. Encoding.ASCII.GetBytes(inner), .. salt]));
    }
}
