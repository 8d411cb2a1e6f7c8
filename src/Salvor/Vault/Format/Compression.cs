using System.Collections.Concurrent;
using Salvor.Platform;

namespace Salvor.Vault.Format;

/// <summary>
/// Compresses and decompresses frames. A zstd context takes a megabyte or more and longer to make than a small frame takes to compress, so
/// a few are kept, as many as there are processors.
/// </summary>
static unsafe class Compression
{
    static readonly ContextPool Compressors = new(LibZstd.CreateCompressor, LibZstd.FreeCompressor);
    static readonly ContextPool Decompressors = new(LibZstd.CreateDecompressor, LibZstd.FreeDecompressor);

    /// <summary>The room to give to <see cref="Compress"/>: with that, zstd need not look whether it is at the end of it.</summary>
    public static int Bound(int length) => (int)LibZstd.CompressBound((nuint)length);

    /// <summary>Compresses into <paramref name="target"/>; null where that would not save anything.</summary>
    public static int? Compress(FrameCompression how, ReadOnlySpan<byte> content, Span<byte> target)
    {
        var size = how.Codec switch
        {
            Codec.Zstd => CompressZstd(content, target, how.Level),
            Codec.Lz4 => CompressLz4(content, target),
            Codec.Gzip => GzipMember.Write(content, target, how.Level),
            _ => null,
        };
        return size < content.Length ? size : null;
    }

    /// <summary>
    /// Decompresses exactly <paramref name="target"/>, from all of the stored bytes; false where they are not that. What is written into
    /// the target then is of no use.
    /// </summary>
    public static bool Decompress(Codec codec, ReadOnlySpan<byte> stored, Span<byte> target) => codec switch
    {
        Codec.None => stored.Length == target.Length && stored.TryCopyTo(target),
        Codec.Zstd => DecompressZstd(stored, target),
        Codec.Lz4 => DecompressLz4(stored, target),
        Codec.Gzip => GzipMember.TryRead(stored, target),
        _ => false,
    };

    /// <summary>Throws where this machine lacks what a codec needs.</summary>
    public static void ExpectAvailable(Codec codec)
    {
        if (codec == Codec.Lz4 && !LibLz4.IsAvailable)
        {
            throw Lz4Missing();
        }
    }

    /// <summary>Not the vault's fault: no other copy of the frame could be read either.</summary>
    internal static SalvorException Lz4Missing() => new(
        FailureKind.Failure,
        "liblz4.so.1 is not installed, and frames compressed with lz4 need it",
        "Install it: 'apt-get install liblz4-1', or what your system calls it. All other codecs do without.");

    static int? CompressZstd(ReadOnlySpan<byte> content, Span<byte> target, int level)
    {
        var context = Compressors.Take();
        try
        {
            fixed (byte* source = content, stored = target)
            {
                var size = LibZstd.Compress(context, stored, (nuint)target.Length, source, (nuint)content.Length, level);
                return LibZstd.IsError(size) != 0 ? null : (int)size;
            }
        }
        finally
        {
            Compressors.Return(context);
        }
    }

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

    static int? CompressLz4(ReadOnlySpan<byte> content, Span<byte> target)
    {
        ExpectAvailable(Codec.Lz4);
        fixed (byte* source = content, stored = target)
        {
            return LibLz4.Compress(source, stored, content.Length, target.Length) is > 0 and var size ? size : null;
        }
    }

    /// <summary>A block does not say how long its content is, nor where it ends: both are given, and have to fit.</summary>
    static bool DecompressLz4(ReadOnlySpan<byte> stored, Span<byte> target)
    {
        ExpectAvailable(Codec.Lz4);
        fixed (byte* source = stored, content = target)
        {
            return LibLz4.Decompress(source, content, stored.Length, target.Length) == target.Length;
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
