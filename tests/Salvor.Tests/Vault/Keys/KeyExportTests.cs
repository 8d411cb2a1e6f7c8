using System.Text;
using Salvor.Tests.Support;
using Salvor.Vault.Keys;

namespace Salvor.Tests.Vault.Keys;

public sealed class KeyExportTests
{
    static readonly KeyExport Export = new(
        Guid.Parse("00112233-4455-6677-8899-aabbccddeeff"), "app", [.. Enumerable.Range(0, 32).Select(i => (byte)i)]);

    [Fact]
    public void A_file_is_as_documented() => Assert.Equal(
        """
        salvor data key
        source: app
        vault: 00112233-4455-6677-8899-aabbccddeeff
        key: AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=
        check: 0471b1e5

        """,
        Export.ToFile());

    [Fact]
    public void Both_forms_are_read_as_they_were_written()
    {
        foreach (var text in (string[])[Export.ToFile(), Export.ToPaper(), Export.ToFile().Replace("\n", "\r\n", StringComparison.Ordinal)])
        {
            var read = Parse(text)!;
            Assert.Equal((Export.VaultId, Export.Source), (read.VaultId, read.Source));
            Assert.Equal(Export.DataKey.ToArray(), read.DataKey.ToArray());
        }
    }

    [Fact]
    public void A_form_may_be_typed_in_capitals_without_spaces_and_with_other_lines_around_it()
    {
        var typed = string.Join('\n', Export.ToPaper().Split('\n').Select(line =>
            char.IsAsciiDigit(line.FirstOrDefault())
                ? line[..2] + line[2..].Replace(" ", "", StringComparison.Ordinal).ToUpperInvariant()
                : line));

        Assert.NotEqual(Export.ToPaper(), typed);
        Assert.Equal(Export.DataKey.ToArray(), Parse(typed + "\nWhat this is: a note\n")!.DataKey.ToArray());
    }

    [Fact]
    public void Each_mistake_in_typing_is_noticed_and_its_line_named()
    {
        var paper = Export.ToPaper();
        var lines = paper.Split('\n');
        for (var line = 3; line < 7; line++)
        {
            for (var column = 3; column < lines[line].Length; column++)
            {
                if (!char.IsAsciiHexDigit(lines[line][column]))
                {
                    continue;
                }

                string[] typed = [.. lines];
                typed[line] = $"{lines[line][..column]}{(lines[line][column] == '7' ? '8' : '7')}{lines[line][(column + 1)..]}";
                var failure = Assert.Throws<KeyException>(() => Parse(string.Join('\n', typed)));
                Assert.Equal(
                    $"key file x is an exported key that cannot be used: line {line - 2} of the key has a mistake", failure.Message);
            }
        }
    }

    [Theory]
    [InlineData("vault: 0", "vault: 1")]
    [InlineData("key: AA", "key: AB")]
    [InlineData("key: ", "kay: ")]
    [InlineData("check: 0", "check: 1")]
    [InlineData("check: ", "")]
    public void An_export_that_is_not_whole_is_refused(string old, string replacement)
    {
        var failure = Assert.Throws<KeyException>(() => Parse(Export.ToFile().Replace(old, replacement, StringComparison.Ordinal)));

        Assert.Equal(
            "key file x is an exported key that cannot be used: it is not complete, or its check does not match", failure.Message);
    }

    [Fact]
    public void Anything_else_is_no_export() => Assert.Null(Parse("some random bytes that are long enough"));

    static KeyExport? Parse(string text) => KeyExport.TryParse(Encoding.UTF8.GetBytes(text), "key file x");
}
