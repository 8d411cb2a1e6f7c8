using System.CommandLine;
using System.Globalization;
using System.Text.RegularExpressions;
using Salvor.Cli.Terminal;
using Salvor.Text;

namespace Salvor.Cli.Commands;

/// <summary>Which restore points and backups <c>list</c> prints, and how a backup looks.</summary>
static partial class ListFilter
{
    const int LastMax = 1_000_000;
    const string AllBackups = "backups";

    /// <summary>What a template may have in braces.</summary>
    static readonly Dictionary<string, Func<BackupBody, string>> Fields = new()
    {
        ["id"] = backup => Number(backup.Id),
        ["time"] = backup => InstantText.Format(backup.Timestamp),
        ["created"] = backup => InstantText.Format(backup.CreatedAt),
        ["type"] = backup => backup.Type,
        ["label"] = backup => backup.Label,
        ["size"] = backup => SizeText.Format(backup.SizeBytes),
        ["added"] = backup => SizeText.Format(backup.AddedBytes),
        ["size_bytes"] = backup => Number((ulong)backup.SizeBytes),
        ["added_bytes"] = backup => Number((ulong)backup.AddedBytes),
        ["branch"] = backup => Number(backup.Branch),
        ["position"] = backup => Number(backup.Position),
    };

    static readonly Option<string?> Type = CreateType();

    static readonly Option<int?> Last = TypedOptions.Number("--last", 1, LastMax, "The newest N backups alone.");

    static readonly Option<string?> Since = new("--since") { Description = "What is at or after this time.", HelpName = "TIME" };

    static readonly Option<string?> Until = new("--until") { Description = "What is at or before this time.", HelpName = "TIME" };

    static readonly Option<string?> Format = CreateFormat();

    public static void AddTo(Command command)
    {
        foreach (var option in (Option[])[Type, Last, Since, Until, Format])
        {
            command.Add(option);
        }
    }

    /// <summary>How a backup is to look; null for as it does.</summary>
    public static Func<BackupBody, string>? Template(Invocation invocation) =>
        invocation.Get(Format) is { } template ? backup => Fill(template, backup) : null;

    /// <summary>Those of the spans that are asked for.</summary>
    public static IEnumerable<T> Spans<T>(
        Invocation invocation, IEnumerable<T> spans, Func<T, (DateTimeOffset From, DateTimeOffset To)> timesOf)
    {
        var (since, until) = Times(invocation);
        var isWanted = invocation.Get(Type) != AllBackups && invocation.Get(Last) is null && invocation.Get(Format) is null;
        return isWanted ? spans.Where(span => timesOf(span) is var (from, to) && !(to < since) && !(from > until)) : [];
    }

    /// <summary>Those of the backups that are asked for, of the newest first; no more of them are read.</summary>
    public static IAsyncEnumerable<BackupBody> Backups(Invocation invocation, IAsyncEnumerable<BackupBody> backups)
    {
        var (since, until) = Times(invocation);
        var mode = invocation.Get(Type);
        return backups
            .Where(backup => mode is null or AllBackups || backup.Type == mode)
            .Where(backup => !(backup.Timestamp < since) && !(backup.Timestamp > until))
            .Take(invocation.Get(Last) ?? LastMax);
    }

    static (DateTimeOffset? Since, DateTimeOffset? Until) Times(Invocation invocation) =>
        (Time(invocation.Get(Since)), Time(invocation.Get(Until)));

    static DateTimeOffset? Time(string? text) => text is null ? null : InstantText.Parse(text);

    static string Number(ulong value) => value.ToString(CultureInfo.InvariantCulture);

    static string Fill(string template, BackupBody backup) => Place().Replace(template, match =>
    {
        var value = Fields[match.Groups["name"].Value](backup);
        var width = match.Groups["width"].Length > 0 ? int.Parse(match.Groups["width"].Value, CultureInfo.InvariantCulture) : 0;
        return match.Groups["side"].Value == ">" ? value.PadLeft(width) : value.PadRight(width);
    });

    static Option<string?> CreateFormat()
    {
        var option = new Option<string?>("--format")
        {
            Description = "A line for each backup alone, such as \"{id} {time} {label:<20} {size:>10}\".", HelpName = "TEMPLATE",
        };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token]
                && Place().Matches(token.Value).FirstOrDefault(match => !Fields.ContainsKey(match.Groups["name"].Value)) is { } unknown)
            {
                result.AddError(
                    $"'--format' has {unknown.Value}, which no backup has: it may have {Suggestion.Enumerate([.. Fields.Keys])}");
            }
        });
        return option;
    }

    static Option<string?> CreateType()
    {
        string[] types = [AllBackups, "full", "incremental", "differential"];
        var option = new Option<string?>("--type")
        {
            Description = "backups: no spans; full, incremental, differential: of the backups only those made with this '--mode'.",
            HelpName = "TYPE",
        };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !types.Contains(token.Value))
            {
                result.AddError($"'--type' is \"{token.Value}\", and takes {Suggestion.Enumerate(types)}");
            }
        });
        return option;
    }

    [GeneratedRegex(@"\{(?<name>[a-z_]+)(:(?<side>[<>]?)(?<width>\d{1,3}))?\}")]
    private static partial Regex Place();
}
