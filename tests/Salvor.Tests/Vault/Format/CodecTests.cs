using System.Buffers.Binary;
using System.IO.Compression;
using Salvor.Tests.Support;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault.Format;

/// <summary>
/// What goes through a codec comes back, and what comes from a vault is that or refused: of exactly its length, with nothing after it, and
/// without a byte written outside of the room for it.
/// </summary>
public sealed class CodecTests
{
    const int GuardBytes = 64;
    const byte Guard = 0xA5;
    const int MutationsPerCodec = 20_000;

    static readonly Codec[] Packed = [Codec.Zstd, Codec.Lz4, Codec.Gzip];

    public static TheoryData<string> Ways => [.. Compressions.All.Select(way => way.ToString())];

    public static TheoryData<string> PackedWays =>
        [.. Compressions.All.Where(way => way.Codec != Codec.None).Select(way => way.ToString())];

    [Theory]
    [MemberData(nameof(Ways))]
    public void What_is_sealed_comes_back(string way)
    {
        var random = new Random(TestSeed.Take());
        int[] lengths = [0, 1, 2, 15, 16, 17, 100, 4096, 65535, 65536, 65537, 300_000, SealedFrame.ContentBytesMax];
        foreach (var length in lengths.Concat(random.GetItems([.. Enumerable.Range(0, 20_000)], 20)))
        {
            foreach (var kind in Enum.GetValues<ContentKind>())
            {
                var content = Content(random, length, kind);
                var frame = SealedFrame.Seal(content, Compressions.Of(way));
                var target = new byte[length];
                Assert.True(Compression.Decompress(frame.Codec, frame.Stored, target), $"{way}: {length} bytes, {kind}");
                Assert.Equal(content, target);
                Assert.True(frame.Stored.Length <= length, $"{way}: {length} bytes, {kind} grew");
                frame.Release();
            }
        }
    }

    [Theory]
    [MemberData(nameof(PackedWays))]
    public void What_does_not_compress_is_stored_as_it_is(string way)
    {
        var random = new Random(1);
        foreach (var length in (int[])[1, 4096, SealedFrame.ContentBytesMax])
        {
            var noise = SealedFrame.Seal(Content(random, length, ContentKind.Noise), Compressions.Of(way));
            Assert.Equal((Codec.None, length, length), (noise.Codec, noise.Stored.Length, noise.ContentBytes));
            noise.Release();
        }

        var zeros = SealedFrame.Seal(new byte[4096], Compressions.Of(way));
        Assert.Equal((Compressions.Of(way).Codec, 4096), (zeros.Codec, zeros.ContentBytes));
        Assert.True(zeros.Stored.Length < 64);
        zeros.Release();
    }

    [Fact]
    public void A_higher_level_is_smaller()
    {
        var content = Content(new Random(1), SealedFrame.ContentBytesMax, ContentKind.Words);
        int SizeOf(string way) => Compression.Compress(Compressions.Of(way), content, new byte[2 * content.Length])!.Value;

        Assert.True(SizeOf("zstd:19") < SizeOf("zstd:1"), "zstd");
        Assert.True(SizeOf("gzip:9") < SizeOf("gzip:1"), "gzip");
        Assert.Equal(SizeOf("gzip:6"), SizeOf("gzip"));
        Assert.Equal(SizeOf("zstd:1"), SizeOf("true"));
    }

    [Fact]
    public void A_frame_is_all_that_is_stored_and_all_of_the_content()
    {
        foreach (var codec in Packed)
        {
            var content = Content(new Random(2), 5000, ContentKind.Words);
            var (good, empty) = (Pack(codec, content), Pack(codec, []));
            (string What, byte[] Stored, int Length)[] wrong =
            [
                ("a byte less", good[..^1], 5000), ("a byte more", [.. good, 0], 5000), ("a tail", [.. good, .. good], 5000),
                ("none before", [.. empty, .. good], 5000), ("none after", [.. good, .. empty], 5000), ("nothing", [], 5000),
                ("two halves", [.. Pack(codec, content[..2500]), .. Pack(codec, content[2500..])], 5000),
                ("a shorter content", good, 5001), ("a longer content", good, 4999), ("no content", good, 0),
            ];
            Assert.True(Decompresses(codec, good, 5000, out var found));
            Assert.Equal(content, found);
            Assert.True(Decompresses(codec, empty, 0, out _), $"{codec}: nothing at all");
            foreach (var (what, stored, length) in wrong)
            {
                Assert.False(Decompresses(codec, stored, length, out _), $"{codec}: {what}");
            }
        }
    }

    [Fact]
    public void A_member_of_gzip_has_no_optional_fields_and_a_trailer_that_fits()
    {
        var content = Content(new Random(3), 5000, ContentKind.Words);
        var good = Pack(Codec.Gzip, content);
        byte[] Changed(int at, int change) => Forge.Change(good, copy => copy[at < 0 ? copy.Length + at : at] ^= (byte)change);

        foreach (var at in (int[])[4, 5, 6, 7, 8, 9])
        {
            Assert.True(Decompresses(Codec.Gzip, Changed(at, 255), 5000, out _), $"header byte {at} says nothing of the content");
        }

        foreach (var at in (int[])[0, 1, 2, 3, -8, -5, -4, -1])
        {
            Assert.False(Decompresses(Codec.Gzip, Changed(at, 1), 5000, out _), $"byte {at}");
        }

        // With the flag, and with the name that it announces: a gzip file, and not what the format allows.
        byte[] named = [.. good[..3], 8, .. good[4..10], .. "app.db\0"u8, .. good[10..]];
        using var gunzip = new GZipStream(new MemoryStream(named), CompressionMode.Decompress);
        Assert.Equal(5000, gunzip.ReadAtLeast(new byte[6000], 6000, throwOnEndOfStream: false));
        Assert.False(Decompresses(Codec.Gzip, named, 5000, out _));
    }

    [Fact]
    public void The_end_of_a_deflate_stream_may_be_neither_missing_nor_followed()
    {
        // Stored blocks, by hand: 3 bytes that are not the last block, and then the end or not.
        byte[] start = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255];
        byte[] block = [0, 3, 0, 252, 255, .. "abc"u8];
        byte[] end = [1, 0, 0, 255, 255];
        var trailer = new byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(trailer, Crc32.Of("abc"u8));
        trailer[4] = 3;

        Assert.True(Decompresses(Codec.Gzip, [.. start, .. block, .. end, .. trailer], 3, out _));
        Assert.False(Decompresses(Codec.Gzip, [.. start, .. block, .. trailer], 3, out _));
        Assert.False(Decompresses(Codec.Gzip, [.. start, .. block, .. end, 0, .. trailer], 3, out _));
    }

    [Fact]
    public void Other_programs_read_a_member_of_gzip_and_what_they_write_is_read()
    {
        var content = Content(new Random(4), 100_000, ContentKind.Words);
        using var gunzip = new GZipStream(new MemoryStream(Pack(Codec.Gzip, content)), CompressionMode.Decompress);
        using var read = new MemoryStream();
        gunzip.CopyTo(read);
        Assert.Equal(content, read.ToArray());

        using var written = new MemoryStream();
        using (var gzip = new GZipStream(written, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            gzip.Write(content);
        }

        Assert.True(Decompresses(Codec.Gzip, written.ToArray(), content.Length, out var found));
        Assert.Equal(content, found);
    }

    [Fact]
    public void The_checksum_of_gzip_is_the_one_of_its_specification()
    {
        Assert.Equal(0xCBF43926u, Crc32.Of("123456789"u8));
        Assert.Equal(0u, Crc32.Of([]));
        Assert.Equal(0x190A55ADu, Crc32.Of(new byte[32]));
    }

    /// <summary>A fuzz of the decoders alone: checksums keep most of this from them in a vault, but not what somebody forges.</summary>
    [Fact]
    public void Changed_frames_give_a_content_or_nothing_and_stay_within_their_room()
    {
        var random = new Random(TestSeed.Take());
        foreach (var codec in Packed)
        {
            var frames = Enum.GetValues<ContentKind>()
                .SelectMany(kind => new[] { 100, 3000, 70_000 }.Select(
                    length => (length, Stored: Pack(codec, Content(random, length, kind)))))
                .ToArray();
            var (taken, refused) = (0, 0);
            for (var round = 0; round < MutationsPerCodec; round++)
            {
                var (length, stored) = frames[random.Next(frames.Length)];
                length = random.Next(8) == 0 ? random.Next(2 * length) : length;
                _ = Decompresses(codec, Mutate(random, stored), length, out _) ? taken++ : refused++;
            }

            Assert.True(refused > MutationsPerCodec / 10, $"{codec}: {refused} refused, {taken} taken");
        }
    }

    [Fact]
    public void A_bomb_is_refused_before_it_takes_memory()
    {
        foreach (var codec in Packed)
        {
            var bomb = Pack(codec, new byte[64 << 20]);
            var before = GC.GetAllocatedBytesForCurrentThread();
            Assert.False(Decompresses(codec, bomb, 4096, out _));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 128 << 10);
        }
    }

    [Fact]
    public void An_unknown_codec_gives_nothing() => Assert.False(Decompresses((Codec)4, [1, 2, 3], 3, out _));

    [Fact]
    public void A_missing_library_is_named_with_its_package()
    {
        var missing = Compression.Lz4Missing();

        Assert.Equal("liblz4.so.1 is not installed, and frames compressed with lz4 need it", missing.Message);
        Assert.Equal(
            "Install it: 'apt-get install liblz4-1', or what your system calls it. All other codecs do without.", missing.Hint);
        Assert.Equal(FailureKind.Failure, missing.Kind);
        Assert.False(StoredObject.IsBad(missing));
    }

    /// <summary>Decompresses into a room with guards around it.</summary>
    static bool Decompresses(Codec codec, byte[] stored, int length, out byte[] content)
    {
        var room = new byte[length + (2 * GuardBytes)];
        Array.Fill(room, Guard);
        var isTaken = Compression.Decompress(codec, stored, room.AsSpan(GuardBytes, length));
        Assert.False(room.AsSpan(0, GuardBytes).ContainsAnyExcept(Guard), $"{codec} wrote before its room");
        Assert.False(room.AsSpan(GuardBytes + length).ContainsAnyExcept(Guard), $"{codec} wrote behind its room");
        content = room[GuardBytes..^GuardBytes];
        return isTaken;
    }

    static byte[] Mutate(Random random, byte[] stored)
    {
        var changed = (byte[])stored.Clone();
        for (var changes = random.Next(1, 4); changes > 0 && changed.Length > 0; changes--)
        {
            var at = random.Next(4) == 0 ? random.Next(Math.Min(16, changed.Length)) : random.Next(changed.Length);
            switch (random.Next(5))
            {
                case 0:
                    changed = changed[..at];
                    break;
                case 1:
                    changed = [.. changed[..at], (byte)random.Next(256), .. changed[at..]];
                    break;
                case 2:
                    changed[at] = byte.MaxValue;
                    break;
                default:
                    changed[at] = (byte)random.Next(256);
                    break;
            }
        }

        return changed;
    }

    static byte[] Pack(Codec codec, byte[] content)
    {
        // Whatever the length: an empty frame, which a writer never stores in this way, is a case here.
        var target = new byte[content.Length + (content.Length / 100) + 1024];
        if (content.Length == 0)
        {
            return codec switch
            {
                Codec.Gzip => [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 255, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0],
                Codec.Lz4 => [0],
                _ => [0x28, 0xB5, 0x2F, 0xFD, 0x20, 0, 1, 0, 0],
            };
        }

        if (codec == Codec.Gzip)
        {
            return target[..GzipMember.Write(content, target, level: 6)!.Value];
        }

        return Compression.Compress(FrameCompression.Of(codec), content, target) is { } size
            ? target[..size]
            : codec == Codec.Lz4 ? Literals(content) : RawBlocks(content);
    }

    /// <summary>An LZ4 block of one sequence, without a match.</summary>
    static byte[] Literals(byte[] content)
    {
        if (content.Length < 15)
        {
            return [(byte)(content.Length << 4), .. content];
        }

        var rest = content.Length - 15;
        return [0xF0, .. Enumerable.Repeat(byte.MaxValue, rest / 255), (byte)(rest % 255), .. content];
    }

    /// <summary>A zstd frame of one raw block; of several where the content is longer than a block may be.</summary>
    static byte[] RawBlocks(byte[] content)
    {
        const int BlockBytesMax = 1 << 16;
        var frame = new List<byte> { 0x28, 0xB5, 0x2F, 0xFD, 0xA0 };
        frame.AddRange(BitConverter.GetBytes(content.Length));
        for (var start = 0; start < content.Length; start += BlockBytesMax)
        {
            var length = Math.Min(BlockBytesMax, content.Length - start);
            frame.AddRange(BitConverter.GetBytes((length << 3) | (start + length == content.Length ? 1 : 0))[..3]);
            frame.AddRange(content[start..(start + length)]);
        }

        return [.. frame];
    }

    enum ContentKind
    {
        Zeros,
        Noise,
        Words,
        Mixed,
    }

    static byte[] Content(Random random, int length, ContentKind kind)
    {
        var content = new byte[length];
        switch (kind)
        {
            case ContentKind.Noise:
                random.NextBytes(content);
                break;
            case ContentKind.Words:
                byte[][] words = [.. Enumerable.Range(0, 200).Select(_ => random.GetItems("etaoin shrdlu"u8.ToArray(), random.Next(2, 9)))];
                for (var at = 0; at < length;)
                {
                    var word = words[random.Next(words.Length)];
                    word.AsSpan(0, Math.Min(word.Length, length - at)).CopyTo(content.AsSpan(at));
                    at += word.Length;
                }

                break;
            case ContentKind.Mixed:
                random.NextBytes(content.AsSpan(0, length / 3));
                break;
        }

        return content;
    }
}
