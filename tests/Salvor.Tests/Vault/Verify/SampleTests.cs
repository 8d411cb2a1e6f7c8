using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Verify;

public sealed class SampleTests
{
    static readonly string[] Keys = [.. Enumerable.Range(1, 2000).Select(i => $"log/000001/{i:D16}")];

    [Theory]
    [InlineData("5%", 60, 140)]
    [InlineData("50%", 900, 1100)]
    [InlineData("100%", 2000, 2000)]
    [InlineData("2.5%", 25, 75)]
    public void A_share_takes_about_so_many(string text, int min, int max) =>
        Assert.InRange(Keys.Count(Sample.Parse(text, new Random(1)).Takes), min, max);

    [Fact]
    public void A_share_is_another_choice_each_time_and_the_same_for_a_seed()
    {
        string[] Taken(int seed) => [.. Keys.Where(Sample.Parse("10%", new Random(seed)).Takes)];

        Assert.Equal(Taken(1), Taken(1));
        Assert.NotEqual(Taken(1), Taken(2));
    }

    [Fact]
    public void Parts_are_disjoint_and_together_everything()
    {
        var parts = Enumerable.Range(1, 7).Select(i => Sample.Parse($"{i}/7", new Random(i))).ToList();

        Assert.All(Keys, key => Assert.Single(parts, part => part.Takes(key)));
        Assert.All(parts, part => Assert.InRange(Keys.Count(part.Takes), 200, 380));
    }

    [Fact]
    public void A_size_is_a_share_of_what_there_is()
    {
        var sample = Sample.Parse("50M", new Random(1));

        Assert.Equal(50L << 20, sample.SizeBytes);
        Assert.Equal(0.5, sample.For(100L << 20).Share);
        Assert.Equal(1, sample.For(10).Share);
    }

    [Theory]
    [InlineData("0%")]
    [InlineData("101%")]
    [InlineData("-5%")]
    [InlineData("0/7")]
    [InlineData("8/7")]
    [InlineData("1/0")]
    [InlineData("some")]
    [InlineData("")]
    [InlineData("0")]
    public void What_is_no_sample_is_refused_with_the_forms(string text)
    {
        var failure = Assert.Throws<SalvorException>(() => Sample.Parse(text, new Random(1)));

        Assert.Equal($"\"{text}\" is not a sample", failure.Message);
        Assert.Equal(
            "Write a share (5%), a part of all (1/7 is the first of seven that together are everything), or a size (50M).", failure.Hint);
    }
}
