using System.Globalization;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Keys;
using Salvor.Text;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>Reads how a source is drilled.</summary>
/// <param name="document">The file.</param>
/// <param name="owner">The source, as messages call it.</param>
/// <param name="section">What it may say, of a source of this kind.</param>
sealed class DrillReader(ConfigDocument document, string owner, ConfigSection section)
{
    const int ChecksMax = 100;
    const string ChecksExample = "[ { sql: SELECT count(*) FROM users, expect: \">= 100\" } ]";

    readonly IReadOnlyList<ConfigSection> kinds = section.Keys.First(key => key.Name == "checks").Sections;

    static readonly (string Name, TimeSpan? Value)[] Presets =
        [("off", null), ("daily", TimeSpan.FromDays(1)), ("weekly", TimeSpan.FromDays(7)), ("monthly", DrillConfig.Monthly)];

    /// <summary><c>off</c>, or a mapping. Without it the daemon makes no drills; with it, one a month unless it says otherwise.</summary>
    public static DrillConfig Read(ConfigDocument document, ConfigMapping source, string owner, ConfigSection section) =>
        source.Value("drill") switch
        {
            null or YamlScalarNode { Value: "off" } => new(),
            var node => new DrillReader(document, owner, section).Read(new ConfigMapping(document, node, $"drill of {owner}")),
        };

    DrillConfig Read(ConfigMapping drill)
    {
        drill.CheckKeys(section);
        return new()
        {
            Every = ReadEvery(drill),
            Checks = drill.Value("checks") is { } checks ? ReadChecks(checks) : [],
            Rto = OptionalDuration(drill, "rto", TimeSpan.FromMinutes(5)),
            Rpo = OptionalDuration(drill, "rpo", TimeSpan.FromMinutes(15)),
            AgeMax = OptionalDuration(drill, "max_age", TimeSpan.FromHours(25)),
            ShrinkPercent = ReadShrink(drill),
            KeepReports = drill.OptionalCount("keep_reports", DrillConfig.KeepReportsDefault, DrillConfig.KeepReportsMax)
                ?? DrillConfig.KeepReportsDefault,
        };
    }

    static TimeSpan? ReadEvery(ConfigMapping drill)
    {
        var text = drill.OptionalText("every", "monthly");
        foreach (var (name, value) in Presets)
        {
            if (text == name)
            {
                return value;
            }
        }

        return drill.Duration("every", DrillConfig.Monthly, DrillConfig.EveryMin, DrillConfig.EveryMax);
    }

    static TimeSpan? OptionalDuration(ConfigMapping mapping, string key, TimeSpan example) =>
        mapping.Has(key) ? mapping.Duration(key, example, TimeSpan.FromMilliseconds(1), TimeSpan.FromDays(365)) : null;

    static int? ReadShrink(ConfigMapping drill)
    {
        if (drill.OptionalText("max_shrink", "20%") is not { } text)
        {
            return null;
        }

        return text.EndsWith('%') && int.TryParse(text[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var percent)
            && percent <= DrillConfig.ShrinkPercentMax
            ? percent
            : throw drill.Error("max_shrink", $"max_shrink of {drill.Owner} is \"{text}\"", "Write whole per cent, like max_shrink: 20%.");
    }

    List<SmokeCheck> ReadChecks(YamlNode node)
    {
        if (node is not YamlSequenceNode list || list.Children.Count is 0 or > ChecksMax)
        {
            throw document.Error(
                node, $"checks of drill of {owner} is not a list of 1 to {ChecksMax} checks", $"Write checks: {ChecksExample}.");
        }

        return [.. list.Children.Select((item, index) =>
            ReadCheck(new ConfigMapping(document, item, $"check {index + 1} of drill of {owner}")))];
    }

    SmokeCheck ReadCheck(ConfigMapping check)
    {
        string[] names = [.. kinds.Select(item => item.Name)];
        check.CheckDecisive(names);
        string[] given = [.. names.Where(check.Has)];
        if (given is not [var kind])
        {
            throw document.Error(
                check.Node, $"{check.Owner} has {(given.Length == 0 ? "none" : "more than one")} of {Suggestion.Enumerate(names)}",
                $"Each check is one of them: {ChecksExample}.");
        }

        check.CheckKeys(kinds.First(item => item.Name == kind));
        var text = new SecretText(check.Text(kind, "SELECT count(*) FROM users"));

        // What a variable holds may be a secret, and reports are shown around.
        var name = check.OptionalText("name", "users are there") ?? ((YamlScalarNode)check.Value(kind)!).Value!.Trim();
        var limit = check.Duration("timeout", SmokeCheck.LimitDefault, SmokeCheck.LimitMin, SmokeCheck.LimitMax);
        return kind switch
        {
            "sql" => new SmokeCheck.Sql(name, limit, text, ReadExpectation(check)) { Database = check.OptionalText("database", "app") },
            "command" => new SmokeCheck.Command(name, limit, text, ReadExpectation(check)),
            "exists" => ReadExists(check, name, limit, text.Value),
            _ => ReadUrl(check, name, limit, text),
        };
    }

    static SmokeCheck.Exists ReadExists(ConfigMapping check, string name, TimeSpan limit, string path) =>
        path[0] == '/' && !path.Split('/').Contains("..") ? new(name, limit, path) : throw check.Error(
            "exists", $"exists of {check.Owner} is \"{path}\", which is no whole path", "Write it like exists: /srv/app/config.yml.");

    static Expectation? ReadExpectation(ConfigMapping check)
    {
        if (check.OptionalText("expect", "\">= 100\"") is not { } text)
        {
            return null;
        }

        return Expectation.TryParse(text) ?? throw check.Error(
            "expect", $"expect of {check.Owner} is \"{text}\", which compares with no number", "Write it like expect: \">= 100\".");
    }

    static SmokeCheck.Url ReadUrl(ConfigMapping check, string name, TimeSpan limit, SecretText address)
    {
        const int statusMax = 599;
        if (!Uri.TryCreate(address.Value, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
        {
            throw check.Error("url", $"url of {check.Owner} is no http or https URL", "Write it like url: http://127.0.0.1:8080/health.");
        }

        var status = check.OptionalCount("status", SmokeCheck.Url.StatusDefault, statusMax) ?? SmokeCheck.Url.StatusDefault;
        return new SmokeCheck.Url(name, limit, address, status, check.OptionalText("contains", "ok"));
    }
}
