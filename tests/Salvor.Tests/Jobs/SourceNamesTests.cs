using Salvor.Jobs;

namespace Salvor.Tests.Jobs;

public sealed class SourceNamesTests
{
    [Theory]
    [InlineData("acme.db", "acme.db")]
    [InlineData("eu/acme-1_2.db", "eu/acme-1_2.db")]
    [InlineData("b b.db", "b__20b.db")]
    [InlineData("é", "__C3__A9")]
    [InlineData(".hidden/.x", "__2Ehidden/__2Ex")]
    [InlineData("a__20.db", "a__5F_20.db")]
    [InlineData("tenant_2024__old.db", "tenant_2024__old.db")]
    [InlineData("___C3", "___5F_C3")]
    public void A_file_is_named_by_what_a_name_may_contain(string file, string name)
    {
        Assert.Equal(name, SourceNames.Escape(file));
        Assert.Equal(file, SourceNames.Unescape(name));
    }

    [Fact]
    public void Two_files_never_get_one_name()
    {
        const string letters = "_25CFé .";
        var random = new Random(1);
        for (var i = 0; i < 20_000; i++)
        {
            var file = string.Concat(Enumerable.Range(0, random.Next(1, 9)).Select(_ => letters[random.Next(letters.Length)]));
            Assert.Equal(file, SourceNames.Unescape(SourceNames.Escape(file)));
        }
    }
}
