using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Nodes;
using Salvor.Tests.Support;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault;

/// <summary>
/// Someone changes what objects say and seals them again, with checksums and links that fit. No key protects against that, but nothing
/// that was not committed may come out, no size may be believed, and nothing may hang or fail without a name.
/// </summary>
public sealed class HostileVaultTests
{
    /// <summary>One field in so many in an ordinary run; with SALVOR_ALL all.</summary>
    static readonly int Stride = Environment.GetEnvironmentVariable("SALVOR_ALL") is null ? 9 : 1;

    static readonly ulong[] HostileNumbers =
    [
        0, 1, 2, 513, 65_536, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFE, 0xFFFF_FFFF, long.MaxValue, 1UL << 63, ulong.MaxValue - 1,
        ulong.MaxValue,
    ];

    /// <summary>Header, after the magic: every number in it. 8 bytes each, or 4.</summary>
    public static TheoryData<string> HeaderFields =>
        ["Branch", "Epoch", "Number", "PositionFirst", "PositionLast", "TimeFirstMicros", "TimeLastMicros", "LineageBefore"];

    [Theory]
    [MemberData(nameof(HeaderFields))]
    public async Task A_field_of_the_header_is_not_believed(string field)
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var key in vault.Keys)
        {
            foreach (var number in HostileNumbers)
            {
                var forged = await Forge.ResealAsync(vault.Whole, key, header => Change(header, field, number));
                await vault.RefusalsAsync(vault.Whole.With(key, forged), $"forging {field} of {key} to {number}", mayHide: true);
            }
        }
    }

    [Fact]
    public Task Details_are_not_believed() => Seeds.ForEachAsync(1, async seed =>
    {
        var (vault, random) = (await BrokenVault.CreateAsync(seed), new Random(seed));
        foreach (var key in vault.Keys.Where(key => !IsJson(Forge.KindOf(vault.Whole[key]))))
        {
            var (_, details) = await Forge.OpenAsync(vault.Whole, key);
            for (var offset = random.Next(Stride); offset < details.Length; offset += random.Next(1, 2 * Stride))
            {
                foreach (var (number, size) in random.GetItems(HostileNumbers, 2).SelectMany(number => new[] { (number, 4), (number, 8) }))
                {
                    var forged = await Forge.ResealAsync(
                        vault.Whole, key, changeDetails: bytes => Forge.Change(bytes, copy => Overwrite(copy, offset, number, size)));
                    await vault.RefusalsAsync(
                        vault.Whole.With(key, forged), $"forging {size} bytes at {offset} of {key} to {number}", mayHide: true);
                }
            }
        }
    });

    [Fact]
    public async Task Details_of_any_length_are_read_to_their_end_and_no_further()
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var key in vault.Keys.Where(key => Forge.KindOf(vault.Whole[key]) != ObjectKind.Claim))
        {
            var (_, details) = await Forge.OpenAsync(vault.Whole, key);
            int[] lengths = [.. Enumerable.Range(0, details.Length).Where(length => length % Stride == 0), details.Length + 1];
            foreach (var length in lengths)
            {
                var forged = await Forge.ResealAsync(
                    vault.Whole, key, changeDetails: bytes => length < bytes.Length ? bytes[..length] : [.. bytes, 1]);
                var refusals = await vault.RefusalsAsync(vault.Whole.With(key, forged), $"giving {key} details of {length} bytes");
                Assert.NotEqual(0, refusals);
            }
        }
    }

    [Fact]
    public async Task Records_are_not_believed()
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var key in vault.Keys.Where(key => IsJson(Forge.KindOf(vault.Whole[key]))))
        {
            var (_, details) = await Forge.OpenAsync(vault.Whole, key);
            foreach (var (what, json) in HostileRecords(details))
            {
                var forged = await Forge.ResealAsync(vault.Whole, key, changeDetails: _ => JsonSerializer.SerializeToUtf8Bytes(json));
                await vault.RefusalsAsync(vault.Whole.With(key, forged), $"forging {what} of {key}", mayHide: true);
            }
        }
    }

    [Fact]
    public async Task A_row_of_the_frame_index_is_not_believed()
    {
        var vault = await BrokenVault.CreateAsync();
        uint[] numbers = [0, 177, (1 << 20) + 1, 16 << 20, (16 << 20) + 1, uint.MaxValue];
        foreach (var key in vault.Keys.Where(key => Forge.KindOf(vault.Whole[key]) != ObjectKind.Claim))
        {
            var bytes = vault.Whole[key];
            for (var row = 0; row < Forge.FrameCount(bytes); row++)
            {
                foreach (var number in numbers)
                {
                    Func<FrameInfo, FrameInfo>[] changes =
                    [
                        frame => frame with { Offset = number },
                        frame => frame with { StoredBytes = number },
                        frame => frame with { ContentBytes = number },
                        frame => frame with { Codec = (Codec)number },
                        frame => frame with { Offset = number, StoredBytes = number, ContentBytes = number },
                    ];
                    foreach (var (index, change) in changes.Index())
                    {
                        var forged = vault.Whole.With(key, Forge.WithFrame(bytes, row, change));
                        await vault.RefusalsAsync(forged, $"forging field {index} of frame {row} of {key} to {number}", named: key[4..]);
                    }
                }
            }
        }
    }

    [Fact]
    public async Task A_count_of_frames_is_not_believed()
    {
        var vault = await BrokenVault.CreateAsync();
        foreach (var key in vault.Keys.Where(key => Forge.KindOf(vault.Whole[key]) != ObjectKind.Claim))
        {
            foreach (var count in (uint[])[0, 7, 1 << 20, int.MaxValue, uint.MaxValue])
            {
                var forged = vault.Whole.With(key, Forge.WithFrameCount(vault.Whole[key], count));
                Assert.NotEqual(0, await vault.RefusalsAsync(forged, $"claiming {count} frames in {key}", named: key[4..]));
            }
        }
    }

    static bool IsJson(ObjectKind kind) => kind is ObjectKind.Vault or ObjectKind.Branch or ObjectKind.Claim;

    static ObjectHeader Change(ObjectHeader header, string field, ulong number) => field switch
    {
        "Branch" => header with { Branch = (uint)number },
        "Epoch" => header with { Epoch = (uint)number },
        "Number" => header with { Number = number },
        "PositionFirst" => header with { PositionFirst = number },
        "PositionLast" => header with { PositionLast = number },
        "TimeFirstMicros" => header with { TimeFirstMicros = (long)number },
        "TimeLastMicros" => header with { TimeLastMicros = (long)number },
        _ => header with { LineageBefore = Hash256.Of(BitConverter.GetBytes(number)) },
    };

    static void Overwrite(byte[] bytes, int offset, ulong number, int size)
    {
        Span<byte> value = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(value, number);
        value[..Math.Min(size, bytes.Length - offset)].CopyTo(bytes.AsSpan(offset));
    }

    static IEnumerable<(string What, JsonNode? Json)> HostileRecords(byte[] details)
    {
        JsonNode?[] values =
        [
            null, "", "x", "0000000000000000", new string('f', 64), 0, 1, 2, 3, 4, -1, 1.5, uint.MaxValue, long.MaxValue, ulong.MaxValue,
            true, new JsonArray(), new JsonObject(), "9999-12-31T23:59:59Z",
        ];
        var names = JsonNode.Parse(details)!.AsObject().Select(member => member.Key).ToArray();
        foreach (var name in names)
        {
            foreach (var value in values)
            {
                var changed = JsonNode.Parse(details)!.AsObject();
                changed[name] = value?.DeepClone();
                yield return ($"{name} to {value?.ToJsonString() ?? "null"}", changed);
            }

            var without = JsonNode.Parse(details)!.AsObject();
            without.Remove(name);
            yield return ($"the absence of {name}", without);
        }

        yield return ("all to null", null);
        yield return ("all to a list", new JsonArray());
    }
}
