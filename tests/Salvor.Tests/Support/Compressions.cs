using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Tests.Support;

/// <summary>Ways to compress, for tests that go through them, and which of them a vault has.</summary>
static class Compressions
{
    /// <summary>What is in the clear is read by everybody, whatever the setting.</summary>
    static readonly ObjectKind[] InTheClear = [ObjectKind.Vault, ObjectKind.Claim, ObjectKind.Head, ObjectKind.Key];

    /// <summary>Each codec, and both ends of its levels.</summary>
    public static FrameCompression[] All { get; } =
        [.. new[] { "zstd:1", "zstd:19", "lz4", "gzip:1", "gzip:6", "gzip:9", "none" }.Select(Of)];

    public static FrameCompression Of(string text) =>
        FrameCompression.Parse(text, (message, hint) => new SalvorException(FailureKind.Usage, message, hint));

    /// <summary>The codecs of all frames of all objects whose keys begin so, in order, but for what is in the clear.</summary>
    public static async Task<IEnumerable<Codec>> FoundAsync(IObjectStore store, string prefix)
    {
        var codecs = new SortedSet<Codec>();
        await foreach (var row in store.ListAsync(prefix, null, default))
        {
            var bytes = (await store.GetAsync(row.Key, row.SizeBytes, default))!;
            if (!InTheClear.Contains(Forge.KindOf(bytes)))
            {
                codecs.UnionWith(Forge.Frames(bytes).Select(frame => frame.Codec));
            }
        }

        return codecs;
    }
}
