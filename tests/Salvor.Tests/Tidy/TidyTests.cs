using System.Text.RegularExpressions;

namespace Salvor.Tests.Tidy;

/// <summary>The rules of the house, as far as a machine can see them. Each lists what breaks it.</summary>
public sealed partial class TidyTests
{
    const int LinesMax = 500;
    const int LineLengthMax = 140;

    /// <summary>Where the process begins, and the only place that may take its own time and chance to pass them on.</summary>
    static readonly string[] MayTakeTimeAndChance = ["src/Salvor.Cli/Program.cs"];

    static readonly SourceFile[] Product = [.. Checkout.Sources("src")];
    static readonly SourceFile[] Everything = [.. Checkout.Sources("src", "tests", "bench")];

    [Fact]
    public void The_rules_see_the_files() => Assert.Contains(Product, file => file.Path == "src/Salvor/SalvorException.cs");

    [Fact]
    public void Layers_use_only_what_is_below_them() => AssertNone(Product.SelectMany(Layers.Violations));

    [Fact]
    public void Nothing_is_swallowed() =>
        AssertNone(Everything.SelectMany(file => file.Find(EmptyCatch(), file.CodeAndComments)));

    [Fact]
    public void Time_chance_and_identity_come_from_outside() =>
        AssertNone(Product
            .Where(file => !MayTakeTimeAndChance.Contains(file.Path))
            .SelectMany(file => file.Find(TimeAndChance(), file.Code)));

    [Fact]
    public void The_library_does_not_write_to_the_terminal() =>
        AssertNone(Product
            .Where(file => file.Path.StartsWith("src/Salvor/", StringComparison.Ordinal))
            .SelectMany(file => file.Find(Terminal(), file.Code)));

    [Fact]
    public void Files_fit_into_a_head() => AssertNone(
        from file in Everything
        let lines = file.Text.AsSpan().Count('\n')
        where lines > LinesMax
        select $"{file.Path}: {lines} lines");

    [Fact]
    public void Lines_fit_onto_a_screen() => AssertNone(
        from file in Everything
        from item in file.Text.Split('\n').Index()
        where item.Item.TrimEnd('\r').Length > LineLengthMax
        select $"{file.Path}:{item.Index + 1}: {item.Item.Length} characters");

    [Fact]
    public void Nothing_is_hidden_in_regions() => AssertNone(Everything.SelectMany(file => file.Find(Region(), file.Text)));

    [Fact]
    public void Nothing_is_left_for_later() => AssertNone(
        from path in Checkout.Files
        where path.EndsWith(".cs", StringComparison.Ordinal) || path.EndsWith(".sh", StringComparison.Ordinal) || !Path.HasExtension(path)
        let text = ReadText(path)
        from match in LeftForLater().Matches(text)
        select $"{path}: {match.Value}");

    [Fact]
    public void No_file_names_a_place_of_one_machine() => AssertNone(
        from path in Checkout.Files
        from match in MachinePath().Matches(ReadText(path))
        select $"{path}: {match.Value}");

    [Fact]
    public void Every_link_of_the_documentation_leads_somewhere() => AssertNone(
        from path in Checkout.Files
        where path.EndsWith(".md", StringComparison.Ordinal)
        from link in Markdown.BrokenLinks(path, Checkout.Read(path), target => File.Exists(target) ? File.ReadAllText(target) : null)
        select link);

    [Theory]
    [InlineData("src/Salvor/Vault/A.cs", "namespace Salvor.Vault;\nusing Salvor.Sqlite;", "Vault uses Sqlite")]
    [InlineData("src/Salvor/Vault/A.cs", "namespace Salvor.Vault;\nclass A { Jobs.Daemon d; }", "Vault uses Jobs")]
    [InlineData("src/Salvor/Sqlite/A.cs", "namespace Salvor.Sqlite;\nusing static Salvor.Postgres.B;", "Sqlite uses Postgres")]
    [InlineData("src/Salvor/A.cs", "namespace Salvor;\nclass A : Salvor.Storage.B;", "the root namespace uses Storage")]
    [InlineData("src/Salvor/Text/A.cs", "namespace Salvor.Text;\nusing Salvor.Platform;", "Text uses Platform")]
    [InlineData("src/Salvor/Jobs/A.cs", "namespace Salvor.Jobs.Config;\nusing B = Salvor.Cli.B;", "Jobs uses Cli")]
    [InlineData("src/Salvor/X/A.cs", "namespace Salvor.X;", "layer X is not in the table of Layers: say there what it may use")]
    public void The_layer_rule_finds_a_use_that_points_upwards(string path, string text, string expected) =>
        Assert.Equal([$"{path}: {expected}"], Layers.Violations(new(path, text)));

    [Theory]
    [InlineData("namespace Salvor.Vault;\nusing Salvor.Storage; using Salvor.Text; using Salvor.Platform;")]
    [InlineData("namespace Salvor.Vault;\n// Salvor.Sqlite\n/* Salvor.Jobs */")]
    [InlineData("namespace Salvor.Vault;\nclass A { string a = \"Salvor.Cli\"; string b = \"\"\"Salvor.Cli\"\"\"; }")]
    [InlineData("namespace Salvor.Vault;\nclass A { int a = b.Sqlite.C; int MySqlite.D; }")]
    [InlineData("namespace Salvor.Jobs;\nusing Salvor.Sqlite; using Salvor.Postgres;")]
    public void The_layer_rule_finds_nothing_else(string text) => Assert.Empty(Layers.Violations(new("src/Salvor/A.cs", text)));

    [Theory]
    [InlineData("try { A(); } catch { }")]
    [InlineData("try { A(); } catch (IOException) {\n}")]
    [InlineData("try { A(); } catch (IOException e) when (e.X is 1) { }")]
    [InlineData("try { A(); } catch (IOException e) when (e.X is { }) { }")]
    public void The_rule_against_swallowing_finds_an_empty_catch(string text) => Assert.Single(EmptyCatch().Matches(text));

    [Theory]
    [InlineData("catch (IOException)\n{\n    // Harmless: the next run overwrites it.\n}")]
    [InlineData("catch (IOException e) { Log(e); }\nvoid B() { }")]
    [InlineData("catch (Exception e) when (failed is { } && other is not { } first)\n{\n    Log(e);\n}")]
    public void The_rule_against_swallowing_accepts_a_reason(string text) => Assert.Empty(EmptyCatch().Matches(text));

    [Theory]
    [InlineData("var now = DateTime.UtcNow;")]
    [InlineData("DateTimeOffset.Now")]
    [InlineData("new Random()")]
    [InlineData("Random.Shared.Next()")]
    [InlineData("Guid.NewGuid()")]
    public void The_rule_of_time_and_chance_finds_what_is_taken(string text) => Assert.Single(TimeAndChance().Matches(text));

    [Theory]
    [InlineData("time.GetUtcNow()")]
    [InlineData("new Random(seed)")]
    public void The_rule_of_time_and_chance_accepts_what_is_given(string text) => Assert.Empty(TimeAndChance().Matches(text));

    [Fact]
    public void The_rule_of_machine_paths_finds_only_those()
    {
        const string place = "/wor" + "k/";
        Assert.Single(MachinePath().Matches($"cd {place}main"));
        Assert.Empty(MachinePath().Matches($"see docs{place}page, {{root}}{place}x, ~/backups and /home/"));
    }

    static void AssertNone(IEnumerable<string> violations) =>
        Assert.True(!violations.Any(), string.Join('\n', violations.Prepend("the rule is broken by")));

    /// <summary>Nothing for a file that is no text.</summary>
    static string ReadText(string path) => Checkout.Read(path) is var text && text.Contains('\0') ? "" : text;

    // Up to the first statement; the braces of a pattern ("is { }") are no block.
    [GeneratedRegex(@"\bcatch\b[^;]*?(?<!\b(is|not)\s*)\{\s*\}")]
    private static partial Regex EmptyCatch();

    [GeneratedRegex(
        @"\b(DateTime|DateTimeOffset)\.(Now|UtcNow|Today)\b|\bRandom\.Shared\b|\bnew Random\(\)|\bGuid\.(NewGuid|CreateVersion7)\b")]
    private static partial Regex TimeAndChance();

    [GeneratedRegex(@"(?<![\w.])(System\.)?Console\.")]
    private static partial Regex Terminal();

    [GeneratedRegex(@"^[ \t]*#region\b", RegexOptions.Multiline)]
    private static partial Regex Region();

    // The words are put together here, so that this file does not break its own rules.
    [GeneratedRegex(@"\bTO" + @"DO\b|\bFIX" + @"ME\b|\bXX" + @"X\b")]
    private static partial Regex LeftForLater();

    [GeneratedRegex(@"(?<![\w.}*-])/wor" + @"k/|/ho" + @"me/[a-z]")]
    private static partial Regex MachinePath();
}
