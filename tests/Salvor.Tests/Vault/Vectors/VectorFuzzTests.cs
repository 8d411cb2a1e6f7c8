using System.Buffers.Binary;
using System.Diagnostics;
using System.Security.Cryptography;
using Salvor.Tests.Support;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault.Vectors;

/// <summary>
/// Changes vectors at random, often so that the checksums fit again: our reader gives the right bytes or a refusal, and nothing else.
/// </summary>
[Collection(QuietMachine.Name)]
public sealed class VectorFuzzTests
{
    const long AllocatedBytesMax = 64 << 20;

    static readonly TimeSpan Duration = TimeSpan.FromSeconds(TestSeed.Count("SALVOR_FUZZ_SECONDS", otherwise: 4));

    [Fact]
    public async Task A_changed_vault_restores_the_right_bytes_or_is_refused()
    {
        var random = new Random(TestSeed.Take());
        var vectors = Vector.All.Where(vector => vector.Base is null && vector.Passphrase is null && vector.Restorable.Any()).ToArray();
        var watch = Stopwatch.StartNew();
        for (var round = 0; watch.Elapsed < Duration; round++)
        {
            var vector = vectors[random.Next(vectors.Length)];
            var store = await vector.LoadAsync();
            var what = "";
            for (var changes = random.Next(1, 4); changes > 0; changes--)
            {
                (store, var change) = Change(store, random);
                what += change + "; ";
            }

            var (point, expected) = vector.Restorable.ElementAt(random.Next(vector.Restorable.Count()));
            var allocated = GC.GetTotalAllocatedBytes();
            var outcome = await OutcomeAsync(vector, store, point, $"round {round}, {vector} after {what}");
            allocated = GC.GetTotalAllocatedBytes() - allocated;
            Assert.True(
                outcome == expected || outcome.Contains("damaged", StringComparison.Ordinal) || outcome.Contains('_'),
                $"round {round}, {vector} after {what}: {point} gave {outcome}");
            Assert.True(allocated < AllocatedBytesMax, $"round {round}, {vector} after {what}: {allocated} bytes were allocated");
        }
    }

    static async Task<string> OutcomeAsync(Vector vector, FrozenStore store, string point, string what)
    {
        try
        {
            return await vector.JudgeAsync(store, point).WaitAsync(TimeSpan.FromSeconds(30));
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{what}: {point} failed with {e.GetType().Name}: {e.Message}", e);
        }
    }

    static (FrozenStore Store, string What) Change(FrozenStore store, Random random)
    {
        var keys = store.Keys.ToArray();
        var (key, other) = (keys[random.Next(keys.Length)], keys[random.Next(keys.Length)]);
        var bytes = store[key];
        switch (random.Next(12))
        {
            case 0:
                return (store.Without(key), $"without {key}");
            case 1:
                return (store.With(key, store[other]), $"{other} in the place of {key}");
            case 2:
                return (store.With(key, bytes[..random.Next(bytes.Length)]), $"{key} was cut");
            case 3:
                return (store.With(key, [.. bytes, .. store[other]]), $"{other} appended to {key}");
            case var _ when bytes.Length == 0:
                return (store, "nothing");
            default:
                var (at, value) = (random.Next(bytes.Length), random.Next(4) == 0 ? byte.MaxValue : (byte)random.Next(256));
                var changed = Forge.Change(bytes, copy => copy[at] = value);
                var isResealed = random.Next(4) != 0 && TryReseal(changed);
                return (store.With(key, changed), $"{key}[{at}] = {value}{(isResealed ? ", resealed" : "")}");
        }
    }

    /// <summary>Makes all checksums of an object fit; false where it is no object any more.</summary>
    static bool TryReseal(byte[] bytes)
    {
        if (bytes.Length < ObjectHeader.SizeBytes + ObjectWriter.FooterBytes + FrameInfo.SizeBytes)
        {
            return false;
        }

        var count = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(bytes.Length - ObjectWriter.FooterBytes));
        var index = bytes.Length - ObjectWriter.FooterBytes - (count * (long)FrameInfo.SizeBytes);
        if (index < ObjectHeader.SizeBytes)
        {
            return false;
        }

        for (var row = (int)index; row < bytes.Length - ObjectWriter.FooterBytes; row += FrameInfo.SizeBytes)
        {
            var frame = FrameInfo.Read(bytes.AsSpan(row));
            if (frame.Offset + (long)frame.StoredBytes <= index)
            {
                var crc = Checksum.Crc32C(bytes.AsSpan((int)frame.Offset, (int)frame.StoredBytes));
                BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(row + 16), crc);
            }
        }

        var header = ObjectHeader.SizeBytes - 4;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(header), Checksum.Crc32C(bytes.AsSpan(0, header)));
        var footer = bytes.Length - ObjectWriter.FooterBytes;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(footer + 4), Checksum.Crc32C(bytes.AsSpan((int)index, footer - (int)index)));
        SHA256.HashData(bytes.AsSpan(0, footer + 8), bytes.AsSpan(footer + 8));
        return true;
    }
}
