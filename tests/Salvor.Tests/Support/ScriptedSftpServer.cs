using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Text;
using Salvor.Storage.Sftp;

namespace Salvor.Tests.Support;

/// <summary>A server that says what the test says, byte by byte, and takes whatever it is sent.</summary>
sealed class ScriptedSftpServer : ISftpTransport
{
    static readonly byte[] Greeting = Packet(SftpPacketType.Version, 3);

    readonly Pipe requests = new();
    readonly Pipe answers = new();

    public Stream ToServer => requests.Writer.AsStream();

    public Stream FromServer => answers.Reader.AsStream();

    /// <summary>The end that was noticed, or null.</summary>
    public SftpEnd? Noticed { get; private set; }

    /// <summary>A server that greets as one without extensions, and then sends this as the answer to whatever is asked first.</summary>
    public static ScriptedSftpServer Answering(params byte[][] packets)
    {
        var server = new ScriptedSftpServer();
        server.Say(Greeting);
        foreach (var packet in packets)
        {
            server.Say(packet);
        }

        return server;
    }

    public static ScriptedSftpServer Saying(byte[] greeting)
    {
        var server = new ScriptedSftpServer();
        server.Say(greeting);
        return server;
    }

    /// <summary>A packet: type, then numbers and texts as the protocol has them.</summary>
    public static byte[] Packet(SftpPacketType type, params object[] fields)
    {
        var bytes = new List<byte> { (byte)type };
        foreach (var field in fields)
        {
            var text = field switch { string s => Encoding.UTF8.GetBytes(s), byte[] raw => raw, _ => null };
            var number = new byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32BigEndian(number, text is null ? Convert.ToUInt32(field) : (uint)text.Length);
            bytes.AddRange([.. number, .. text ?? []]);
        }

        var length = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32BigEndian(length, (uint)bytes.Count);
        return [.. length, .. bytes];
    }

    public async Task<SftpEnd> EndAsync(SftpEnd noticed)
    {
        Noticed = noticed;
        await answers.Writer.CompleteAsync();
        await requests.Reader.CompleteAsync();
        return noticed;
    }

    void Say(byte[] bytes)
    {
        answers.Writer.WriteAsync(bytes).AsTask().GetAwaiter().GetResult();
    }
}
