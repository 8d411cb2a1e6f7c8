using System.Collections.Concurrent;
using Salvor.Platform;

namespace Salvor.Vault.Format;

/// <summary>How a frame's content is stored. The value is part of the format.</summary>
public enum Codec : byte
{
    None = 0,
    Zstd = 1,
}

/// <summary>
/// Compresses and decompresses frames. A zstd context takes a megabyte or more and longer to make than a small frame takes to compress, so
/// a few are kept, as many as there are processors.
/// </summary>
static unsafe class Compression
{
    /// <summary>Level 1: see docs/decisions, the bench of backup and restore speed against size.</summary>
    const int Level = 1;

    static readonly ContextPool Compressors = new(LibZstd.CreateCompressor, LibZstd.FreeCompressor);
    static readonly ContextPool Decompressors = new(LibZstd.CreateDecompressor, LibZstd.FreeDecompressor);

    /// <summary>The room that <see cref="Compress"/> may need.</summary>
    public static int Bound(int length) => (int)LibZstd.CompressBound((nuint)length);

    /// <summary>Compresses into <paramref name="target"/>; null where that would not save anything.</summary>
    public static int? Compress(ReadOnlySpan<byte> content, Span<byte> target)
    {
        var context = Compressors.Take();
        try
        {
            fixed (byte* source = content, stored = target)
            {
                var size = LibZstd.Compress(context, stored, (nuint)target.Length, source, (nuint)content.Length, Level);
                return LibZstd.IsError(size) != 0 || (int)size >= content.Length ? null : (int)size;
            }
        }
        finally
        {
            Compressors.Return(context);
        }
    }

    /// <summary>Decompresses exactly <paramref name="target"/>; false where the stored bytes are not that.</summary>
    public static bool Decompress(Codec codec, ReadOnlySpan<byte> stored, Span<byte> target) => codec switch
    {
        Codec.None => stored.Length == target.Length && stored.TryCopyTo(target),
        Codec.Zstd => DecompressZstd(stored, target),
        _ => false,
    };

    static bool DecompressZstd(ReadOnlySpan<byte> stored, Span<byte> target)
    {
        var context = Decompressors.Take();
        try
        {
            fixed (byte* source = stored, content = target)
            {
                // More than one would be more than one way to say the same.
                if (LibZstd.FindFrameCompressedSize(source, (nuint)stored.Length) != (nuint)stored.Length)
                {
                    return false;
                }

                var size = LibZstd.Decompress(context, content, (nuint)target.Length, source, (nuint)stored.Length);
                return LibZstd.IsError(size) == 0 && size == (nuint)target.Length;
            }
        }
        finally
        {
            Decompressors.Return(context);
        }
    }

    sealed class ContextPool(Func<nint> create, Func<nint, nuint> free)
    {
        readonly ConcurrentQueue<nint> idle = new();

        public nint Take()
        {
            if (idle.TryDequeue(out var context))
            {
                return context;
            }

            context = create();
            Invariant.Check(context != 0);
            return context;
        }

        public void Return(nint context)
        {
            if (idle.Count < Environment.ProcessorCount)
            {
                idle.Enqueue(context);
            }
            else
            {
                _ = free(context);
            }
        }
    }
}
