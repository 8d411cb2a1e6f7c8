using Salvor.Text;

namespace Salvor.Tests.Text;

public sealed class SizeTextTests
{
    [Theory]
    [InlineData("100", 100)]
    [InlineData("100B", 100)]
    [InlineData("0", 0)]
    [InlineData("512KiB", 512 * 1024)]
    [InlineData("16MiB", 16 << 20)]
    [InlineData("16mib", 16 << 20)]
    [InlineData("1GiB", 1 << 30)]
    [InlineData("2TiB", 2L << 40)]
    [InlineData("5KB", 5_000)]
    [InlineData("5kB", 5_000)]
    [InlineData("5GB", 5_000_000_000)]
    [InlineData("1.5MiB", 1_572_864)]
    [InlineData("1.07 GiB", 1_148_903_752)]
    [InlineData("7EiB", 7L << 60)]
    [InlineData("9223372036854775807", long.MaxValue)]
    public void A_number_and_a_unit_is_a_size(string text, long sizeBytes) => Assert.Equal(sizeBytes, SizeText.Parse(text));

    [Theory]
    [InlineData("")]
    [InlineData(" ")]
    [InlineData("MiB")]
    [InlineData("16M")]
    [InlineData("16  MiB")]
    [InlineData("16MiB ")]
    [InlineData("16 ")]
    [InlineData("-1")]
    [InlineData("1,5MiB")]
    [InlineData(".5MiB")]
    [InlineData("5.MiB")]
    [InlineData("1.2.3MiB")]
    [InlineData("8EiB")]
    [InlineData("9223372036854775808")]
    [InlineData("99999999999999999999999999999999999GB")]
    public void Anything_else_is_refused_with_an_example(string text)
    {
        var e = Assert.Throws<SalvorException>(() => SizeText.Parse(text));

        Assert.Equal(FailureKind.Usage, e.Kind);
        Assert.Equal($"\"{text}\" is not a size", e.Message);
        Assert.Equal("Write a number and a unit, for example 512KiB, 16MiB, 5GB or 100 (bytes).", e.Hint);
    }

    [Fact]
    public void No_text_is_no_size() => Assert.False(SizeText.TryParse(null, out _));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1 KiB")]
    [InlineData(1_148_903_752, "1.07 GiB")]
    [InlineData(16 << 20, "16 MiB")]
    [InlineData((1 << 20) - 1, "1 MiB")]
    [InlineData(long.MaxValue, "8 EiB")]
    [InlineData(-2048, "-2 KiB")]
    public void Reading_needs_two_decimals(long sizeBytes, string text) => Assert.Equal(text, SizeText.Format(sizeBytes));

    [Theory]
    [InlineData(0, "0")]
    [InlineData(1_000, "1000")]
    [InlineData(1_025, "1025")]
    [InlineData(1_536, "1536")]
    [InlineData(1 << 30, "1GiB")]
    [InlineData(512 << 10, "512KiB")]
    public void Settings_are_shown_exactly(long sizeBytes, string text)
    {
        Assert.Equal(text, SizeText.FormatExact(sizeBytes));
        Assert.Equal(sizeBytes, SizeText.Parse(text));
    }

    [Fact]
    public void What_was_formatted_for_reading_parses_to_within_half_a_percent()
    {
        var random = new Random(1);
        for (var i = 0; i < 10_000; i++)
        {
            var sizeBytes = random.NextInt64(1L << random.Next(1, 62));
            var parsed = SizeText.Parse(SizeText.Format(sizeBytes));
            Assert.InRange(parsed, sizeBytes * 0.995, sizeBytes * 1.005);
        }
    }
}
