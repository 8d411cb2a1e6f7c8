using System.Buffers.Binary;
using System.IO.Pipelines;
using System.Text;
using Salvor.Storage.Sftp;

namespace Salvor.Tests.Support;

/// <summary>A server that says what the test says, byte by byte: one answer after each request, whatever it asks.</summary>
sealed class ScriptedSftpServer : ISftpTransport
{
    readonly Pipe requests = new();
    readonly Pipe answers = new();
    readonly Queue<byte[]> script;

    ScriptedSftpServer(IEnumerable<byte[]> script)
    {
        this.script = new(script);
        _ = AnswerAllAsync();
    }

    public Stream ToServer => requests.Writer.AsStream();

    public Stream FromServer => answers.Reader.AsStream();

    /// <summary>The end that was noticed, or null.</summary>
    public SftpEnd? Noticed { get; private set; }

    /// <summary>
    /// A server that greets as one without extensions, then sends these as the answers to whatever is asked, and then nothing.
    /// </summary>
    public static ScriptedSftpServer Answering(params byte[][] packets) => new([Packet(SftpPacketType.Version, 3), .. packets]);

    /// <summary>A server with another greeting.</summary>
    public static ScriptedSftpServer Saying(byte[] greeting) => new([greeting]);

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
        return noticed;
    }

    async Task AnswerAllAsync()
    {
        var (stream, length) = (requests.Reader.AsStream(), new byte[sizeof(uint)]);
        while (script.TryDequeue(out var answer))
        {
            await stream.ReadExactlyAsync(length);
            await stream.ReadExactlyAsync(new byte[BinaryPrimitives.ReadUInt32BigEndian(length)]);
            await answers.Writer.WriteAsync(answer);
        }
    }
}
