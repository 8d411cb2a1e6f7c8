using System.Buffers.Binary;
using System.IO.Compression;

namespace Salvor.Vault.Format;

/// <summary>
/// One gzip member (RFC 1952) without optional fields in its header: header (10 bytes) | deflate stream | CRC-32 and length of the content
/// (4 each). The platform's own reader takes several members, and anything after them, for one: here there is one way to say a content.
/// </summary>
static unsafe class GzipMember
{
    const int HeaderBytes = 10;
    const int TrailerBytes = 8;

    /// <summary>Two magic bytes, the method deflate, and no flags. What follows (time, effort, system) says nothing of it.</summary>
    static ReadOnlySpan<byte> Start => [0x1F, 0x8B, 8, 0];

    /// <summary>Writes one into <paramref name="target"/>; null where it does not fit.</summary>
    /// <param name="level">1 to 9, as zlib has them.</param>
    public static int? Write(ReadOnlySpan<byte> content, Span<byte> target, int level)
    {
        fixed (byte* start = target)
        {
            using var sink = new Sink(start, target.Length);
            using (var gzip = new GZipStream(sink, new ZLibCompressionOptions { CompressionLevel = level }, leaveOpen: true))
            {
                gzip.Write(content);
            }

            return sink.Fits ? (int)sink.Length : null;
        }
    }

    /// <summary>
    /// Reads one that is all of <paramref name="stored"/> and whose content fills <paramref name="target"/>; false where it is not that.
    /// </summary>
    public static bool TryRead(ReadOnlySpan<byte> stored, Span<byte> target)
    {
        if (stored.Length < HeaderBytes + TrailerBytes || !stored.StartsWith(Start))
        {
            return false;
        }

        var trailer = stored[^TrailerBytes..];
        return BinaryPrimitives.ReadUInt32LittleEndian(trailer[4..]) == (uint)target.Length
            && TryInflate(stored[HeaderBytes..^TrailerBytes], target)
            && Crc32.Of(target) == BinaryPrimitives.ReadUInt32LittleEndian(trailer);
    }

    static bool TryInflate(ReadOnlySpan<byte> deflated, Span<byte> target)
    {
        fixed (byte* start = deflated)
        {
            using var source = new Source(start, deflated.Length);
            using var inflating = new DeflateStream(source, CompressionMode.Decompress);
            try
            {
                return inflating.ReadAtLeast(target, target.Length, throwOnEndOfStream: false) == target.Length
                    && inflating.ReadByte() < 0
                    && source.WasUsedExactly;
            }
            catch (InvalidDataException)
            {
                return false;
            }
        }
    }

    /// <summary>
    /// Memory as a stream that knows whether its reader needed all of it and no more. A <see cref="DeflateStream"/> says neither where the
    /// end was nor that it was missing; but it reads on only until it saw the end, so the last byte is handed out by itself.
    /// </summary>
    sealed class Source(byte* start, int length) : ForwardStream
    {
        int position;
        bool wasAskedForMore;

        public bool WasUsedExactly => position == length && !wasAskedForMore;

        public override bool CanRead => true;

        public override int Read(Span<byte> buffer)
        {
            var rest = length - position;
            wasAskedForMore |= rest == 0;
            var count = Math.Min(buffer.Length, rest > 1 ? rest - 1 : rest);
            new ReadOnlySpan<byte>(start + position, count).CopyTo(buffer);
            position += count;
            return count;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    }

    /// <summary>Memory to write to. What does not fit is dropped, and known: content that does not shrink is no failure.</summary>
    sealed class Sink(byte* start, int room) : ForwardStream
    {
        long written;

        public bool Fits => written <= room;

        public override bool CanWrite => true;

        public override long Length => written;

        public override void Write(ReadOnlySpan<byte> buffer)
        {
            if (written + buffer.Length <= room)
            {
                buffer.CopyTo(new Span<byte>(start + written, buffer.Length));
            }

            written += buffer.Length;
        }

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
    }

    abstract class ForwardStream : Stream
    {
        public override bool CanRead => false;

        public override bool CanWrite => false;

        public override bool CanSeek => false;

        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush()
        {
        }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
