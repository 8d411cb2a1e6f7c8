using Salvor.Text;

namespace Salvor.Vault.Pruning;

/// <summary>Which backups stay. Where no rule is given, all do.</summary>
public sealed record BackupRules
{
    /// <summary>The newest so many.</summary>
    public int? Last { get; init; }

    /// <summary>The newest of each of the last so many hours that have one, and so on.</summary>
    public int? Hourly { get; init; }

    public int? Daily { get; init; }

    /// <summary>Weeks begin on Monday.</summary>
    public int? Weekly { get; init; }

    public int? Monthly { get; init; }

    public int? Yearly { get; init; }

    /// <summary>All that are younger.</summary>
    public TimeSpan? Within { get; init; }

    /// <summary>All with one of these labels.</summary>
    public IReadOnlyList<string> Labels { get; init; } = [];

    /// <summary>Whether any rule chooses.</summary>
    public bool Any => Last is not null || Hourly is not null || Daily is not null || Weekly is not null || Monthly is not null
        || Yearly is not null || Within is not null || Labels.Count > 0;
}

/// <summary>What becomes of a backup, and why.</summary>
public sealed record BackupVerdict(BackupRecord Backup, bool IsKept, string Reason);

/// <summary>Applies rules to the backups of a vault.</summary>
public static class BackupVerdicts
{
    /// <summary>Verdicts in the order of the ids. The newest backup always stays.</summary>
    public static IReadOnlyList<BackupVerdict> Find(BackupRules rules, IReadOnlyList<BackupRecord> backups, DateTimeOffset now)
    {
        var newestFirst = backups.OrderByDescending(backup => backup.Time).ThenByDescending(backup => backup.Id).ToList();
        var kept = new Dictionary<ulong, string>();
        Keep(newestFirst.Take(1), "the newest backup");

        // Its number would be given again, to a backup that the record of this prune hides.
        Keep(backups.OrderByDescending(backup => backup.Id).Take(1), "the last that was made");
        Keep(newestFirst.Where(backup => rules.Labels.Contains(backup.Label)), "its label");
        if (!rules.Any)
        {
            Keep(newestFirst, "no rule removes it");
        }

        Keep(newestFirst.Where(backup => now - backup.Time <= rules.Within), $"within {DurationText.FormatShort(rules.Within ?? default)}");
        Keep(newestFirst.Take(rules.Last ?? 0), "one of the last");
        Keep(Newest(rules.Hourly, time => $"{time:yyyyMMddHH}"), "the last of an hour");
        Keep(Newest(rules.Daily, time => $"{time:yyyyMMdd}"), "the last of a day");
        Keep(Newest(rules.Weekly, time => $"{time.AddDays(-(((int)time.DayOfWeek + 6) % 7)):yyyyMMdd}"), "the last of a week");
        Keep(Newest(rules.Monthly, time => $"{time:yyyyMM}"), "the last of a month");
        Keep(Newest(rules.Yearly, time => $"{time:yyyy}"), "the last of a year");
        return
        [
            .. backups.Select(backup =>
                kept.TryGetValue(backup.Id, out var why)
                    ? new BackupVerdict(backup, true, why)
                    : new BackupVerdict(backup, false, "no rule keeps it")),
        ];

        void Keep(IEnumerable<BackupRecord> some, string why)
        {
            foreach (var backup in some)
            {
                kept.TryAdd(backup.Id, why);
            }
        }

        IEnumerable<BackupRecord> Newest(int? count, Func<DateTime, string> unit) =>
            newestFirst.DistinctBy(backup => unit(backup.Time.UtcDateTime)).Take(count ?? 0);
    }
}
