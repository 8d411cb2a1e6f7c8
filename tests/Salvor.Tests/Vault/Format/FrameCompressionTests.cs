using Salvor.Tests.Support;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault.Format;

public sealed class FrameCompressionTests
{
    [Theory]
    [InlineData("zstd", Codec.Zstd, 1, "zstd:1")]
    [InlineData("zstd:19", Codec.Zstd, 19, "zstd:19")]
    [InlineData("gzip", Codec.Gzip, 6, "gzip:6")]
    [InlineData("gzip:9", Codec.Gzip, 9, "gzip:9")]
    [InlineData("lz4", Codec.Lz4, 0, "lz4")]
    [InlineData("none", Codec.None, 0, "none")]
    [InlineData("true", Codec.Zstd, 1, "zstd:1")]
    [InlineData("false", Codec.None, 0, "none")]
    public void It_is_read_and_written(string text, Codec codec, int level, string written)
    {
        var compression = Compressions.Of(text);

        Assert.Equal((codec, level, written), (compression.Codec, compression.Level, $"{compression}"));
        Assert.Equal(compression, Compressions.Of(written));
    }

    [Theory]
    [InlineData("brotli", "\"brotli\" is not a codec", "Known are zstd, lz4, gzip and none, with a level as in zstd:3.")]
    [InlineData("gzi", "\"gzi\" is not a codec", "Did you mean \"gzip\"? Known are zstd, lz4, gzip and none, with a level as in zstd:3.")]
    [InlineData("", "\"\" is not a codec", "Known are zstd, lz4, gzip and none, with a level as in zstd:3.")]
    [InlineData("zstd:0", "\"0\" is not a level of zstd", "Give a whole number from 1 to 19.")]
    [InlineData("zstd:20", "\"20\" is not a level of zstd", "Give a whole number from 1 to 19.")]
    [InlineData("zstd:-1", "\"-1\" is not a level of zstd", "Give a whole number from 1 to 19.")]
    [InlineData("gzip:10", "\"10\" is not a level of gzip", "Give a whole number from 1 to 9.")]
    [InlineData("gzip:", "\"\" is not a level of gzip", "Give a whole number from 1 to 9.")]
    [InlineData("lz4:1", "lz4 has no levels", "Leave the level out, or use another codec, as in zstd:3.")]
    [InlineData("none:1", "none has no levels", "Leave the level out, or use another codec, as in zstd:3.")]
    public void What_it_cannot_be_is_named(string text, string message, string hint)
    {
        var refusal = Assert.Throws<SalvorException>(() => Compressions.Of(text));

        Assert.Equal((message, hint), (refusal.Message, refusal.Hint));
    }
}
