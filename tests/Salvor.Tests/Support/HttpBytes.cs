using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace Salvor.Tests.Support;

/// <summary>A request or an answer, byte for byte.</summary>
sealed record HttpMessage(byte[] Bytes, int BodyAt)
{
    public string FirstLine => Head[..Head.IndexOf("\r\n", StringComparison.Ordinal)];

    string Head => Encoding.Latin1.GetString(Bytes, 0, BodyAt);

    /// <summary>Null where there is no such header.</summary>
    public string? Header(string name) => HeaderIn(Head, name);

    public static string? HeaderIn(string head, string name) => head.Split("\r\n").Skip(1)
        .Where(line => line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase))
        .Select(line => line[(name.Length + 1)..].Trim()).FirstOrDefault();

    /// <summary>The bytes with another value of a header, which is added where it was not there.</summary>
    public byte[] WithHeader(string name, string value)
    {
        var lines = Head.TrimEnd().Split("\r\n").Where(line => !line.StartsWith(name + ":", StringComparison.OrdinalIgnoreCase));
        var head = string.Join("\r\n", lines) + $"\r\n{name}: {value}\r\n\r\n";
        return [.. Encoding.Latin1.GetBytes(head), .. Bytes.AsSpan(BodyAt)];
    }
}

/// <summary>Reads whole messages of HTTP/1.1 from a connection: as far as where they end, no further.</summary>
sealed class HttpBytes(Socket socket, CancellationToken cancellationToken)
{
    byte[] buffer = new byte[64 * 1024];
    int length;

    public async Task WriteAsync(ReadOnlyMemory<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
        }
    }

    /// <summary>Ends the connection so that the other side sees a reset.</summary>
    public void Reset()
    {
        socket.LingerState = new(enable: true, seconds: 0);
        socket.Close();
    }

    /// <param name="isHead">Whether it is the answer to a request for the head alone, which says how long a body would be.</param>
    /// <returns>The next message; null where the connection ended before it.</returns>
    public async Task<HttpMessage?> ReadAsync(bool isHead)
    {
        int bodyAt;
        while ((bodyAt = EndOfHead()) < 0)
        {
            if (!await FillAsync())
            {
                return null;
            }
        }

        var head = Encoding.Latin1.GetString(buffer, 0, bodyAt);
        if (HttpMessage.HeaderIn(head, "Expect") == "100-continue")
        {
            await WriteAsync("HTTP/1.1 100 Continue\r\n\r\n"u8.ToArray());
        }

        var hasNoBody = isHead || head.StartsWith("HTTP/1.1 100", StringComparison.Ordinal)
            || head.StartsWith("HTTP/1.1 204", StringComparison.Ordinal) || head.StartsWith("HTTP/1.1 304", StringComparison.Ordinal);
        var end = hasNoBody ? bodyAt
            : HttpMessage.HeaderIn(head, "Transfer-Encoding") == "chunked" ? await EndOfChunksAsync(bodyAt)
            : bodyAt + int.Parse(HttpMessage.HeaderIn(head, "Content-Length") ?? "0", CultureInfo.InvariantCulture);
        await FillToAsync(end);
        var message = new HttpMessage(buffer[..end], bodyAt);
        buffer.AsSpan(end, length - end).CopyTo(buffer);
        length -= end;
        return message;
    }

    int EndOfHead() => buffer.AsSpan(0, length).IndexOf("\r\n\r\n"u8) is >= 0 and var at ? at + 4 : -1;

    async Task<int> EndOfChunksAsync(int at)
    {
        while (true)
        {
            int line;
            while ((line = buffer.AsSpan(at, length - at).IndexOf("\r\n"u8)) < 0)
            {
                await FillToAsync(length + 1);
            }

            var text = Encoding.Latin1.GetString(buffer, at, line).Split(';')[0];
            var size = int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

            // The size with its line end, the chunk with its own; the last has no bytes.
            at += line + 2 + size + 2;
            await FillToAsync(at);
            if (size == 0)
            {
                return at;
            }
        }
    }

    async Task FillToAsync(int end)
    {
        while (length < end)
        {
            if (!await FillAsync())
            {
                throw new IOException("the connection ended within a message");
            }
        }
    }

    async Task<bool> FillAsync()
    {
        if (length == buffer.Length)
        {
            Array.Resize(ref buffer, 2 * buffer.Length);
        }

        var read = await socket.ReceiveAsync(buffer.AsMemory(length), cancellationToken);
        length += read;
        return read > 0;
    }
}
