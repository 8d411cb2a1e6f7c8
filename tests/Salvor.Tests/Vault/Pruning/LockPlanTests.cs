using Salvor.Jobs;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Pruning;

namespace Salvor.Tests.Vault.Pruning;

/// <summary>Which locks are made longer, and when.</summary>
public sealed class LockPlanTests
{
    static readonly DateTimeOffset Stored = new(2026, 8, 1, 10, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(0, 14.9, false)]
    [InlineData(0, 15, true)]
    [InlineData(14, 15, true)]
    [InlineData(15, 16, false)]
    [InlineData(15, 29.9, false)]
    [InlineData(16, 30, true)]
    [InlineData(-40, -1, false)]
    [InlineData(-40, 16, true)]
    public void An_object_is_due_once_in_each_half_of_its_time(double lastDay, double day, bool isDue) => Assert.Equal(
        isDue, LockPlan.IsDue(Stored, TimeSpan.FromDays(30), Stored.AddDays(lastDay), Stored.AddDays(day)));

    [Fact]
    public void What_is_not_known_is_due()
    {
        Assert.True(LockPlan.IsDue(Stored, TimeSpan.FromDays(30), last: null, Stored.AddHours(1)));
        Assert.True(LockPlan.IsDue(null, TimeSpan.FromDays(30), Stored, Stored.AddHours(1)));
    }

    [Fact]
    public void Looked_at_as_often_as_it_is_no_lock_comes_near_its_end_and_each_is_asked_for_rarely()
    {
        var random = new Random(3);
        foreach (var days in (int[])[1, 7, 30, 365])
        {
            var time = TimeSpan.FromDays(days);
            var (until, asked) = (Stored + time, 0);
            DateTimeOffset? last = Stored - (time * random.NextDouble());
            for (var now = Stored; now < Stored + (10 * time); now += LockPlan.StepOf(time))
            {
                Assert.True(until - now >= time * 0.37, $"{until - now} are left of {days} day(s)");
                if (LockPlan.IsDue(Stored, time, last, now))
                {
                    (until, asked) = (now + time, asked + 1);
                }

                last = now;
            }

            Assert.InRange(asked, 15, 20);
        }
    }

    [Fact]
    public async Task What_is_needed_stays_locked_and_what_is_superseded_runs_out()
    {
        var bucket = await (await CephGateway.StartedAsync()).NewLockableBucketAsync();
        var only = new S3Lock(S3LockMode.Compliance, TimeSpan.FromSeconds(1));
        var model = await VaultModel.CreateAsync(CephGateway.Open(bucket with { Lock = only }), new Random(5), 512);
        await model.BeginAsync();
        for (var i = 0; i < 3; i++)
        {
            await model.CommitAsync(transactions: 1);
        }

        var catalog = await VaultCatalog.LoadAsync(model.Vault, default);
        var run = new Salvor.Vault.Compaction.CompactionRun([.. catalog.Logs(1).Entries.Take(3)], Kept: null);
        await new Salvor.Vault.Compaction.Compactor(catalog).RunAsync(1, run, default);
        var store = CephGateway.Open(bucket);
        var vault = (await VaultAccess.FindAsync(store, "app", default))!;
        var count = await LockExtension.ExtendAsync(
            store, vault, only with { Time = TimeSpan.FromHours(1) }, last: null, DateTimeOffset.UtcNow, default);

        var rows = await store.ListAsync("app/", null, default).ToListAsync();
        Assert.Equal(rows.Count - 3, count);
        var left = rows.Select(row => row.Key).ToHashSet();
        await Eventually.HoldsAsync(
            async () =>
            {
                foreach (var key in left.ToList())
                {
                    if (await TryDeleteAsync(store, key))
                    {
                        left.Remove(key);
                    }
                }

                return left.Count <= count;
            },
            () => $"{left.Count} are locked");
        Assert.DoesNotContain("app/" + VaultKeys.Log(1, 1), left);
        Assert.Equal(model.Points.Last().Content, await VaultReading.RestoreAsync(store, 1, model.Points.Last().Position));
    }

    static async Task<bool> TryDeleteAsync(S3Store store, string key)
    {
        try
        {
            await store.DeleteAsync(key, default);
            return true;
        }
        catch (StorageException)
        {
            return false;
        }
    }
}
