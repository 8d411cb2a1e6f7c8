using Salvor.Vault;
using Salvor.Vault.Pruning;

namespace Salvor.Tests.Vault.Pruning;

public sealed class BackupRulesTests
{
    static readonly DateTimeOffset Now = new(2026, 8, 31, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Without_a_rule_every_backup_stays() => Assert.Equal([1, 2, 3], Kept(new(), 1, 2, 300));

    [Fact]
    public void The_newest_stays_whatever_the_rules_say() =>
        Assert.Equal([3], Kept(new() { Within = TimeSpan.FromHours(1) }, 900, 800, 700));

    [Fact]
    public void The_highest_number_stays_too_so_that_it_is_never_given_again() =>
        Assert.Equal([2, 4], Kept(new() { Last = 1 }, 400, 100, 300, 200));

    [Fact]
    public void The_last_so_many_stay() => Assert.Equal([3, 4], Kept(new() { Last = 2 }, 400, 300, 200, 100));

    [Fact]
    public void Of_each_day_the_newest_stays_for_so_many_days_that_have_one() =>
        Assert.Equal([2, 4], Kept(new() { Daily = 2 }, 100, 98, 50, 49));

    [Fact]
    public void A_week_begins_on_Monday() =>

        // Monday 0:00, Sunday 23:00 and Sunday 1:00 before it.
        Assert.Equal([2, 3], Kept(new() { Weekly = 2 }, 35, 13, 12));

    [Fact]
    public void Younger_ones_and_those_with_a_label_stay()
    {
        var rules = new BackupRules { Within = TimeSpan.FromDays(1), Labels = ["gold"] };
        var verdicts = BackupVerdicts.Find(rules, [Backup(1, 300) with { Label = "gold" }, Backup(2, 200), Backup(3, 20)], Now);

        Assert.Equal([true, false, true], verdicts.Select(verdict => verdict.IsKept));
        Assert.Equal(["its label", "no rule keeps it", "the newest backup"], verdicts.Select(verdict => verdict.Reason));
    }

    static IEnumerable<ulong> Kept(BackupRules rules, params int[] hoursAgo) => BackupVerdicts
        .Find(rules, [.. hoursAgo.Index().Select(item => Backup((ulong)item.Index + 1, item.Item))], Now)
        .Where(verdict => verdict.IsKept).Select(verdict => verdict.Backup.Id);

    static BackupRecord Backup(ulong id, int hoursAgo) => new()
    {
        Id = id,
        Branch = 1,
        Position = id,
        Time = Now - TimeSpan.FromHours(hoursAgo),
        Label = "",
        Mode = "full",
        CreatedAt = Now,
        Host = "h",
        SizeBytes = 1,
        Checksum = "",
        AddedBytes = 0,
    };
}
