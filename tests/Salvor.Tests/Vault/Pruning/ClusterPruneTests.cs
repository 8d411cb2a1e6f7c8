using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Pruning;

namespace Salvor.Tests.Vault.Pruning;

/// <summary>What a prune drops of the log of a cluster.</summary>
public sealed class ClusterPruneTests
{
    const int QuickSeeds = 3;

    [Fact]
    public async Task In_months_of_log_timelines_gaps_kills_and_undeletes_every_backup_that_stays_leads_as_far_as_it_ever_did() =>
        await Seeds.ForEachAsync(QuickSeeds, async seed =>
        {
            var world = await ClusterWorld.CreateAsync(new MemoryStore(), new Random(seed));
            for (var i = 0; i < 50; i++)
            {
                await world.StepAsync();
                await world.ExpectKeptAsync(whole: false);
            }

            await world.SettleAsync();
            await world.ExpectKeptAsync(whole: true);
            await world.ExpectSmallAsync();
            Assert.True(world.Deleted > 0, "nothing was ever deleted");
        });

    [Fact]
    public async Task The_log_before_the_segment_in_which_the_oldest_kept_backup_began_goes_and_what_stays_says_why()
    {
        var world = await ClusterWorld.CreateAsync(new MemoryStore(), new Random(TestSeed.Take()));
        foreach (var (first, end) in ((int, int)[])[(40, 45), (200, 210), (300, 333)])
        {
            await world.BackUpAsync(first, end);
        }

        var plan = await world.PlanAsync(new BackupRules { Last = 1 });

        // Segments have 16 grains of 64 KiB: backup 3 began in that from 288 on.
        Assert.Equal(await world.ObjectsBeforeAsync(288), LogOf(plan));
        var lines = plan.Lines.Select(line => $"{(line.IsKept ? "keeps" : "drops")} {line.Subject}: {line.Reason}").ToList();
        Assert.Contains(lines, line => line.StartsWith("drops log 0/100000-", StringComparison.Ordinal)
            && line.EndsWith(" bytes: no backup that is kept begins before its end", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("keeps log 0/", StringComparison.Ordinal)
            && line.EndsWith(" bytes: recoveries from backup 3 on need it", StringComparison.Ordinal));
        Assert.Contains("drops backup 1: no rule keeps it", lines);

        plan = await world.PlanAsync(new BackupRules { Last = 2 });

        Assert.Equal(await world.ObjectsBeforeAsync(192), LogOf(plan));
    }

    [Fact]
    public async Task No_log_goes_while_the_record_of_a_backup_is_missing_or_cannot_be_read()
    {
        var store = new MemoryStore();
        var world = await ClusterWorld.CreateAsync(store, new Random(TestSeed.Take()));
        foreach (var (first, end) in ((int, int)[])[(40, 45), (200, 210), (300, 333)])
        {
            await world.BackUpAsync(first, end);
        }

        // As an incomplete listing would have it.
        var record = new byte[(await store.SizeAsync("pg/backups/0000000001", default))!.Value];
        await store.ReadAsync("pg/backups/0000000001", 0, record, default);
        await store.DeleteAsync("pg/backups/0000000001", default);
        var plan = await world.PlanAsync(new BackupRules { Last = 1 });
        Assert.Empty(LogOf(plan));
        const string Missing = "the record of backup 1 is missing; run 'salvor repair' first";
        Assert.Contains(plan.Lines, line => line is { IsKept: true, Reason: Missing });

        record[record.Length / 2] ^= 1;
        await store.PutAsync("pg/backups/0000000001", record, default);
        var failure = await Assert.ThrowsAnyAsync<SalvorException>(() => world.PlanAsync(new BackupRules { Last = 1 }));
        Assert.Equal(FailureKind.Integrity, failure.Kind);
    }

    [Fact]
    public async Task The_newest_backup_whose_log_is_whole_stays_where_a_newer_one_lacks_some()
    {
        var store = new MemoryStore();
        var world = await ClusterWorld.CreateAsync(store, new Random(TestSeed.Take()));
        foreach (var (first, end) in ((int, int)[])[(40, 45), (200, 210), (290, 333)])
        {
            await world.BackUpAsync(first, end);
        }

        await store.DeleteAsync($"pg/{await world.ObjectWithAsync(332)}", default);
        var plan = await world.PlanAsync(new BackupRules { Last = 1 });

        Assert.Equal(
            ["no rule keeps it", "the newest that can be restored", "the newest backup"],
            plan.Lines.Where(line => line.Subject.StartsWith("backup ", StringComparison.Ordinal)).Select(line => line.Reason));
        Assert.Equal(await world.ObjectsBeforeAsync(192), LogOf(plan));
        Assert.Equal(
            "backup 2 of vault memory/pg is the newest that can be restored, and stays",
            (await Assert.ThrowsAsync<SalvorException>(() => world.CondemnBackupAsync(2))).Message);
    }

    static IEnumerable<string> LogOf(PrunePlan plan) =>
        plan.Condemned.SelectMany(group => group.Keys).Where(key => key.StartsWith(VaultKeys.Wals, StringComparison.Ordinal));
}
