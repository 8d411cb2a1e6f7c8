using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class YamlTextTests
{
    const string SyntaxHint =
        "Correct the YAML there. Usual causes are indentation, a missing quote, a missing space after a colon, and a ${..} without "
        + "quotes inside of { } or [ ].";

    [Theory]
    [InlineData("a: 'x", "1:4", "while scanning a quoted scalar, found unexpected end of stream")]
    [InlineData("a: b: c", "1:5", "while scanning a plain scalar value, found invalid mapping")]
    [InlineData("a:\n  - 1\n b: 2", "3:2", "while parsing a block mapping, did not find expected key")]
    [InlineData("a: [1\nb: 2", "1:4", "the list or mapping that begins here is malformed: its end may be missing")]
    [InlineData("b: {a: 1\nc: 2", "1:4", "the list or mapping that begins here is malformed: its end may be missing")]
    [InlineData("a: {b: ${X}}", "1:9", "while parsing a flow mapping, did not find expected ',' or '}'")]
    [InlineData("!<> x", "1:4", "what follows here is malformed")]
    public void A_slip_of_syntax_is_named_with_its_place(string text, string place, string message) =>
        AssertError(place, message, SyntaxHint, text);

    [Theory]
    [InlineData("a: 1\na: 2", "2:1", "duplicate key a")]
    [InlineData("a: 1\n!!str a: 2", "2:1", "duplicate key a")]
    public void A_key_is_written_once(string text, string place, string message) =>
        AssertError(place, message, "Keep one of the two.", text);

    [Fact]
    public void A_source_is_written_once() => AssertError(
        "5:3", "duplicate key app", "Keep one of the two.", $"{Minimal}\n  app: {{ type: sqlite, path: /b.db, to: [local] }}");

    [Theory]
    [InlineData("")]
    [InlineData("# nothing yet\n")]
    [InlineData("---\n")]
    public void An_empty_file_is_refused(string text) =>
        AssertError("1:1", "the configuration is empty", "Give it 'destinations:' and 'sources:'.", text);

    [Theory]
    [InlineData("- a")]
    [InlineData("hello")]
    public void A_file_that_is_no_mapping_is_refused(string text) => AssertError(
        "1:1", "the configuration is not a mapping of keys to values", "Begin it with 'destinations:' and 'sources:'.", text);

    [Fact]
    public void One_file_is_one_document() => AssertError(
        "6:1", "a second document begins here", "Keep one document, without '---' inside.", $"{Minimal}\n---\na: 1");

    [Theory]
    [InlineData("a: *x", "1:4", "*x refers to an anchor that is not defined", "Write &x before the value it means.")]
    [InlineData("a: &x [*x]", "1:8", "*x refers to itself", "Move the anchor out of the value that uses it.")]
    [InlineData("a: !secret x", "1:4", "tag !secret has no meaning here", "Remove it, or put quotes around the text.")]
    [InlineData("? [a]\n: b", "1:3", "a key in the configuration is a list, but a name is expected", "Write it as 'key: value'.")]
    [InlineData("<<: 1", "1:5", "<< in the configuration takes a text, but a mapping is expected", "Write <<: *anchor.")]
    public void What_yaml_can_and_a_setting_cannot_is_refused(string text, string place, string message, string hint) =>
        AssertError(place, message, hint, text);

    [Theory]
    [InlineData('[', "1:33")]
    [InlineData('{', "1:33")]
    public void Depth_has_an_end_because_the_stack_has_one(char open, string place) => AssertError(
        place,
        "lists and mappings are nested more than 32 deep",
        "Flatten them: no setting needs that.",
        new string(open, 1_000_000));

    /// <summary>
    /// A configuration with one character removed, replaced or everything after it cut off. Whatever that gives is either a
    /// configuration or an error with a place, never another exception.
    /// </summary>
    [Fact]
    public void A_damaged_file_is_an_error_with_a_place()
    {
        const string text = """
            destinations: { local: { type: file, path: &p "/back\u0020ups" } } # comment
            sources:
              app: &app
                type: sqlite
                path: '/data/${NAME}.db'
                to: [ local, ]
              other: { <<: *app, path: !!str /other$$.db, batch: 1s }
            restore:
              ? scratch
              : >-
                folded
                text
            log:
              level: |-
                debug
            """;
        Assert.Equal("/other$.db", Parse(text, ("NAME", "n")).Sources["other"].Path);

        var errorCount = 0;
        for (var i = 0; i < text.Length; i++)
        {
            foreach (var damaged in Damage(text, i))
            {
                var e = Record.Exception(() => Parse(damaged, ("NAME", "n")));
                if (e is not null)
                {
                    Assert.True(e is SalvorException { Kind: FailureKind.Usage }, $"{e}\n{damaged}");
                    Assert.Matches(@"^/etc/salvor/c\.yaml:\d+:\d+: ", e.Message);
                    errorCount++;
                }
            }
        }

        Assert.True(errorCount > text.Length, $"only {errorCount} errors");
    }

    static IEnumerable<string> Damage(string text, int index)
    {
        yield return text[..index];
        yield return text.Remove(index, 1);
        foreach (var character in "[]{}:,\"'&*!|>%@`?-#\t\n\0<")
        {
            yield return $"{text[..index]}{character}{text[(index + 1)..]}";
        }
    }
}
