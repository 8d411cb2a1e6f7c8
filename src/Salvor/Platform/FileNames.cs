using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace Salvor.Platform;

/// <summary>
/// Names of files as strings, each made once: the same few names change all day long. One set for all directories, because
/// they tend to hold files of the same names. Bounded: when it is full it starts anew.
/// </summary>
sealed class FileNames
{
    internal const int CountMax = 16_384;

    readonly Dictionary<byte[], string> known;
    readonly Dictionary<byte[], string>.AlternateLookup<ReadOnlySpan<byte>> lookup;

    public FileNames()
    {
        known = new(ByteComparer.Instance);
        lookup = known.GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    /// <summary>The name in UTF-8, up to the first zero byte.</summary>
    public string Of(ReadOnlySpan<byte> padded)
    {
        var end = padded.IndexOf((byte)0);
        var bytes = end < 0 ? padded : padded[..end];
        if (bytes.IsEmpty)
        {
            return "";
        }

        if (lookup.TryGetValue(bytes, out var name))
        {
            return name;
        }

        if (known.Count == CountMax)
        {
            known.Clear();
        }

        name = Encoding.UTF8.GetString(bytes);
        known.Add(bytes.ToArray(), name);
        return name;
    }

    sealed class ByteComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public static readonly ByteComparer Instance = new();

        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode([DisallowNull] byte[] obj) => GetHashCode(obj.AsSpan());

        public int GetHashCode(ReadOnlySpan<byte> alternate)
        {
            var hash = new HashCode();
            hash.AddBytes(alternate);
            return hash.ToHashCode();
        }

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}
