using Salvor.Vault.Format;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class CompressionConfigTests
{
    const string CodecHint = "Known are zstd, lz4, gzip and none, with a level as in zstd:3.";

    [Theory]
    [InlineData("", "zstd:1")]
    [InlineData("compression: zstd", "zstd:1")]
    [InlineData("compression: zstd:7", "zstd:7")]
    [InlineData("compression: lz4", "lz4")]
    [InlineData("compression: gzip", "gzip:6")]
    [InlineData("compression: none", "none")]
    [InlineData("compression: true", "zstd:1")]
    [InlineData("compression: false", "none")]
    [InlineData("compression: ${CODEC}", "gzip:9")]
    [InlineData("compression: { codec: gzip, level: 9 }", "gzip:9")]
    [InlineData("compression: { codec: lz4 }", "lz4")]
    [InlineData("compression: { level: 3 }", "zstd:3")]
    public void A_source_says_how_it_is_compressed(string key, string expected) => Assert.Equal(
        expected, $"{ParseSource($"type: sqlite\n    path: /data/app.db\n    to: local\n    {key}", ("CODEC", "gzip:9")).Compression}");

    [Theory]
    [InlineData("brotli", "4:70", "compression of source app: \"brotli\" is not a codec", CodecHint)]
    [InlineData("zsdt", "4:70", "compression of source app: \"zsdt\" is not a codec", $"Did you mean \"zstd\"? {CodecHint}")]
    [InlineData(
        "zstd:20", "4:70", "compression of source app: \"20\" is not a level of zstd", "Give a whole number from 1 to 19.")]
    [InlineData("[zstd]", "4:70", "compression of source app has a list where a text is expected", "Write compression: zstd:3.")]
    [InlineData("''", "4:70", "compression of source app is empty", "Write compression: zstd:3.")]
    [InlineData(
        "{ codec: brotli }", "4:79", "codec of compression of source app: \"brotli\" is not a codec", CodecHint)]
    [InlineData(
        "{ level: 3.5 }", "4:79", "level of compression of source app: \"3.5\" is not a level of zstd",
        "Give a whole number from 1 to 19.")]
    [InlineData(
        "{ codec: lz4, level: 1 }", "4:91", "level of compression of source app: lz4 has no levels",
        "Leave the level out, or use another codec, as in zstd:3.")]
    [InlineData(
        "{ codec: zstd, lvl: 1 }", "4:85", "unknown key \"lvl\" in compression of source app", "Known keys are codec and level.")]
    public void A_way_that_there_is_not_is_named(string value, string place, string message, string hint) =>
        AssertError(place, message, hint, Minimal.Replace("to: [local] }", $"to: [local], compression: {value} }}"));

    [Fact]
    public void Without_a_word_it_is_the_default() =>
        Assert.Same(FrameCompression.Default, Parse(Minimal).Sources["app"].Compression);
}
