using System.Text;
using Salvor.Files;

namespace Salvor.Tests.Files;

public sealed class PathPatternsTests
{
    [Theory]
    [InlineData("*.tmp", "/a/b.tmp", true)]
    [InlineData("*.tmp", "/a/b.tmp2", false)]
    [InlineData("cache", "/srv/cache", true)]
    [InlineData("cache", "/srv/cached", false)]
    [InlineData("/srv/app", "/srv/app", true)]
    [InlineData("/srv/app", "/x/srv/app", false)]
    [InlineData("app/cache", "/srv/app/cache", true)]
    [InlineData("/srv/*/cache", "/srv/app/cache", true)]
    [InlineData("/srv/*/cache", "/srv/a/b/cache", false)]
    [InlineData("/srv/**/cache", "/srv/a/b/cache", true)]
    [InlineData("/srv/**", "/srv/a/b", true)]
    [InlineData("file?", "/file1", true)]
    [InlineData("file[0-3]", "/file2", true)]
    [InlineData("file[!0-3]", "/file2", false)]
    [InlineData("\\*", "/*", true)]
    [InlineData("\\*", "/a", false)]
    [InlineData("a*b*c", "/aXXbYYc", true)]
    [InlineData("a*b*c", "/aXXbYY", false)]
    public void A_pattern_matches_as_in_gitignore(string pattern, string path, bool expected) =>
        Assert.Equal(expected, PathPatterns.Parse([pattern]).Matches(Encoding.UTF8.GetBytes(path), isDirectory: false));

    [Fact]
    public void A_pattern_with_a_slash_at_its_end_is_for_directories() =>
        Assert.Equal(
            (true, false),
            (PathPatterns.Parse(["cache/"]).Matches("/a/cache"u8, true), PathPatterns.Parse(["cache/"]).Matches("/a/cache"u8, false)));

    [Fact]
    public void The_last_pattern_that_matches_decides()
    {
        var patterns = PathPatterns.Parse(["*.log", "!keep.log"]);
        Assert.True(patterns.Matches("/a.log"u8, false));
        Assert.False(patterns.Matches("/keep.log"u8, false));
    }

    [Fact]
    public void A_name_that_is_no_text_is_matched_by_its_bytes() =>
        Assert.True(PathPatterns.Parse(["x*"]).Matches([(byte)'/', (byte)'x', 0xFF], false));

    [Theory]
    [InlineData("/", "names nothing")]
    [InlineData("!", "names nothing")]
    [InlineData("../a", "has a part that is no name")]
    [InlineData("a[b", "has a [ without its ]")]
    public void A_pattern_that_is_none_is_refused(string pattern, string why) =>
        Assert.Equal($"pattern \"{pattern}\" {why}", Assert.Throws<SalvorException>(() => PathPatterns.Parse([pattern])).Message);
}
