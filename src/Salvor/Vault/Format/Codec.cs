using Salvor.Platform;

namespace Salvor.Vault.Format;

/// <summary>How a frame's content is stored. The value is part of the format.</summary>
public enum Codec : byte
{
    None = 0,
    Zstd = 1,
}

/// <summary>
/// Compresses and decompresses frames with one zstd context per thread, because making a context costs more than a small frame.
/// </summary>
static unsafe class Compression
{
    /// <summary>Level 1: see docs/decisions, the bench of backup and restore speed against size.</summary>
    const int Level = 1;

    [ThreadStatic]
    static Contexts? contexts;

    /// <summary>The room that <see cref="Compress"/> may need.</summary>
    public static int Bound(int length) => (int)LibZstd.CompressBound((nuint)length);

    /// <summary>Compresses into <paramref name="target"/>; null where that would not save anything.</summary>
    public static int? Compress(ReadOnlySpan<byte> content, Span<byte> target)
    {
        fixed (byte* source = content, stored = target)
        {
            var size = LibZstd.Compress(
                (contexts ??= new()).Compressor, stored, (nuint)target.Length, source, (nuint)content.Length, Level);
            return LibZstd.IsError(size) != 0 || (int)size >= content.Length ? null : (int)size;
        }
    }

    /// <summary>Decompresses exactly <paramref name="target"/>; false where the stored bytes are not that.</summary>
    public static bool Decompress(Codec codec, ReadOnlySpan<byte> stored, Span<byte> target)
    {
        switch (codec)
        {
            case Codec.None:
                return stored.Length == target.Length && stored.TryCopyTo(target);
            case Codec.Zstd:
                fixed (byte* source = stored, content = target)
                {
                    var size = LibZstd.Decompress(
                        (contexts ??= new()).Decompressor, content, (nuint)target.Length, source, (nuint)stored.Length);
                    return LibZstd.IsError(size) == 0 && size == (nuint)target.Length;
                }

            default:
                return false;
        }
    }

    sealed class Contexts
    {
        public readonly nint Compressor = LibZstd.CreateCompressor();
        public readonly nint Decompressor = LibZstd.CreateDecompressor();

        ~Contexts()
        {
            _ = LibZstd.FreeCompressor(Compressor);
            _ = LibZstd.FreeDecompressor(Decompressor);
        }
    }
}
