using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault.Format;

public sealed class ObjectTests
{
    const string Key = "log/000001/0000000000000001";

    static readonly ObjectHeader Header = new()
    {
        Kind = ObjectKind.Log,
        VaultId = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"),
        Branch = 1,
        Epoch = 2,
        Number = 3,
        PositionFirst = 4,
        PositionLast = 5,
        TimeFirstMicros = -6,
        TimeLastMicros = 7,
        LineageBefore = Hash256.Of([8]),
        LineageAfter = Hash256.Of([9]),
    };

    [Fact]
    public void A_header_is_read_as_it_was_written()
    {
        var bytes = new byte[ObjectHeader.SizeBytes];
        Header.Write(bytes);

        Assert.Equal(Header, ObjectHeader.Read(Key, bytes));
    }

    [Fact]
    public void A_header_has_the_layout_of_the_documentation()
    {
        var bytes = new byte[ObjectHeader.SizeBytes];
        Header.Write(bytes);

        Assert.Equal(
            "89534c560d0a1a0a" + "0100" + "0000" + "04" + "000000" + "00112233445566778899aabbccddeeff" + "01000000" + "02000000"
                + "0300000000000000" + "0400000000000000" + "0500000000000000" + "faffffffffffffff" + "0700000000000000"
                + Hash256.Of([8]) + Hash256.Of([9]),
            Convert.ToHexStringLower(bytes.AsSpan(0, 144)));
        Assert.All(bytes[144..204], value => Assert.Equal(0, value));
    }

    /// <summary>From RFC 3720, B.4.</summary>
    [Theory]
    [InlineData("0000000000000000000000000000000000000000000000000000000000000000", 0x8a9136aa)]
    [InlineData("ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff", 0x62a8ab43)]
    [InlineData("313233343536373839", 0xe3069283)]
    public void The_checksum_is_that_of_the_rfc(string hex, uint expected) =>
        Assert.Equal(expected, Checksum.Crc32C(Convert.FromHexString(hex)));

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 100)]
    [InlineData(3, 100_000)]
    [InlineData(12, 1 << 20)]
    public async Task Frames_and_details_are_read_as_they_were_written_whole_or_piece_by_piece(int count, int length)
    {
        var (store, random) = (new MemoryStore(), new Random(1));
        var contents = Enumerable.Range(0, count).Select(i => Content(random, length, compressible: i % 2 == 0)).ToArray();
        byte[] details = Content(random, 5000, compressible: false);
        await store.PutAsync("v/" + Key, Write(contents, details), default);
        foreach (var whole in (bool[])[true, false])
        {
            using var stored = await StoredObject.OpenAsync(store, "v/", Key, ObjectKind.Log, VaultSecrets.Plain, whole, default);

            Assert.Equal(Header, stored.Header);
            Assert.Equal(count + 1, stored.Frames.Count);
            Assert.Equal(details, await stored.ReadDetailsAsync(default));
            for (var i = 0; i < count; i++)
            {
                Assert.Equal(contents[i], await stored.ReadFrameAsync(i, default));
            }
        }
    }

    [Fact]
    public async Task Of_a_large_object_only_the_ends_and_the_frames_that_are_asked_for_are_fetched()
    {
        var (store, random) = (new MemoryStore(), new Random(1));
        await store.PutAsync("v/" + Key, Write([.. Enumerable.Range(0, 8).Select(_ => Content(random, 1 << 20, false))], [1]), default);
        var reads = new List<StoreCall>();
        var counting = new FaultyStore(store, call =>
        {
            reads.Add(call);
            return Fault.None;
        });

        using var stored = await StoredObject.OpenAsync(counting, "v/", Key, ObjectKind.Log, VaultSecrets.Plain, whole: false, default);
        await stored.ReadDetailsAsync(default);
        Assert.Equal(
            [StoreOperation.Read, StoreOperation.Size, StoreOperation.Read], reads.Select(call => call.Operation));

        await stored.ReadFrameAsync(3, default);
        Assert.Equal(4, reads.Count);
    }

    [Fact]
    public async Task A_small_object_is_fetched_in_one_call()
    {
        var store = new MemoryStore();
        await store.PutAsync("v/" + Key, Write([Content(new Random(1), 8000, false)], [1]), default);
        var reads = new List<StoreCall>();
        var counting = new FaultyStore(store, call =>
        {
            reads.Add(call);
            return Fault.None;
        });

        using var stored = await StoredObject.OpenAsync(counting, "v/", Key, ObjectKind.Log, VaultSecrets.Plain, whole: false, default);
        await stored.ReadFrameAsync(0, default);
        await stored.ReadDetailsAsync(default);

        Assert.Equal([StoreOperation.Read], reads.Select(call => call.Operation));
        Assert.True(stored.MatchesItsHash());
    }

    [Theory]
    [InlineData(16384)]
    [InlineData(16383)]
    [InlineData(16385)]
    public async Task An_object_as_large_as_what_is_fetched_first_is_whole(int size)
    {
        var store = new MemoryStore();
        var without = Write([Content(new Random(1), 8000, false)], [1]).Length;
        var bytes = Write([Content(new Random(1), 8000 + size - without, false)], [1]);
        await store.PutAsync("v/" + Key, bytes, default);

        using var stored = await StoredObject.OpenAsync(store, "v/", Key, ObjectKind.Log, VaultSecrets.Plain, whole: false, default);

        Assert.Equal(size, bytes.Length);
        Assert.True(stored.MatchesItsHash());
    }

    [Fact]
    public async Task An_index_that_does_not_fit_into_what_was_fetched_is_fetched_too()
    {
        var (store, random) = (new MemoryStore(), new Random(1));
        var contents = Enumerable.Range(0, 5000).Select(_ => Content(random, 80, compressible: false)).ToArray();
        await store.PutAsync("v/" + Key, Write(contents, [1]), default);

        using var stored = await StoredObject.OpenAsync(store, "v/", Key, ObjectKind.Log, VaultSecrets.Plain, whole: false, default);

        Assert.Equal(contents[17], await stored.ReadFrameAsync(17, default));
        Assert.Equal(contents[4999], await stored.ReadFrameAsync(4999, default));
    }

    [Fact]
    public async Task The_hash_in_the_footer_is_that_of_all_before_it()
    {
        var store = new MemoryStore();
        var bytes = Write([[1, 2, 3]], [4]);
        await store.PutAsync("good/" + Key, bytes, default);
        await store.PutAsync("bad/" + Key, Forge.Change(bytes, copy => copy[^9] ^= 1), default);
        using var good = await StoredObject.OpenAsync(store, "good/", Key, ObjectKind.Log, VaultSecrets.Plain, whole: true, default);
        using var bad = await StoredObject.OpenAsync(store, "bad/", Key, ObjectKind.Log, VaultSecrets.Plain, whole: true, default);

        Assert.True(good.MatchesItsHash());
        Assert.False(bad.MatchesItsHash());
        Assert.Equal(
            Hash256.Of(bytes.AsSpan(0, bytes.Length - 40)).ToString(), Convert.ToHexStringLower(bytes.AsSpan(bytes.Length - 40, 32)));
    }

    [Theory]
    [InlineData(0, "it has 0 bytes, which no object has")]
    [InlineData(255, "it has 255 bytes, which no object has")]
    [InlineData(256, "it is not a Salvor object, or its start is missing")]
    [InlineData((16 << 20) + 1, "it has 16777217 bytes, which no object has")]
    public async Task What_cannot_be_an_object_is_refused_before_it_is_fetched(int length, string expected)
    {
        var store = new MemoryStore();
        await store.PutAsync("v/" + Key, new byte[length], default);

        Assert.Equal($"object {Key} is damaged: {expected}", (await RefusalAsync(store, ObjectKind.Log)).Message);
    }

    [Fact]
    public async Task Frames_follow_each_other_without_gaps_and_stay_within_their_limits()
    {
        var bytes = Write([[1, 2, 3], [4, 5, 6]], [7]);
        Func<FrameInfo, FrameInfo>[] changes =
        [
            frame => frame with { Offset = frame.Offset + 1 },
            frame => frame with { StoredBytes = frame.StoredBytes + 1 },
            frame => frame with { StoredBytes = (uint)bytes.Length },
            frame => frame with { ContentBytes = (1 << 20) + 1 },
        ];
        foreach (var change in changes)
        {
            var store = new MemoryStore();
            await store.PutAsync("v/" + Key, Forge.WithFrame(bytes, 1, change), default);

            var failure = await RefusalAsync(store, ObjectKind.Log);
            Assert.Matches($"^object {Key} is damaged: frame [12] has an impossible place or size$", failure.Message);
        }
    }

    [Fact]
    public async Task A_missing_object_is_named_with_its_place() =>
        Assert.Equal(
            $"object {Key} is damaged: it is missing from memory", (await RefusalAsync(new MemoryStore(), ObjectKind.Log)).Message);

    [Fact]
    public async Task An_object_of_another_kind_is_refused()
    {
        var store = new MemoryStore();
        await store.PutAsync("v/" + Key, Write([], [1]), default);

        Assert.Equal(
            $"object {Key} is damaged: it is a Log object where a Pack object belongs",
            (await RefusalAsync(store, ObjectKind.Pack)).Message);
    }

    [Fact]
    public void A_hash_is_written_in_hexadecimal()
    {
        var hash = Hash256.Of("abc"u8);

        Assert.Equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hash.ToString());
        Assert.True(Hash256.TryParse(hash.ToString(), out var parsed));
        Assert.Equal(hash, parsed);
        foreach (var text in (string[])["", "ba", hash.ToString()[1..], hash + "0", hash.ToString().Replace('b', 'x')])
        {
            Assert.False(Hash256.TryParse(text, out _));
        }
    }

    static async Task<DamagedObjectException> RefusalAsync(IObjectStore store, ObjectKind kind) =>
        await Assert.ThrowsAsync<DamagedObjectException>(
            () => StoredObject.OpenAsync(store, "v/", Key, kind, VaultSecrets.Plain, whole: false, default));

    static byte[] Write(byte[][] contents, byte[] details)
    {
        using var writer = new ObjectWriter(VaultSecrets.Plain, FrameCompression.Default);
        foreach (var content in contents)
        {
            var frame = SealedFrame.Seal(content, FrameCompression.Default);
            writer.Add(frame);
            frame.Release();
        }

        return writer.Finish(Header, details).Bytes.ToArray();
    }

    static byte[] Content(Random random, int length, bool compressible)
    {
        var content = new byte[length];
        random.NextBytes(content.AsSpan(0, compressible ? length / 10 : length));
        return content;
    }
}
