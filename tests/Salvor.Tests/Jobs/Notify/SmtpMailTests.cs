using System.Net;
using System.Net.Sockets;
using System.Text;
using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Notify;

public sealed class SmtpMailTests(MailServer server) : IClassFixture<MailServer>
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Mail_goes_encrypted_after_a_log_in_and_says_what_happened()
    {
        await SendAsync(Email(server.StartTlsPort), Messages.Failure("lager-größe") with { Log = [".", "From me"] });

        var mail = await server.MailAsync("lager-größe");
        Assert.Equal("[ALERT] salvor: lager-größe backs off", mail.GetProperty("subject").GetString());
        Assert.Equal("salvor@example.com", mail.GetProperty("from").GetString());
        Assert.Equal(["ops@example.com", "more@example.com"], mail.GetProperty("to").EnumerateArray().Select(item => item.GetString()));
        Assert.True(mail.GetProperty("encrypted").GetBoolean());
        Assert.True(mail.GetProperty("logged_in").GetBoolean());
        Assert.Empty(mail.GetProperty("defects").EnumerateArray());
        Assert.Equal("auto-generated", mail.GetProperty("headers").GetProperty("auto-submitted").GetString());
        Assert.Equal(
            """
            lager-größe backs off: "disk" is full

            What to do: Free some room.

            source:       lager-größe
            destination:  offsite
            event:        failure (backing_off)
            since:        2026-08-01T10:25:00Z
            time:         2026-08-01T10:30:00Z
            host:         web1
            run:          pid 7 since 2026-08-01T10:00:00Z

            The last 2 line(s) of the log:
              .
              From me

            """,
            mail.GetProperty("body").GetString()!.ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task A_port_that_is_encrypted_from_the_start_needs_no_STARTTLS()
    {
        await SendAsync(Email(server.TlsPort) with { Tls = MailTls.Tls, Username = null, Password = null }, Messages.Failure("by-tls"));

        Assert.True((await server.MailAsync("by-tls")).GetProperty("encrypted").GetBoolean());
    }

    [Fact]
    public async Task A_long_subject_that_is_not_ASCII_arrives_whole()
    {
        var what = string.Concat(Enumerable.Repeat("größer 🦉 ", 12)).Trim();
        await SendAsync(Plain(), Messages.Failure("long") with { What = what });

        Assert.Equal($"[ALERT] salvor: long {what}", (await server.MailAsync("long")).GetProperty("subject").GetString());
    }

    [Fact]
    public async Task A_wrong_password_is_said_without_the_password()
    {
        var e = await FailsAsync(Email(server.StartTlsPort) with { Password = new SecretText("wrong secret") });

        Assert.StartsWith($"localhost:{server.StartTlsPort} refuses the log-in of salvor: 535 ", e.Message, StringComparison.Ordinal);
        Assert.Equal("Check 'username' and 'password'; some services want one made for programs.", e.Hint);
        Assert.DoesNotContain("secret", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_certificate_that_nobody_vouches_for_is_refused()
    {
        var e = await FailsAsync(Email(server.StartTlsPort) with { CaFile = null });

        Assert.StartsWith($"localhost:{server.StartTlsPort} has no certificate that can be trusted: ", e.Message, StringComparison.Ordinal);
        Assert.StartsWith("Name its authority with 'ca_file'", e.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_certificate_of_another_name_is_refused()
    {
        var e = await FailsAsync(Email(server.StartTlsPort) with { Host = "127.0.0.1" });

        Assert.Contains("has no certificate that can be trusted", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_whose_greeting_lacks_STARTTLS_is_not_told_anything()
    {
        var e = await FailsAsync(Email(server.PlainPort));

        Assert.Equal($"localhost:{server.PlainPort} does not offer STARTTLS", e.Message);
    }

    [Fact]
    public async Task What_somebody_puts_before_the_encryption_is_not_taken_for_what_the_server_said()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = SpeakAsync(listener, "220 hello", "250-hello\r\n250 STARTTLS", "220 go on\r\n250-hello\r\n250 AUTH PLAIN");

        var e = await FailsAsync(Email(((IPEndPoint)listener.LocalEndpoint).Port));

        Assert.Contains("more was sent in clear than asked for, before the encryption began", e.Message, StringComparison.Ordinal);
        await serving;
    }

    [Fact]
    public async Task What_is_no_mail_server_is_named()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = SpeakAsync(listener, "SSH-2.0-OpenSSH_9.2");

        var e = await FailsAsync(Email(((IPEndPoint)listener.LocalEndpoint).Port));

        Assert.Contains("what answers there is no mail server", e.Message, StringComparison.Ordinal);
        await serving;
    }

    [Fact]
    public async Task A_recipient_that_is_refused_is_said_and_the_others_are_told()
    {
        var said = await SendAsync(Plain() with { To = ["refused@example.com", "ops@example.com"] }, Messages.Failure("partly"));

        Assert.Equal(
            $"localhost:{server.PlainPort} refuses refused@example.com (550 no such user here); the others were told", said);
        Assert.Equal("ops@example.com", Assert.Single((await server.MailAsync("partly")).GetProperty("to").EnumerateArray()).GetString());
        var e = await FailsAsync(Plain() with { To = ["refused@example.com"] });
        Assert.Equal($"localhost:{server.PlainPort} refuses every recipient: refused@example.com (550 no such user here)", e.Message);
    }

    [Fact]
    public async Task Nobody_there_is_said()
    {
        var e = await FailsAsync(Email(1));

        Assert.StartsWith("localhost:1 is not reached: ", e.Message, StringComparison.Ordinal);
        Assert.Equal(FailureKind.DestinationUnreachable, e.Kind);
    }

    EmailConfig Plain() => Email(server.PlainPort) with { Tls = MailTls.None, Username = null, Password = null };

    EmailConfig Email(int port) => new()
    {
        Name = "email",
        Host = "localhost",
        Port = port,
        Tls = MailTls.StartTls,
        CaFile = server.CertificateFile,
        Username = MailServer.User,
        Password = new SecretText(MailServer.Password),
        From = "Salvor <salvor@example.com>",
        To = ["ops@example.com", "Somebody Else <more@example.com>"],
    };

    static Task<string> SendAsync(EmailConfig email, NotifyMessage message) =>
        NotifySender.SendAsync(email, message, TimeProvider.System, Limit, TestContext.Current.CancellationToken);

    static Task<SalvorException> FailsAsync(EmailConfig email) =>
        Assert.ThrowsAsync<SalvorException>(() => SendAsync(email, Messages.Failure("never")));

    /// <summary>Says these lines, each but the first after one of the other side.</summary>
    static async Task SpeakAsync(TcpListener listener, params string[] lines)
    {
        using var socket = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken);
        foreach (var (index, line) in lines.Index())
        {
            if (index > 0)
            {
                await socket.ReceiveAsync(new byte[1024], TestContext.Current.CancellationToken);
            }

            await socket.SendAsync(Encoding.ASCII.GetBytes(line + "\r\n"), TestContext.Current.CancellationToken);
        }

        await socket.ReceiveAsync(new byte[1024], TestContext.Current.CancellationToken);
    }
}
