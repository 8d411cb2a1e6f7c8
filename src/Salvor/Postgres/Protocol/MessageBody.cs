using System.Buffers.Binary;
using System.Text;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Protocol;

/// <summary>Reads the fields of a message. What does not fit into it is a breach of the protocol.</summary>
/// <param name="place">The server, for messages.</param>
/// <param name="body">The message behind its length.</param>
ref struct MessageBody(string place, ReadOnlySpan<byte> body)
{
    ReadOnlySpan<byte> rest = body;

    /// <summary>What is not read yet.</summary>
    public readonly ReadOnlySpan<byte> Rest => rest;

    public byte U8() => Take(1)[0];

    public short I16() => BinaryPrimitives.ReadInt16BigEndian(Take(2));

    public int I32() => BinaryPrimitives.ReadInt32BigEndian(Take(4));

    public long I64() => BinaryPrimitives.ReadInt64BigEndian(Take(8));

    public Lsn Lsn() => new((ulong)I64());

    /// <summary>A text that ends with a zero.</summary>
    public string Text()
    {
        var end = rest.IndexOf((byte)0);
        var text = Encoding.UTF8.GetString(Take(end < 0 ? rest.Length + 1 : end));
        Take(1);
        return text;
    }

    public ReadOnlySpan<byte> Take(int count)
    {
        if (count < 0 || count > rest.Length)
        {
            throw PostgresErrors.Garbled(place, "a message is shorter than what it has to hold");
        }

        var taken = rest[..count];
        rest = rest[count..];
        return taken;
    }
}
