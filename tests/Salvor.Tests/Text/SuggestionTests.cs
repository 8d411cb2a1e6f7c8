using Salvor.Text;

namespace Salvor.Tests.Text;

public sealed class SuggestionTests
{
    static readonly string[] Keys = ["type", "path", "paths", "to", "batch", "max_block", "max_wal"];

    [Theory]
    [InlineData("pth", "path")]
    [InlineData("ptah", "path")]
    [InlineData("Path", "path")]
    [InlineData("pathss", "paths")]
    [InlineData("ot", "to")]
    [InlineData("too", "to")]
    [InlineData("max-wal", "max_wal")]
    [InlineData("maxblock", "max_block")]
    [InlineData("bath", "path")]
    public void A_slip_of_the_keyboard_finds_its_word(string word, string expected) => Assert.Equal(expected, Suggestion.For(word, Keys));

    [Theory]
    [InlineData("xyz")]
    [InlineData("retention")]
    [InlineData("b")]
    public void Another_word_finds_nothing(string word) => Assert.Null(Suggestion.For(word, Keys));

    [Fact]
    public void Among_no_candidates_there_is_no_suggestion() => Assert.Null(Suggestion.For("path", []));

    [Fact]
    public void The_sentence_is_ready_to_stand_before_a_hint()
    {
        Assert.Equal("Did you mean \"path\"? ", Suggestion.Sentence("pth", Keys));
        Assert.Equal("", Suggestion.Sentence("xyz", Keys));
    }

    [Theory]
    [InlineData("none")]
    [InlineData("a", "a")]
    [InlineData("a and b", "a", "b")]
    [InlineData("a, b and c", "a", "b", "c")]
    public void A_list_reads_like_a_sentence(string expected, params string[] words) => Assert.Equal(expected, Suggestion.Enumerate(words));
}
