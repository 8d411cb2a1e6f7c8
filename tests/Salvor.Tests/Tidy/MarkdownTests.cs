namespace Salvor.Tests.Tidy;

public sealed class MarkdownTests
{
    [Theory]
    [InlineData("[a](other.md)")]
    [InlineData("[a](./other.md#a-heading-v1)")]
    [InlineData("[a](#here)\n# Here")]
    [InlineData("[a](https://example.com/x)")]
    [InlineData("![a](../src)")]
    [InlineData("```\n[a](nowhere.md)\n```")]
    public void A_link_that_leads_somewhere_is_accepted(string text) => Assert.Empty(BrokenLinks(text));

    [Theory]
    [InlineData("[a](nowhere.md)", "nowhere.md: no such file")]
    [InlineData("[a](other.md#nothing)", "other.md#nothing: no such heading")]
    [InlineData("[a](#nothing)\n# Here", "#nothing: no such heading")]
    public void A_link_that_leads_nowhere_is_found(string text, string expected) =>
        Assert.Equal([$"docs/page.md: {expected}"], BrokenLinks(text));

    static IEnumerable<string> BrokenLinks(string text) => Markdown.BrokenLinks(
        "docs/page.md", text, path => path.EndsWith("docs/other.md", StringComparison.Ordinal) ? "## A heading (`v1`)\n" : null);
}
