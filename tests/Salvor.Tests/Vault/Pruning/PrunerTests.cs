using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Restore;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Pruning;

public sealed class PrunerTests
{
    static readonly TimeSpan Week = TimeSpan.FromDays(7);

    /// <summary>About how many calls there are between two kills.</summary>
    static readonly int Stride = Environment.GetEnvironmentVariable("SALVOR_ALL") is null ? 500 : 60;

    [Fact]
    public async Task A_dry_run_says_what_the_real_run_does()
    {
        var aged = await AgedVault.CreateAsync();
        var before = await AgedVault.KeysAsync(aged.Store);

        var dry = await (await aged.OpenAsync()).PlanAsync(AgedVault.Policy, null, default);
        Assert.Equal(before, await AgedVault.KeysAsync(aged.Store));
        var (real, number) = await aged.CondemnAsync();

        Assert.Equal(dry.Lines, real.Lines);
        Assert.Equal(dry.Pruned, real.Pruned);
        Assert.Equal(Keys(dry), Keys(real));
        var record = Assert.Single((await Condemnations.LoadAsync(aged.Model.Vault, default)).All);
        Assert.Equal(number, record.Number);
        Assert.Equal(Keys(dry), record.Keys);
        Assert.NotEmpty(real.Pruned);
        Assert.NotEmpty(real.Rewrites);
        Assert.True((await (await aged.OpenAsync()).PlanAsync(AgedVault.Policy, null, default)).IsEmpty);
        Assert.Null((await aged.CondemnAsync()).Number);
    }

    [Fact]
    public async Task What_is_condemned_is_not_offered_and_comes_back_when_it_is_taken_back()
    {
        var aged = await AgedVault.CreateAsync();
        var before = await aged.OfferedAsync();

        var (_, number) = await aged.CondemnAsync();

        var kept = await aged.OfferedAsync();
        Assert.True(kept.Count < before.Count / 2, $"{kept.Count} of {before.Count} are offered");
        await aged.ExpectRestorableAsync();
        await (await aged.OpenAsync()).UndeleteAsync(number!.Value, default);
        Assert.Equal(before, await aged.OfferedAsync());
        await aged.ExpectRestorableAsync();
        aged.Time.Advance(Week * 2);
        Assert.Equal(0, (await aged.DeleteAsync()).Objects);
    }

    [Fact]
    public async Task What_was_planned_without_it_is_taken_back_with_it()
    {
        var aged = await AgedVault.CreateAsync();
        var before = await aged.OfferedAsync();
        var (_, first) = await aged.CondemnAsync();
        aged.Time.Advance(TimeSpan.FromDays(3));
        var (_, second) = await aged.CondemnAsync();

        Assert.Equal([second!.Value], await (await aged.OpenAsync()).UndeleteAsync(first!.Value, default));

        Assert.Equal(before, await aged.OfferedAsync());
        aged.Time.Advance(Week * 2);
        Assert.Equal(0, (await aged.DeleteAsync()).Objects);
    }

    [Fact]
    public async Task Nothing_is_deleted_before_the_grace_ends_and_then_the_bytes_really_fall()
    {
        var aged = await AgedVault.CreateAsync();
        var bytes = await AgedVault.BytesAsync(aged.Store);
        var (plan, number) = await aged.CondemnAsync();
        var offered = await aged.OfferedAsync();
        aged.Time.Advance(Week - TimeSpan.FromSeconds(1));

        var early = await aged.DeleteAsync();

        Assert.Equal((0, Keys(plan).Count), (early.Objects, early.HeldObjects));
        Assert.Equal(plan.CondemnedBytes, early.HeldBytes);
        aged.Time.Advance(TimeSpan.FromSeconds(1));
        var dry = await (await aged.OpenAsync()).DeleteAsync(dryRun: true, default);
        var full = await AgedVault.BytesAsync(aged.Store);
        var deleted = await aged.DeleteAsync();
        Assert.Equal(dry, deleted);
        Assert.Equal((Keys(plan).Count, plan.CondemnedBytes), (deleted.Objects, deleted.Bytes));
        Assert.Equal(offered, await aged.OfferedAsync());
        await aged.ExpectRestorableAsync();
        Assert.InRange(await AgedVault.BytesAsync(aged.Store), 1, Math.Min(bytes, full - deleted.Bytes + 1000));
        Assert.Empty(await FindingsAsync(aged.Store));
        var failure = await Assert.ThrowsAsync<SalvorException>(async () =>
            await (await aged.OpenAsync()).UndeleteAsync(number!.Value, default));
        Assert.Equal("what prune 1 condemned in vault memory/app is being deleted already", failure.Message);
        failure = await Assert.ThrowsAsync<SalvorException>(async () => await (await aged.OpenAsync()).UndeleteAsync(7, default));
        Assert.Equal("vault memory/app has no record 7 of a prune", failure.Message);
    }

    [Fact]
    public async Task A_log_that_only_grew_old_keeps_its_newest_its_proven_and_its_backed_up_point()
    {
        var aged = await AgedVault.CreateAsync();
        aged.Time.Advance(TimeSpan.FromDays(1000));
        var (proven, newest) = (aged.Model.Points.ElementAt(333), aged.Model.Points.Last());

        await (await aged.OpenAsync()).CondemnAsync(AgedVault.Policy, (1, proven.Position), Week, default);
        aged.Time.Advance(Week);
        await aged.DeleteAsync();

        var offered = await aged.OfferedAsync();
        Assert.Contains(proven.Position.Value, offered);
        Assert.Contains(newest.Position.Value, offered);
        Assert.InRange(offered.Count, 2, 2 + 20);
        await aged.ExpectRestorableAsync();
        Assert.Empty(await FindingsAsync(aged.Store));
        var failure = await Assert.ThrowsAsync<SalvorException>(() => VaultReading.RestoreAsync(aged.Store, 1, new Position(3)));
        Assert.Equal(
            $"position 3 on branch 1 is no restore point any more: the first one kept there is {offered[0]}", failure.Message);
        Assert.Equal(FailureKind.NotRestorable, failure.Kind);
        var spans = await RestoreSpans.FindAsync(await VaultReading.OpenAsync(aged.Store), default);
        Assert.Equal("what came before has expired", spans[^1].BeginsWith);
    }

    [Fact]
    public async Task Who_left_the_history_at_a_condemned_point_meanwhile_keeps_all_of_it()
    {
        var aged = await AgedVault.CreateAsync();
        var stale = await VaultReading.OpenAsync(aged.Store);
        var (plan, _) = await aged.CondemnAsync();
        var point = aged.Model.Points.ElementAt(10);
        await Forks.ForkAsync(stale, new RestorePoint(1, point.Position, point.Time), "restored", 1, aged.Time, default);
        aged.Time.Advance(Week);
        var before = await AgedVault.KeysAsync(aged.Store);

        var failure = await Assert.ThrowsAsync<SalvorException>(aged.DeleteAsync);

        Assert.Equal(FailureKind.Integrity, failure.Kind);
        Assert.StartsWith("what prune 1 condemned is needed after all, so nothing of it was deleted: position ", failure.Message);
        Assert.Equal("Take it back with 'salvor prune undelete NUMBER', then run 'salvor verify'.", failure.Hint);
        Assert.Equal(before, await AgedVault.KeysAsync(aged.Store));
        await (await aged.OpenAsync()).UndeleteAsync(1, default);
        Assert.Equal(point.Content, await VaultReading.RestoreAsync(aged.Store, 2, point.Position));
        Assert.NotEmpty(plan.Condemned);
    }

    [Fact]
    public async Task What_was_made_in_their_place_is_read_whole_before_anything_is_deleted()
    {
        var aged = await AgedVault.CreateAsync();
        var (plan, _) = await aged.CondemnAsync();
        var by = "app/" + plan.Condemned.First(group => group.By.Length > 0).By;
        var whole = (await aged.Store.GetAsync(by, 1 << 24, default))!;
        await aged.Store.ReplaceAsync(by, Forge.Change(whole, bytes => bytes[ObjectHeader.SizeBytes + 3] ^= 1), default);
        aged.Time.Advance(Week);
        var before = await AgedVault.KeysAsync(aged.Store);

        var failure = await Assert.ThrowsAsync<SalvorException>(aged.DeleteAsync);

        Assert.Equal(FailureKind.Integrity, failure.Kind);
        Assert.Equal(before, await AgedVault.KeysAsync(aged.Store));
    }

    [Fact]
    public async Task A_snapshot_from_which_the_log_goes_on_is_read_whole_before_the_log_before_it_is_deleted()
    {
        var aged = await AgedVault.CreateAsync();
        var (plan, _) = await aged.CondemnAsync();
        var last = plan.Pruned.Max(range => range.Last);
        var catalog = await VaultReading.OpenAsync(aged.Store);
        var first = await new RestorePlanner(catalog).FirstAsync(1, default);
        var restore = await new RestorePlanner(catalog).PlanAsync(1, first!.Position, default);
        var key = "app/" + VaultKeys.Snapshot(1, restore.Snapshot.Position);
        Assert.True(restore.SnapshotNumber >= last);
        var whole = (await aged.Store.GetAsync(key, 1 << 24, default))!;
        await aged.Store.ReplaceAsync(key, Forge.Change(whole, bytes => bytes[ObjectHeader.SizeBytes + 3] ^= 1), default);
        aged.Time.Advance(Week);

        Assert.Equal(FailureKind.Integrity, (await Assert.ThrowsAsync<SalvorException>(aged.DeleteAsync)).Kind);
        Assert.Equal(plan.CondemnedBytes, (await (await aged.OpenAsync()).DeleteAsync(dryRun: true, default)).Bytes);
    }

    [Theory]
    [InlineData("vault", "")]
    [InlineData("claims/0000000001", "")]
    [InlineData("log/000001/0000000000000005", "")]
    [InlineData("log/000001/0000000000000005", "log/000001/0000000000000005")]
    [InlineData("log/000001/0000000000000005", "log/000001/0000000000000006-0000000000000009")]
    [InlineData("../other/vault", "")]
    public async Task A_record_that_names_what_no_prune_condemns_is_damaged_and_hides_nothing(string key, string by)
    {
        var aged = await AgedVault.CreateAsync();
        var before = await aged.OfferedAsync();
        await aged.ForgeAsync(Record(key, by));
        aged.Time.Advance(Week * 100);

        Assert.Equal(0, (await aged.DeleteAsync()).Objects);

        Assert.Equal(before, await aged.OfferedAsync());
        Assert.Equal([$"condemned/0000000001: it condemns '{key}', which no prune does"], await FindingsAsync(aged.Store));
        Assert.Equal(2UL, (await aged.CondemnAsync()).Number);
    }

    [Fact]
    public async Task A_record_that_condemns_the_end_of_a_log_deletes_nothing()
    {
        var aged = await AgedVault.CreateAsync();
        var tip = aged.Model.Tip.Number;
        await aged.ForgeAsync(Record(VaultKeys.Log(1, tip), "") with { Pruned = [new PrunedRange(1, tip, tip)] });
        aged.Time.Advance(Week * 100);

        var failure = await Assert.ThrowsAsync<SalvorException>(aged.DeleteAsync);

        Assert.Equal(
            $"what prune 1 condemned is needed after all, so nothing of it was deleted: number {tip} is the end of the log of branch 1",
            failure.Message);
    }

    [Fact]
    public async Task A_destination_that_does_not_allow_to_delete_is_reported_and_nothing_else_changes()
    {
        var aged = await AgedVault.CreateAsync();
        var (plan, _) = await aged.CondemnAsync();
        aged.Time.Advance(Week);

        var deleted = await (await aged.OpenAsync(new NoDeletes(aged.Store))).DeleteAsync(dryRun: false, default);

        Assert.Equal((0, Keys(plan).Count), (deleted.Objects, deleted.Refused));
        Assert.Equal(Keys(plan).Count, (await aged.DeleteAsync()).Objects);
    }

    [Fact]
    public async Task Copies_follow_and_a_repair_does_not_bring_back_what_was_deleted()
    {
        var aged = await AgedVault.CreateAsync();
        var copy = new MemoryStore();
        var mirror = new VaultMirror(aged.Model.Vault, copy);
        await mirror.RunAsync(everything: true, default);
        var (plan, _) = await aged.CondemnAsync();
        await mirror.RunAsync(everything: false, default);
        Assert.Equal(await aged.OfferedAsync(), await aged.OfferedAsync(copy));
        aged.Time.Advance(Week);
        await aged.DeleteAsync();

        var repair = new VaultRepair([aged.Model.Vault, aged.Model.Vault.At(copy)], parallelism: 2);
        var steps = await repair.PlanAsync(default).ToListAsync();

        var outcome = Assert.Single(steps);
        Assert.Equal((VaultKeys.Outcome(1), RepairAction.Copy), (outcome.Key, outcome.Action));
        Assert.All(Keys(plan), key => Assert.Contains("app/" + key, AgedVault.KeysAsync(copy).Result));
        await mirror.RunAsync(everything: false, default);
        Assert.Equal(await AgedVault.KeysAsync(aged.Store), await AgedVault.KeysAsync(copy));
        await aged.ExpectRestorableAsync(copy);
    }

    [Fact]
    public async Task Killed_at_any_call_the_next_run_goes_on_and_everything_kept_restores()
    {
        var aged = await AgedVault.CreateAsync();
        var kept = Keys((await (await aged.OpenAsync()).PlanAsync(AgedVault.Policy, null, default)));
        var calls = new FaultyStore(aged.Store, _ => Fault.None);
        await (await aged.OpenAsync(calls)).PlanAsync(AgedVault.Policy, null, default);
        var random = new Random(3);
        for (var dies = calls.CallCount; ; dies += random.Next(1, Stride))
        {
            var fault = random.Next(2) == 0 ? Fault.Before : Fault.After;
            var store = new FaultyStore(aged.Store, call => call.Number == dies ? fault : call.Number > dies ? Fault.Before : Fault.None);
            try
            {
                var pruner = await aged.OpenAsync(store);
                await pruner.CondemnAsync(AgedVault.Policy, null, Week, default);
                if ((await Condemnations.LoadAsync(aged.Model.Vault, default)).All.Count > 0)
                {
                    aged.Time.Advance(Week + Week);
                }

                await pruner.DeleteAsync(dryRun: false, default);
                break;
            }
            catch (StorageException)
            {
                await aged.ExpectRestorableAsync(some: random);
            }
        }

        await aged.ExpectRestorableAsync();
        Assert.Empty(await FindingsAsync(aged.Store));
        Assert.DoesNotContain("app/" + kept[0], await AgedVault.KeysAsync(aged.Store));
    }

    [Fact]
    public async Task Records_whose_work_is_done_are_taken_over_by_a_later_one_and_copies_follow()
    {
        var aged = await AgedVault.CreateAsync();
        var copy = new MemoryStore();
        var mirror = new VaultMirror(aged.Model.Vault, copy);
        var offered = new List<ulong>();
        for (var i = 0; i < 6; i++)
        {
            await aged.GrowAsync(days: 3);
            await aged.CondemnAsync();
            offered = await aged.OfferedAsync();
            await mirror.RunAsync(everything: false, default);
            aged.Advance(Retirement.Age);
            await aged.DeleteAsync();
            Assert.Equal(offered, await aged.OfferedAsync());
        }

        var left = (await Condemnations.LoadAsync(aged.Model.Vault, default)).All;
        Assert.InRange(left.Count, 1, 3);
        Assert.True(left[^1].Number > 4, $"{left[^1].Number} is the last number");
        var outcomes = (await AgedVault.KeysAsync(aged.Store)).Where(key => key.StartsWith("app/outcomes/", StringComparison.Ordinal));
        Assert.Equal(left.Count, outcomes.Count());
        await aged.ExpectRestorableAsync();
        Assert.Empty(await FindingsAsync(aged.Store));
        var steps = await new VaultRepair([aged.Model.Vault, aged.Model.Vault.At(copy)], parallelism: 2).PlanAsync(default).ToListAsync();
        Assert.All(steps, step => Assert.Equal(VaultKeys.Outcome(left[^1].Number), step.Key));
        await mirror.RunAsync(everything: true, default);
        Assert.Equal(await AgedVault.KeysAsync(aged.Store), await AgedVault.KeysAsync(copy));
        await aged.ExpectRestorableAsync(copy);
    }

    [Fact]
    public async Task A_record_that_was_taken_over_by_one_that_is_taken_back_stays()
    {
        var aged = await AgedVault.CreateAsync();
        await aged.CondemnAsync();
        aged.Time.Advance(Week);
        await aged.DeleteAsync();
        aged.Time.Advance(Retirement.Age);
        var (_, number) = await aged.CondemnAsync();
        var offered = await aged.OfferedAsync();

        await (await aged.OpenAsync()).UndeleteAsync(number!.Value, default);
        aged.Time.Advance(Retirement.Age);
        await aged.DeleteAsync();

        Assert.Equal([1, 2], (await Condemnations.LoadAsync(aged.Model.Vault, default)).All.Select(item => (int)item.Number));
        Assert.Subset((await aged.OfferedAsync()).ToHashSet(), offered.ToHashSet());
        Assert.Empty(await FindingsAsync(aged.Store));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(2, 1)]
    [InlineData(1, 3)]
    [InlineData(1, ulong.MaxValue)]
    public async Task A_record_that_takes_over_what_it_cannot_is_damaged(ulong first, ulong last)
    {
        var aged = await AgedVault.CreateAsync();
        await aged.ForgeAsync(
            Record("backups/0000000001", "") with { Retired = [new NumberRange(first, last)] }, number: 3);

        Assert.Equal([$"condemned/0000000003: it takes over records {first}-{last}"], await FindingsAsync(aged.Store));
    }

    [Fact]
    public async Task What_is_too_much_for_one_record_goes_in_several_runs()
    {
        var aged = await AgedVault.CreateAsync();
        var expected = await AgedVault.CreateAsync();
        await expected.CondemnAsync();
        var most = 0;
        for (var runs = 0; ; runs++)
        {
            var pruner = new Pruner((await VaultAccess.FindAsync(aged.Store, "app", default))!, aged.Time) { KeysMax = 300 };
            var (plan, number) = await pruner.CondemnAsync(AgedVault.Policy, null, Week, default);
            most = Math.Max(most, Keys(plan).Count);
            if (number is null)
            {
                Assert.InRange(runs, 3, 20);
                break;
            }
        }

        Assert.InRange(most, 1, 350);
        Assert.Equal(await expected.OfferedAsync(), await aged.OfferedAsync());
        await aged.ExpectRestorableAsync();
    }

    static List<string> Keys(PrunePlan plan) => [.. plan.Condemned.SelectMany(group => group.Keys)];

    static CondemnedRecord Record(string key, string by) => new()
    {
        At = DateTimeOffset.UnixEpoch,
        Host = "h",
        Pid = 1,
        GraceSeconds = 0,
        Groups = [new CondemnedGroup("because", by, [key])],
        Pruned = [],
    };

    static async Task<List<string>> FindingsAsync(IObjectStore store)
    {
        var report = await new VaultVerifier((await VaultAccess.FindAsync(store, "app", default))!, new VerifyOptions()).RunAsync(default);
        return [.. report.Findings.Select(finding => $"{finding.Key}: {finding.What}")];
    }

    /// <summary>Credentials that may write and not delete.</summary>
    sealed class NoDeletes(IObjectStore inner) : ForwardingStore(inner)
    {
        public override Task DeleteAsync(string key, CancellationToken cancellationToken) =>
            Task.FromException(new StorageException(StorageFailure.Denied, $"{key} may not be deleted", "Ask who may."));
    }
}
