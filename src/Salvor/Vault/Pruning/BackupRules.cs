using Salvor.Text;

namespace Salvor.Vault.Pruning;

/// <summary>
/// Which backups stay. Where a rule chooses, the others go; where none does, all stay but those that are older or more than they may be.
/// A backup that asked for days of its own stays as long.
/// </summary>
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

    /// <summary>Where no rule chooses: for how many days those stay that did not ask for days of their own.</summary>
    public int? RetentionDays { get; init; }

    /// <summary>Where no rule chooses: how many of those stay that did not ask for days of their own; the oldest go.</summary>
    public int? Max { get; init; }

    /// <summary>Whether any rule chooses.</summary>
    public bool Any => Last is not null || Hourly is not null || Daily is not null || Weekly is not null || Monthly is not null
        || Yearly is not null || Within is not null || Labels.Count > 0;
}

/// <summary>What becomes of a backup, and why.</summary>
public sealed record BackupVerdict(BackupRecord Backup, bool IsKept, string Reason)
{
    /// <summary>Whether nothing may drop it.</summary>
    public bool IsFixed { get; init; }

    /// <summary>Whether somebody wanted this one: it has a label, or days of its own that are not over.</summary>
    public bool IsWanted { get; init; }
}

/// <summary>Applies rules to the backups of a vault.</summary>
public static class BackupVerdicts
{
    /// <summary>What no prune and no request drops, by id, and what it is.</summary>
    /// <param name="backups">All.</param>
    /// <param name="proven">The newest restore point that a verification has restored; null where none is known.</param>
    /// <param name="broken">The ids of those of which it is known that they cannot be restored.</param>
    /// <param name="leading">The newest that leads to where a cluster is now; null where that is not known.</param>
    public static IReadOnlyDictionary<ulong, string> Fixed(
        IReadOnlyList<BackupRecord> backups, (uint Branch, Position Position)? proven, IReadOnlySet<ulong>? broken = null,
        ulong? leading = null)
    {
        var all = new Dictionary<ulong, string>();
        Add(NewestFirst(backups).FirstOrDefault(), "the newest backup");
        Add(NewestFirst(backups).Find(backup => broken?.Contains(backup.Id) != true), "the newest that can be restored");

        // After a failover to a standby that was behind, the newest is of a timeline that nobody is on any more.
        Add(backups.FirstOrDefault(backup => backup.Id == leading), "the newest that leads to the newest timeline");

        // Its number would be given again, to a backup that the record of this prune hides.
        Add(backups.MaxBy(backup => backup.Id), "the last that was made");
        Add(
            backups.Where(backup => backup.Branch == proven?.Branch && backup.Position <= proven?.Position.Value)
                .MaxBy(backup => (backup.Position, backup.Id)),
            "the newest that a deep verification covers");
        return all;

        void Add(BackupRecord? backup, string what)
        {
            if (backup is not null)
            {
                all.TryAdd(backup.Id, what);
            }
        }
    }

    /// <summary>Verdicts in the order of the ids.</summary>
    /// <param name="rules">Which stay.</param>
    /// <param name="backups">All.</param>
    /// <param name="proven">As for <see cref="Fixed"/>.</param>
    /// <param name="now">The time.</param>
    /// <param name="broken">As for <see cref="Fixed"/>.</param>
    /// <param name="leading">As for <see cref="Fixed"/>.</param>
    public static IReadOnlyList<BackupVerdict> Find(
        BackupRules rules, IReadOnlyList<BackupRecord> backups, (uint Branch, Position Position)? proven, DateTimeOffset now,
        IReadOnlySet<ulong>? broken = null, ulong? leading = null)
    {
        var kept = new Dictionary<ulong, string>(Fixed(backups, proven, broken, leading));
        var isFixed = kept.Keys.ToHashSet();
        var newestFirst = NewestFirst(backups);
        Keep(newestFirst.Where(backup => rules.Labels.Contains(backup.Label)), "its label");
        Keep(newestFirst.Where(backup => Age(backup) <= rules.Within), $"within {DurationText.FormatShort(rules.Within ?? default)}");
        Keep(newestFirst.Take(rules.Last ?? 0), "one of the last");
        Keep(Newest(rules.Hourly, time => $"{time:yyyyMMddHH}"), "the last of an hour");
        Keep(Newest(rules.Daily, time => $"{time:yyyyMMdd}"), "the last of a day");
        Keep(Newest(rules.Weekly, time => $"{time.AddDays(-(((int)time.DayOfWeek + 6) % 7)):yyyyMMdd}"), "the last of a week");
        Keep(Newest(rules.Monthly, time => $"{time:yyyyMM}"), "the last of a month");
        Keep(Newest(rules.Yearly, time => $"{time:yyyy}"), "the last of a year");
        var tooMany = newestFirst.Where(backup => backup.RetentionDays is null).Skip(rules.Max ?? int.MaxValue)
            .Select(backup => backup.Id).ToHashSet();
        return
        [
            .. backups.Select(backup => VerdictOf(backup) with
            {
                IsFixed = isFixed.Contains(backup.Id),
                IsWanted = backup.Label.Length > 0 || (backup.RetentionDays is not null && !IsOver(backup)),
            }),
        ];

        BackupVerdict VerdictOf(BackupRecord backup) =>
            kept.TryGetValue(backup.Id, out var why) ? new(backup, true, why)
            : IsOver(backup) ? new(backup, false, $"its {backup.RetentionDays} days are over")
            : backup.RetentionDays is { } days ? new(backup, true, $"it asked for {days} days")
            : rules.Any ? new(backup, false, "no rule keeps it")
            : Age(backup).TotalDays > rules.RetentionDays ? new(backup, false, $"it is older than {rules.RetentionDays} days")
            : tooMany.Contains(backup.Id) ? new(backup, false, $"{rules.Max} newer ones are there")
            : new(backup, true, "no rule removes it");

        bool IsOver(BackupRecord backup) => Age(backup).TotalDays > backup.RetentionDays;

        TimeSpan Age(BackupRecord backup) => now - backup.CreatedAt;

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

    static List<BackupRecord> NewestFirst(IReadOnlyList<BackupRecord> backups) =>
        [.. backups.OrderByDescending(backup => backup.Time).ThenByDescending(backup => backup.Id)];
}
