using System.Buffers.Binary;
using System.Text;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault.Format;

/// <summary>Frames of an encrypted vault: readable in their own place with their own key, and nowhere else.</summary>
public sealed class SealedObjectTests
{
    const string Key = "log/000001/0000000000000001";

    static readonly Guid VaultId = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff");
    static readonly VaultSecrets Secrets = VaultSecrets.Of(VaultId, Enumerable.Range(0, 32).Select(i => (byte)i).ToArray());
    static readonly ObjectHeader Header = new() { Kind = ObjectKind.Log, VaultId = VaultId, Branch = 1, Number = 1, PositionFirst = 1 };

    static readonly byte[][] Contents = [.. Enumerable.Range(0, 3).Select(i => Encoding.ASCII.GetBytes($"content of frame {i}"))];
    static readonly byte[] Details = "details"u8.ToArray();

    [Theory]
    [InlineData(0, 0)]
    [InlineData(3, 1)]
    [InlineData(2, 100_000)]
    [InlineData(12, 1 << 20)]
    public async Task What_is_sealed_is_read_with_the_key_whole_or_piece_by_piece(int count, int length)
    {
        var random = new Random(1);
        byte[][] contents = [.. Enumerable.Range(0, count).Select(i => Content(random, length, compressible: i % 2 == 0))];
        var store = await StoreAsync(Write(Secrets, Header, contents, Details));
        foreach (var whole in (bool[])[true, false])
        {
            using var stored = await OpenAsync(store, Secrets, whole);

            Assert.NotEqual(Hash256.Zero, stored.Header.Salt);
            Assert.Equal(Header, stored.Header with { Salt = Hash256.Zero });
            Assert.Equal(Details, await stored.ReadDetailsAsync(default));
            for (var i = 0; i < count; i++)
            {
                Assert.Equal(contents[i], await stored.ReadFrameAsync(i, default));
            }
        }
    }

    [Fact]
    public void Nothing_of_the_content_is_in_the_bytes()
    {
        var bytes = Write(Secrets, Header, Contents, Details);

        Assert.All(Contents.Append(Details), content => Assert.Equal(-1, bytes.AsSpan().IndexOf(content)));
        Assert.NotEqual(-1, Write(VaultSecrets.Plain, Header, Contents, Details).AsSpan().IndexOf(Contents[0]));
    }

    [Fact]
    public void The_same_object_is_sealed_to_the_same_bytes_and_any_other_with_another_key()
    {
        var bytes = Write(Secrets, Header, Contents, Details);

        Assert.Equal(bytes, Write(Secrets, Header, Contents, Details));
        var salts = new List<string> { Salt(bytes) };
        byte[][] oneMoved = [[.. Contents[0], Contents[1][0]], Contents[1][1..], Contents[2]];
        salts.Add(Salt(Write(Secrets, Header with { Epoch = 1 }, Contents, Details)));
        salts.Add(Salt(Write(Secrets, Header with { LineageAfter = Hash256.Of([1]) }, Contents, Details)));
        salts.Add(Salt(Write(Secrets, Header, oneMoved, Details)));
        salts.Add(Salt(Write(Secrets, Header, Contents, [.. Details, 0])));
        salts.Add(Salt(Write(VaultSecrets.Of(Guid.Empty, Secrets.DataKey), Header, Contents, Details)));
        Assert.Distinct(salts);
    }

    [Fact]
    public async Task Another_data_key_opens_nothing() => await RefusedAsync(
        Write(VaultSecrets.Of(VaultId, new byte[32]), Header, Contents, Details), "frame 0 was not sealed in this place");

    [Fact]
    public async Task The_same_data_key_in_another_vault_opens_nothing() => await RefusedAsync(
        Write(VaultSecrets.Of(Guid.Empty, Secrets.DataKey), Header, Contents, Details), "frame 0 was not sealed in this place");

    [Fact]
    public async Task What_was_never_sealed_is_refused() => await RefusedAsync(
        Write(VaultSecrets.Plain, Header, [new byte[40]], new byte[40]), "frame 0 (was not sealed in this place|is not sealed)");

    [Fact]
    public async Task A_sealed_object_is_noise_without_the_key()
    {
        var store = await StoreAsync(Write(Secrets, Header, [new byte[4096]], new byte[4096]));
        using var stored = await OpenAsync(store, VaultSecrets.Plain, whole: true);

        await Assert.ThrowsAsync<DamagedObjectException>(() => stored.ReadDetailsAsync(default));
        Assert.True(stored.MatchesItsHash());
    }

    [Fact]
    public async Task Each_byte_of_the_header_is_bound_to_each_frame()
    {
        var bytes = Write(Secrets, Header, Contents, Details);

        // What a reader judges before it opens a frame: magic, version, kind. Everything else is only held by the seal.
        for (var offset = 13; offset < ObjectHeader.SizeBytes - 4; offset++)
        {
            await RefusedAsync(WithHeader(bytes, head => head[offset] ^= 1), "frame 0 was not sealed in this place");
        }
    }

    [Fact]
    public async Task Frames_that_changed_places_are_refused()
    {
        var bytes = Write(Secrets, Header, Contents, Details);
        var (first, second) = (Frame(bytes, 0), Frame(bytes, 1));
        Assert.Equal(first.StoredBytes, second.StoredBytes);

        var swapped = Forge.Change(bytes, copy =>
        {
            bytes.AsSpan((int)first.Offset, (int)first.StoredBytes).CopyTo(copy.AsSpan((int)second.Offset));
            bytes.AsSpan((int)second.Offset, (int)second.StoredBytes).CopyTo(copy.AsSpan((int)first.Offset));
        });
        swapped = Forge.WithFrame(swapped, 0, row => row with { Crc = second.Crc });
        swapped = Forge.WithFrame(swapped, 1, row => row with { Crc = first.Crc });

        await RefusedAsync(swapped, "frame 0 was not sealed in this place");
    }

    [Fact]
    public async Task A_frame_of_another_object_of_the_same_vault_is_refused()
    {
        var bytes = Write(Secrets, Header, Contents, Details);
        var other = Write(Secrets, Header with { Number = 2 }, Contents, Details);
        var frame = Frame(other, 0);

        var stored = other.AsMemory((int)frame.Offset, (int)frame.StoredBytes);
        var replayed = Forge.Change(bytes, copy => stored.CopyTo(copy.AsMemory((int)frame.Offset)));

        await RefusedAsync(Forge.WithFrame(replayed, 0, row => row with { Crc = frame.Crc }), "frame 0 was not sealed in this place");
    }

    [Fact]
    public async Task A_frame_that_lost_bytes_is_refused()
    {
        var bytes = Write(Secrets, Header, [Contents[0]], Details);
        foreach (var left in (int[])[0, 1, 15, 16, 20])
        {
            await RefusedAsync(WithFirstFrameCut(bytes, left), "frame 0 (was not sealed in this place|is not sealed)");
        }
    }

    [Fact]
    public async Task An_object_that_lost_a_frame_is_refused()
    {
        // The rest moves up, and the count, the index and its checksum are put right.
        var bytes = Write(Secrets, Header, Contents, Details);
        var gone = Frame(bytes, 2);
        var footer = bytes.Length - ObjectWriter.FooterBytes;
        var index = footer - (4 * FrameInfo.SizeBytes);
        List<byte> cut =
        [
            .. bytes[..(int)gone.Offset], .. bytes[(int)(gone.Offset + gone.StoredBytes)..(index + (2 * FrameInfo.SizeBytes))],
            .. bytes[(index + (3 * FrameInfo.SizeBytes))..],
        ];
        var forged = Forge.WithFrameCount([.. cut], 3);
        forged = Forge.WithFrame(forged, 2, row => row with { Offset = gone.Offset });

        await RefusedAsync(forged, "frame 0 was not sealed in this place");
    }

    [Fact]
    public async Task What_the_index_says_of_a_frame_is_bound_to_it()
    {
        var bytes = Write(Secrets, Header, [new byte[100], Contents[0]], Details);

        await RefusedAsync(Forge.WithFrame(bytes, 0, row => row with { ContentBytes = 99 }), "frame 0 was not sealed in this place");
        await RefusedAsync(Forge.WithFrame(bytes, 0, row => row with { Codec = Codec.None }), "frame 0 was not sealed in this place");
    }

    [Fact]
    public void Names_and_links_are_keyed_by_vault_and_purpose()
    {
        var other = VaultSecrets.Of(Guid.Empty, Secrets.DataKey);
        Hash256[] hashes =
        [
            VaultSecrets.Plain.NameOf([1]), Secrets.NameOf([1]), Secrets.LinkOf([1]), Secrets.CheckOf([1]), other.NameOf([1]),
            other.LinkOf([1]), other.CheckOf([1]),
        ];

        Assert.Distinct(hashes);
        Assert.Equal(Hash256.Of([1]), VaultSecrets.Plain.NameOf([1]));
        Assert.Equal(Hash256.Of([1]), VaultSecrets.Plain.LinkOf([1]));
        Assert.NotEqual(Secrets.PageSeed, other.PageSeed);
    }

    static async Task RefusedAsync(byte[] bytes, string expected)
    {
        var store = await StoreAsync(bytes);
        using var stored = await OpenAsync(store, Secrets, whole: true);
        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => stored.ReadFrameAsync(0, default));
        Assert.Matches($"^object {Key} is damaged: {expected}", failure.Message);
    }

    static Task<StoredObject> OpenAsync(IObjectStore store, VaultSecrets secrets, bool whole) =>
        StoredObject.OpenAsync(store, "v/", Key, ObjectKind.Log, secrets, whole, default);

    static async Task<MemoryStore> StoreAsync(byte[] bytes)
    {
        var store = new MemoryStore();
        await store.PutAsync("v/" + Key, bytes, default);
        return store;
    }

    static byte[] Write(VaultSecrets secrets, ObjectHeader header, byte[][] contents, byte[] details)
    {
        using var writer = new ObjectWriter(secrets, FrameCompression.Default);
        foreach (var content in contents)
        {
            var frame = SealedFrame.Seal(content, FrameCompression.Default);
            writer.Add(frame);
            frame.Release();
        }

        return writer.Finish(header, details).Bytes.ToArray();
    }

    static byte[] WithHeader(byte[] bytes, Action<byte[]> change) => Forge.Change(bytes, copy =>
    {
        change(copy);
        const int CrcOffset = ObjectHeader.SizeBytes - 4;
        BinaryPrimitives.WriteUInt32LittleEndian(copy.AsSpan(CrcOffset), Checksum.Crc32C(copy.AsSpan(0, CrcOffset)));
    });

    /// <summary>The first of two frames with fewer bytes; the second, the index and their checksums fit.</summary>
    static byte[] WithFirstFrameCut(byte[] bytes, int left)
    {
        var (first, second) = (Frame(bytes, 0), Frame(bytes, 1));
        byte[] cut = [.. bytes[..((int)first.Offset + left)], .. bytes[(int)second.Offset..]];
        var crc = Checksum.Crc32C(bytes.AsSpan((int)first.Offset, left));
        cut = Forge.WithFrame(cut, 0, row => row with { StoredBytes = (uint)left, Crc = crc });
        return Forge.WithFrame(cut, 1, row => row with { Offset = first.Offset + (uint)left });
    }

    static FrameInfo Frame(byte[] bytes, int row)
    {
        var index = bytes.Length - ObjectWriter.FooterBytes - (Forge.FrameCount(bytes) * FrameInfo.SizeBytes);
        return FrameInfo.Read(bytes.AsSpan(index + (row * FrameInfo.SizeBytes)));
    }

    static string Salt(byte[] bytes) => ObjectHeader.Read(Key, bytes).Salt.ToString();

    static byte[] Content(Random random, int length, bool compressible)
    {
        var content = new byte[length];
        random.NextBytes(content.AsSpan(0, compressible ? length / 10 : length));
        return content;
    }
}
