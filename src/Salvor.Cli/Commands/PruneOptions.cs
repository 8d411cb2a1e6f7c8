using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Pruning;

namespace Salvor.Cli.Commands;

/// <summary>Which backups a prune keeps.</summary>
static class PruneOptions
{
    static readonly Option<int?> Last = Count("--keep-last", "Keep the newest N backups.");
    static readonly Option<int?> Hourly = Count("--keep-hourly", "Keep the newest backup of each of the last N hours that have one.");
    static readonly Option<int?> Daily = Count("--keep-daily", "The same by days.");
    static readonly Option<int?> Weekly = Count("--keep-weekly", "The same by weeks, which begin on Monday.");
    static readonly Option<int?> Monthly = Count("--keep-monthly", "The same by months.");
    static readonly Option<int?> Yearly = Count("--keep-yearly", "The same by years.");

    static readonly Option<string?> Within = new("--keep-within")
    {
        Description = "Keep every backup that is younger.", HelpName = "DURATION",
    };

    static readonly Option<string[]> Labels = new("--keep-label")
    {
        Description = "Keep every backup with this label. Again for each further label.", HelpName = "TEXT", DefaultValueFactory = _ => [],
    };

    public static Option<int?> OlderThanDays { get; } = Count("--older-than-days", "The same as '--keep-within Nd'.");

    public static void AddTo(Command command)
    {
        foreach (var option in (Option[])[Last, Hourly, Daily, Weekly, Monthly, Yearly, Within, OlderThanDays, Labels])
        {
            command.Add(option);
        }
    }

    /// <summary>The rules that are given.</summary>
    public static BackupRules In(Invocation invocation) => new()
    {
        Last = CountIn(invocation, Last),
        Hourly = CountIn(invocation, Hourly),
        Daily = CountIn(invocation, Daily),
        Weekly = CountIn(invocation, Weekly),
        Monthly = CountIn(invocation, Monthly),
        Yearly = CountIn(invocation, Yearly),
        Within = WithinIn(invocation),
        Labels = invocation.Get(Labels),
    };

    static TimeSpan? WithinIn(Invocation invocation)
    {
        var days = CountIn(invocation, OlderThanDays);
        if (invocation.Get(Within) is not { } text)
        {
            return days is { } known ? TimeSpan.FromDays(known) : null;
        }

        if (days is not null)
        {
            throw new SalvorException(
                FailureKind.Usage, "'--older-than-days' and '--keep-within' say the same in two ways", "Give one of them.");
        }

        return DurationText.TryParse(text, out var within)
            ? within
            : throw new SalvorException(
                FailureKind.Usage, $"'{text}' is not a duration", "Write for example '--keep-within 90d', '--keep-within 36h'.");
    }

    /// <summary>A number from 1 on; null where it is not given.</summary>
    public static int? CountIn(Invocation invocation, Option<int?> option)
    {
        const int CountMax = BackupRequest.RetentionDaysMax;
        return invocation.Get(option) is not { } count || count is > 0 and <= CountMax
            ? invocation.Get(option)
            : throw new SalvorException(
                FailureKind.Usage, $"'{option.Name} {count}' keeps nothing that could be meant", $"Give a number from 1 to {CountMax}.");
    }

    public static Option<int?> Count(string name, string description) => new(name) { Description = description, HelpName = "N" };
}
