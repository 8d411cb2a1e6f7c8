using System.Globalization;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Salvor.Jobs.Notify.Smtp;

/// <summary>An answer of a mail server: a number, and lines of text.</summary>
readonly record struct SmtpReply(int Code, IReadOnlyList<string> Lines)
{
    /// <summary>The last line, for a message.</summary>
    public string Text => Lines.Count == 0 ? "" : Lines[^1];
}

/// <summary>A connection to a mail server: lines out, answers in, each bounded.</summary>
sealed class SmtpConnection : IDisposable
{
    const int LineBytesMax = 2048;
    const int LinesMax = 100;

    readonly TcpClient client;
    readonly byte[] buffer = new byte[LineBytesMax];
    Stream stream;
    int from;
    int to;

    SmtpConnection(TcpClient client) => (this.client, stream) = (client, client.GetStream());

    public static async Task<SmtpConnection> OpenAsync(string host, int port, CancellationToken cancellationToken)
    {
        var client = new TcpClient();
        try
        {
            await client.ConnectAsync(host, port, cancellationToken);
            return new(client);
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <summary>
    /// From here on everything is encrypted. What came before that in clear and is not read yet may be from anybody on the way, who wants
    /// it taken for what the server says under encryption: it is refused.
    /// </summary>
    /// <param name="host">Whose certificate is expected.</param>
    /// <param name="roots">Who may vouch for it; null: those of the system.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public async Task EncryptAsync(string host, X509Certificate2Collection? roots, CancellationToken cancellationToken)
    {
        if (from != to)
        {
            throw new IOException("more was sent in clear than asked for, before the encryption began");
        }

        var encrypted = new SslStream(stream, leaveInnerStreamOpen: false);
        stream = encrypted;
        var options = new SslClientAuthenticationOptions { TargetHost = host };
        if (roots is not null)
        {
            options.CertificateChainPolicy = new X509ChainPolicy
            {
                TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck,
            };
            options.CertificateChainPolicy.CustomTrustStore.AddRange(roots);
        }

        await encrypted.AuthenticateAsClientAsync(options, cancellationToken);
    }

    public async Task<SmtpReply> AskAsync(string line, CancellationToken cancellationToken)
    {
        await WriteAsync($"{line}\r\n", cancellationToken);
        return await ReadReplyAsync(cancellationToken);
    }

    public async Task WriteAsync(string text, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(Encoding.ASCII.GetBytes(text), cancellationToken);
        await stream.FlushAsync(cancellationToken);
    }

    public async Task<SmtpReply> ReadReplyAsync(CancellationToken cancellationToken)
    {
        var lines = new List<string>();
        while (lines.Count < LinesMax)
        {
            var line = await ReadLineAsync(cancellationToken);
            if (line.Length < 3 || !int.TryParse(line.AsSpan(0, 3), NumberStyles.None, CultureInfo.InvariantCulture, out var code))
            {
                throw new IOException("what answers there is no mail server");
            }

            lines.Add(line.Length > 4 ? line[4..] : "");
            if (line.Length == 3 || line[3] != '-')
            {
                return new(code, lines);
            }
        }

        throw new IOException($"the server's answer has more than {LinesMax} lines");
    }

    public void Dispose()
    {
        stream.Dispose();
        client.Dispose();
    }

    async Task<string> ReadLineAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var end = buffer.AsSpan(from, to - from).IndexOf((byte)'\n');
            if (end >= 0)
            {
                var line = Encoding.Latin1.GetString(buffer, from, end).TrimEnd('\r');
                from += end + 1;
                return line;
            }

            buffer.AsSpan(from, to - from).CopyTo(buffer);
            (from, to) = (0, to - from);
            var length = to < buffer.Length
                ? await stream.ReadAsync(buffer.AsMemory(to), cancellationToken)
                : throw new IOException($"a line of the server's answer has more than {LineBytesMax} bytes");
            to += length > 0 ? length : throw new IOException("the server closed the connection");
        }
    }
}
