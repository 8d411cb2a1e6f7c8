using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Salvor.Jobs.Config;

namespace Salvor.Jobs.Notify.Smtp;

/// <summary>Hands one mail to a mail server (RFC 5321, with STARTTLS and AUTH).</summary>
static class SmtpMail
{
    const int SaidMax = 200;
    const string HostHint = "Check host, port and tls under 'notifications: { email: .. }'.";

    /// <summary>What went wrong nevertheless, or an empty text. Throws where nobody gets it.</summary>
    public static async Task<string> SendAsync(EmailConfig email, NotifyMessage message, CancellationToken cancellationToken)
    {
        var server = $"{email.Host}:{email.Port}";
        try
        {
            using var connection = await SmtpConnection.OpenAsync(email.Host, email.Port, cancellationToken);
            return await SendAsync(connection, email, message, server, cancellationToken);
        }
        catch (AuthenticationException e)
        {
            throw NotifySender.Failed(
                $"{server} has no certificate that can be trusted: {OneLine(e.Message)}",
                $"Name its authority with 'ca_file', or write the host as its certificate has it. {HostHint}", e);
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            throw NotifySender.Failed($"{server} is not reached: {OneLine(e.Message)}", HostHint, e);
        }
    }

    static async Task<string> SendAsync(
        SmtpConnection connection, EmailConfig email, NotifyMessage message, string server, CancellationToken cancellationToken)
    {
        var extensions = await BeginAsync(connection, email, server, cancellationToken);
        await LogInAsync(connection, email, server, extensions, cancellationToken);
        Expect(await Ask($"MAIL FROM:<{MailText.AddressOf(email.From)}>"), 250, server, "the sender", "Check 'from'.");
        var refused = new List<string>();
        foreach (var recipient in email.To.Select(MailText.AddressOf))
        {
            var reply = await Ask($"RCPT TO:<{recipient}>");
            if (reply.Code / 10 != 25)
            {
                refused.Add($"{recipient} ({reply.Code} {Said(reply)})");
            }
        }

        if (refused.Count == email.To.Count)
        {
            throw NotifySender.Failed($"{server} refuses every recipient: {string.Join(", ", refused)}", "Check 'to'.");
        }

        Expect(await Ask("DATA"), 354, server, "the mail", HostHint);

        // Its lines are headers of ours and base64: none begins with a dot.
        await connection.WriteAsync(MailText.Of(email, message, IdOf(message)) + ".\r\n", cancellationToken);
        Expect(await connection.ReadReplyAsync(cancellationToken), 250, server, "the mail", HostHint);
        await connection.WriteAsync("QUIT\r\n", cancellationToken);
        return refused.Count == 0 ? "" : $"{server} refuses {string.Join(", ", refused)}; the others were told";

        Task<SmtpReply> Ask(string line) => connection.AskAsync(line, cancellationToken);
    }

    /// <summary>Up to where who we are can be said; what the server offers then.</summary>
    static async Task<IReadOnlyList<string>> BeginAsync(
        SmtpConnection connection, EmailConfig email, string server, CancellationToken cancellationToken)
    {
        var roots = email.CaFile is { } file ? ReadRoots(file) : null;
        if (email.Tls == MailTls.Tls)
        {
            await connection.EncryptAsync(email.Host, roots, cancellationToken);
        }

        Expect(await connection.ReadReplyAsync(cancellationToken), 220, server, "connections now", HostHint);
        var greeted = await HelloAsync(connection, server, cancellationToken);
        if (email.Tls != MailTls.StartTls)
        {
            return greeted;
        }

        // Whoever is on the way can take the offer out of the greeting: to go on without it would be to tell them everything.
        if (!greeted.Contains("STARTTLS", StringComparer.OrdinalIgnoreCase))
        {
            throw NotifySender.Failed(
                $"{server} does not offer STARTTLS", "Write 'tls: tls' for a port that is encrypted from the start (465).");
        }

        Expect(await connection.AskAsync("STARTTLS", cancellationToken), 220, server, "STARTTLS", HostHint);
        await connection.EncryptAsync(email.Host, roots, cancellationToken);
        return await HelloAsync(connection, server, cancellationToken);
    }

    static async Task<IReadOnlyList<string>> HelloAsync(SmtpConnection connection, string server, CancellationToken cancellationToken)
    {
        var name = new string([.. Environment.MachineName.Where(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '.')]);
        var reply = await connection.AskAsync($"EHLO {(name.Length > 0 ? name : "localhost")}", cancellationToken);
        Expect(reply, 250, server, "a greeting", HostHint);
        return reply.Lines;
    }

    static async Task LogInAsync(
        SmtpConnection connection, EmailConfig email, string server, IReadOnlyList<string> extensions, CancellationToken cancellationToken)
    {
        if (email is not { Username: { } username, Password.Value: { } password })
        {
            return;
        }

        string[] ways = [.. extensions.Where(line => line.StartsWith("AUTH", StringComparison.OrdinalIgnoreCase))
            .SelectMany(line => line[4..].Split([' ', '='], StringSplitOptions.RemoveEmptyEntries))];
        SmtpReply reply;
        if (ways.Contains("PLAIN", StringComparer.OrdinalIgnoreCase))
        {
            reply = await connection.AskAsync($"AUTH PLAIN {Base64($"\0{username}\0{password}")}", cancellationToken);
        }
        else if (ways.Contains("LOGIN", StringComparer.OrdinalIgnoreCase))
        {
            Expect(await connection.AskAsync("AUTH LOGIN", cancellationToken), 334, server, "a log-in", HostHint);
            Expect(await connection.AskAsync(Base64(username), cancellationToken), 334, server, "the username", "Check 'username'.");
            reply = await connection.AskAsync(Base64(password), cancellationToken);
        }
        else
        {
            throw NotifySender.Failed(
                $"{server} offers no log-in by PLAIN or LOGIN", "Leave username and password out where the server needs none.");
        }

        Expect(
            reply, 235, server, $"the log-in of {username}", "Check 'username' and 'password'; some services want one made for programs.");
    }

    static X509Certificate2Collection ReadRoots(string file)
    {
        try
        {
            var roots = new X509Certificate2Collection();
            roots.ImportFromPemFile(file);
            return roots.Count > 0 ? roots : throw new CryptographicException("it has no certificate in it");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw NotifySender.Failed(
                $"ca_file {file} cannot be read: {OneLine(e.Message)}", "Name a file of certificates in PEM form.", e);
        }
    }

    static void Expect(SmtpReply reply, int code, string server, string what, string hint)
    {
        if (reply.Code != code)
        {
            throw NotifySender.Failed($"{server} refuses {what}: {reply.Code} {Said(reply)}", hint);
        }
    }

    static string Said(SmtpReply reply) => NotifyText.Cut(OneLine(reply.Text), SaidMax);

    static string OneLine(string text) => new([.. text.Select(c => char.IsControl(c) ? ' ' : c)]);

    static string Base64(string text) => Convert.ToBase64String(Encoding.UTF8.GetBytes(text));

    /// <summary>The same for the same message: who gets it twice, because an answer was lost, sees it once.</summary>
    static string IdOf(NotifyMessage message)
    {
        var text = $"{message.At:O} {message.Host} {message.Run} {message.Kind} {message.Source} {message.Text}";
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..32];
    }
}
