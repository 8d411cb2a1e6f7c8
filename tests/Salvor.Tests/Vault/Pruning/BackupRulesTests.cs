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
        var verdicts = BackupVerdicts.Find(rules, [Backup(1, 300) with { Label = "gold" }, Backup(2, 200), Backup(3, 20)], null, Now);

        Assert.Equal([true, false, true], verdicts.Select(verdict => verdict.IsKept));
        Assert.Equal(["its label", "no rule keeps it", "the newest backup"], verdicts.Select(verdict => verdict.Reason));
    }

    [Fact]
    public void A_backup_stays_for_the_days_that_it_asked_for_and_goes_then_whatever_else_is_said()
    {
        BackupRecord[] backups =
        [
            Backup(1, 24 * 90) with { RetentionDays = 90 },
            Backup(2, (24 * 90) + 1) with { RetentionDays = 90 },
            Backup(3, 24 * 40) with { Label = "gold", RetentionDays = 39 },
            Backup(4, 24 * 40),
            Backup(5, 1),
        ];

        Assert.Equal(
            ["it asked for 90 days", "its 90 days are over", "its 39 days are over", "no rule removes it", "the newest backup"],
            Reasons(new(), backups));
        Assert.Equal(
            ["it asked for 90 days", "its 90 days are over", "its 39 days are over", "it is older than 30 days", "the newest backup"],
            Reasons(new() { RetentionDays = 30 }, backups));
        Assert.Equal(
            ["it asked for 90 days", "its 90 days are over", "its label", "no rule keeps it", "the newest backup"],
            Reasons(new() { Labels = ["gold"] }, backups));
    }

    [Fact]
    public void Of_too_many_the_oldest_go_and_those_with_days_of_their_own_do_not_count()
    {
        BackupRecord[] backups = [Backup(1, 50), Backup(2, 40), Backup(3, 30) with { RetentionDays = 9 }, Backup(4, 20), Backup(5, 1)];

        Assert.Equal(
            ["2 newer ones are there", "2 newer ones are there", "it asked for 9 days", "no rule removes it", "the newest backup"],
            Reasons(new() { Max = 2 }, backups));
    }

    [Fact]
    public void The_newest_backup_that_a_verification_covers_stays()
    {
        BackupRecord[] backups = [Backup(1, 50), Backup(2, 40), Backup(3, 30), Backup(4, 20)];

        var verdicts = BackupVerdicts.Find(new() { Last = 1 }, backups, (1, new Position(2)), Now);

        Assert.Equal([false, true, false, true], verdicts.Select(verdict => verdict.IsKept));
        Assert.Equal("the newest that a deep verification covers", verdicts[1].Reason);
        Assert.Equal([4UL], BackupVerdicts.Fixed(backups, (2, new Position(2))).Keys);
    }

    [Fact]
    public void The_newest_backup_that_leads_to_the_newest_timeline_stays_beside_newer_ones()
    {
        BackupRecord[] backups = [Backup(1, 50), Backup(2, 40), Backup(3, 30)];

        var verdicts = BackupVerdicts.Find(new() { Last = 1 }, backups, null, Now, leading: 2);

        Assert.Equal([false, true, true], verdicts.Select(verdict => verdict.IsKept));
        Assert.Equal("the newest that leads to the newest timeline", verdicts[1].Reason);
    }

    static IEnumerable<string> Reasons(BackupRules rules, IReadOnlyList<BackupRecord> backups) =>
        BackupVerdicts.Find(rules, backups, null, Now).Select(verdict => verdict.Reason);

    static IEnumerable<ulong> Kept(BackupRules rules, params int[] hoursAgo) => BackupVerdicts
        .Find(rules, [.. hoursAgo.Index().Select(item => Backup((ulong)item.Index + 1, item.Item))], null, Now)
        .Where(verdict => verdict.IsKept).Select(verdict => verdict.Backup.Id);

    static BackupRecord Backup(ulong id, int hoursAgo) => new()
    {
        Id = id,
        Branch = 1,
        Position = id,
        Time = Now - TimeSpan.FromHours(hoursAgo),
        Label = "",
        Mode = "full",
        CreatedAt = Now - TimeSpan.FromHours(hoursAgo),
        Host = "h",
        SizeBytes = 1,
        Checksum = "",
        AddedBytes = 0,
    };
}
