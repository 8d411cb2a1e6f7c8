using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Salvor.Postgres.Protocol;

namespace Salvor.Tests.Support;

/// <summary>A server on loopback that says what a test has it say: other versions, and what no honest server says.</summary>
sealed class ScriptedPostgres : IAsyncDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly Task serving;

    /// <param name="script">What it says on the first connection.</param>
    /// <param name="others">What it says on each after that; null where none is expected.</param>
    public ScriptedPostgres(Func<NetworkStream, Task> script, Func<NetworkStream, Task>? others = null)
    {
        listener.Start();
        serving = ServeAsync(script, others);
    }

    public PostgresSettings Settings(string words = "") => PostgresSettings.Parse(
        $"host=127.0.0.1 port={((IPEndPoint)listener.LocalEndpoint).Port} sslmode=disable user=u password=p {words}",
        new PostgresEnvironment(_ => null));

    /// <summary>A message whose content is made of texts, numbers (big-endian) and bytes.</summary>
    public static byte[] Message(char type, params object[] parts)
    {
        byte[] body = [.. parts.SelectMany(BytesOf)];
        var message = new byte[5 + body.Length];
        message[0] = (byte)type;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), 4 + body.Length);
        body.CopyTo(message, 5);
        return message;
    }

    /// <summary>One row of texts.</summary>
    public static byte[] Rows(string?[] columns, params string?[][] rows) =>
    [
        .. Message('T', [(short)columns.Length, .. columns.SelectMany(name => new object[] { name + "\0", new byte[18] })]),
        .. rows.SelectMany(row => Message('D', [(short)row.Length, .. row.SelectMany(value => value is null
            ? [-1]
            : new object[] { Encoding.UTF8.GetByteCount(value), value })])),
        .. Message('C', "SELECT\0"),
    ];

    public static byte[] Ready => Message('Z', "I");

    /// <summary>Reads one message of the client; its content without type and length.</summary>
    public static async Task<byte[]> ReadAsync(NetworkStream stream, bool hasType = true)
    {
        var header = new byte[hasType ? 5 : 4];
        await stream.ReadExactlyAsync(header);
        var body = new byte[BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(header.Length - 4)) - 4];
        await stream.ReadExactlyAsync(body);
        return body;
    }

    /// <summary>Lets anybody in, as a server of this version.</summary>
    public static async Task WelcomeAsync(NetworkStream stream, string version)
    {
        await ReadAsync(stream, hasType: false);
        await stream.WriteAsync((byte[])[.. Message('R', 0), .. Message('S', "server_version\0", version + "\0"), .. Ready]);
    }

    public async ValueTask DisposeAsync()
    {
        listener.Stop();
        listener.Dispose();
        try
        {
            await serving;
        }
        catch (Exception e) when (e is SocketException or IOException or InvalidOperationException)
        {
            // The client hung up, which is what many tests are about.
        }
    }

    async Task ServeAsync(Func<NetworkStream, Task> script, Func<NetworkStream, Task>? others)
    {
        using var client = await listener.AcceptTcpClientAsync();
        var beside = others is null ? Task.CompletedTask : ServeOthersAsync(others);
        await using var stream = client.GetStream();
        await script(stream);

        // Until the client hangs up: an end of the connection would be an answer.
        await stream.CopyToAsync(Stream.Null);
        await beside;
    }

    async Task ServeOthersAsync(Func<NetworkStream, Task> script)
    {
        while (true)
        {
            using var client = await listener.AcceptTcpClientAsync();
            await using var stream = client.GetStream();
            await script(stream);
            await stream.CopyToAsync(Stream.Null);
        }
    }

    static byte[] BytesOf(object part) => part switch
    {
        string text => Encoding.UTF8.GetBytes(text),
        byte[] bytes => bytes,
        short number => [(byte)(number >> 8), (byte)number],
        int number => [(byte)(number >> 24), (byte)(number >> 16), (byte)(number >> 8), (byte)number],
        long number => [.. BytesOf((int)(number >> 32)), .. BytesOf((int)number)],
        _ => throw new ArgumentException($"{part.GetType()}"),
    };
}
