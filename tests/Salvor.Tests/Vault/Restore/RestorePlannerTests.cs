using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault.Restore;

public sealed class RestorePlannerTests
{
    readonly MemoryStore store = new();

    [Fact]
    public async Task A_plan_is_the_newest_snapshot_before_the_target_and_the_log_from_there()
    {
        var model = await ModelAsync(commits: 3);
        await model.SnapshotAsync();
        await model.CommitAsync(transactions: 1);
        await model.CommitAsync(transactions: 1);
        var (first, logged) = (model.Points.First().Position, model.Tip);

        var late = await PlanAsync(logged.Position, branch: 1);
        var early = await PlanAsync(first, branch: 1);

        Assert.Equal(new SnapshotRef(1, new Position(logged.Position.Value - 2)), late.Snapshot);
        Assert.Equal([logged.Number - 1, logged.Number], late.Log.Single().Entries.Select(entry => entry.Last));
        Assert.Equal((1u, logged.Position), (late.Log.Single().Branch, late.Log.Single().Until));
        Assert.Equal(2UL, late.LogObjectCount);
        Assert.Equal(new SnapshotRef(1, Position.None), early.Snapshot);
        Assert.Equal(first, early.Log.Single().Until);
    }

    [Fact]
    public async Task A_plan_for_a_snapshot_needs_no_log()
    {
        var model = await ModelAsync(commits: 2);
        await model.SnapshotAsync();

        var plan = await PlanAsync(model.Tip.Position, branch: 1);

        Assert.Equal(model.Tip.Position, plan.Snapshot.Position);
        Assert.Empty(plan.Log);
        Assert.Equal(0UL, plan.LogObjectCount);
    }

    [Fact]
    public async Task A_plan_across_a_fork_takes_of_the_parent_what_lies_before_it()
    {
        var model = await ModelAsync(commits: 3);
        var fork = model.Points.ElementAt(1);
        await model.ForkAsync(fork, image: false);
        await model.CommitAsync(transactions: 1);

        var plan = await PlanAsync(model.Tip.Position, branch: 2);

        Assert.Equal(2, plan.Log.Count);
        Assert.Equal((1u, fork.Position), (plan.Log[0].Branch, plan.Log[0].Until));
        Assert.Equal((2u, model.Tip.Position, 1UL), (plan.Log[1].Branch, plan.Log[1].Until, plan.Log[1].Entries.Single().Last));
        Assert.Equal(fork.Position.Next, model.Tip.Position);
    }

    [Fact]
    public async Task The_same_position_of_two_branches_is_two_states()
    {
        var model = await ModelAsync(commits: 3);
        await model.ForkAsync(model.Points.First(), image: false);
        await model.CommitAsync(transactions: 1);
        var position = model.Tip.Position;

        Assert.Equal(model.Branches[0].Points[1].Content, await VaultReading.RestoreAsync(store, 1, position));
        Assert.Equal(model.Branches[1].Points[0].Content, await VaultReading.RestoreAsync(store, 2, position));
        Assert.NotEqual(model.Branches[0].Points[1].Content, model.Branches[1].Points[0].Content);
    }

    [Fact]
    public async Task A_branch_on_which_nothing_happened_ends_at_its_fork()
    {
        var model = await ModelAsync(commits: 3);
        var fork = model.Points.ElementAt(1);
        await model.ForkAsync(fork, image: false);
        var planner = await PlannerAsync();

        Assert.Equal(new RestorePoint(1, fork.Position, fork.Time), await planner.LatestAsync(2, default));
        Assert.Null(await planner.FirstAsync(2, default));
        Assert.Equal(fork.Content, await VaultReading.RestoreAsync(store, 2, fork.Position));
    }

    [Fact]
    public async Task Beyond_the_newest_point_the_newest_is_offered()
    {
        var model = await ModelAsync(commits: 2);
        var newest = model.Points.Last();
        foreach (var position in (Position[])[Position.None, newest.Position.Next, new(ulong.MaxValue)])
        {
            var failure = await RefusalAsync(() => PlanAsync(position, branch: 1));

            Assert.Equal(
                $"there is no restore point {position} on branch 1; the newest is {newest.Position} of {InstantText.Format(newest.Time)}",
                failure.Message);
            Assert.Equal(
                $"Restore the newest one with '--position {newest.Position}', or run 'salvor list' for all.", failure.Hint);
        }
    }

    [Fact]
    public async Task Before_the_history_there_is_nothing_and_after_it_the_newest()
    {
        var model = await ModelAsync(commits: 2);
        var planner = await PlannerAsync();
        var (first, last) = (model.Points.First(), model.Points.Last());

        Assert.Null(await planner.AtAsync(1, first.Time.AddMicroseconds(-1), default));
        Assert.Null(await planner.AtAsync(1, DateTimeOffset.MinValue, default));
        Assert.Equal(first.Position, (await planner.AtAsync(1, first.Time, default))!.Position);
        Assert.Equal(last.Position, (await planner.AtAsync(1, DateTimeOffset.MaxValue, default))!.Position);
    }

    [Fact]
    public async Task An_empty_vault_has_nothing_to_restore()
    {
        await VaultModel.CreateAsync(store, new Random(1), 512);
        var planner = await PlannerAsync();

        var failure = Assert.Throws<SalvorException>(() => planner.NewestBranch);

        Assert.Equal(FailureKind.NotRestorable, failure.Kind);
        Assert.Equal("nothing is backed up yet in vault memory/app", failure.Message);
        Assert.Equal(
            "Let 'salvor replicate' or 'salvor daemon' finish its first full copy; 'salvor status' shows how far it is.", failure.Hint);
    }

    [Fact]
    public async Task An_image_without_its_base_is_nothing_to_restore()
    {
        var model = await ModelAsync(commits: 0);
        var broken = await FrozenStore.CopyAsync(store);
        for (var number = model.Tip.Number; number > 0; number--)
        {
            broken = broken.Without($"app/log/000001/{number:D16}");
        }

        var failure = await RefusalAsync(() => VaultReading.RestoreAsync(broken, 1, new Position(1)));

        Assert.Equal("nothing is backed up yet in vault memory/app", failure.Message);
    }

    [Fact]
    public async Task A_part_whose_end_never_came_is_no_restore_point()
    {
        var model = await ModelAsync(commits: 1);
        var before = model.Tip.Position;
        await model.LeaveOverAsync();

        Assert.Equal(before, (await (await PlannerAsync()).LatestAsync(1, default)).Position);
        var failure = await RefusalAsync(() => PlanAsync(before.Next, branch: 1));
        Assert.StartsWith($"there is no restore point {before.Next} on branch 1; the newest is {before} of", failure.Message);

        await model.CommitAsync(transactions: 1);
        Assert.Equal(model.Points.Last().Content, await VaultReading.RestoreAsync(store, 1, before.Next));
    }

    [Fact]
    public async Task Without_its_first_copy_a_vault_says_so()
    {
        await ModelAsync(commits: 1);
        var broken = (await FrozenStore.CopyAsync(store)).Without("app/snapshots/000001/0000000000000000");

        var failure = await RefusalAsync(() => VaultReading.RestoreAsync(broken, 1, new Position(1)), FailureKind.Integrity);

        Assert.Equal("vault memory/app has no snapshot at or before position 1", failure.Message);
        Assert.Equal("Its first full copy is missing. Restore from another destination with '--from'.", failure.Hint);
    }

    [Fact]
    public async Task Finding_a_point_in_a_long_log_reads_few_objects()
    {
        var model = await ModelAsync(commits: 500);
        var reads = 0;
        var counting = new FaultyStore(store, call =>
        {
            reads += call.Operation == StoreOperation.Read && call.Key.Contains("log/") ? 1 : 0;
            return Fault.None;
        });
        var planner = new RestorePlanner(await VaultReading.OpenAsync(counting));

        var point = model.Points.ElementAt(123);
        Assert.Equal(point.Position, (await planner.AtAsync(1, point.Time, default))!.Position);
        await planner.PlanAsync(1, point.Position, default);

        Assert.InRange(reads, 1, 25);
    }

    async Task<VaultModel> ModelAsync(int commits)
    {
        var model = await VaultModel.CreateAsync(store, new Random(5), 512);
        await model.BeginAsync();
        for (var i = 0; i < commits; i++)
        {
            await model.CommitAsync(transactions: 1);
        }

        return model;
    }

    async Task<RestorePlanner> PlannerAsync() => new(await VaultReading.OpenAsync(store));

    async Task<RestorePlan> PlanAsync(Position position, uint branch) => await (await PlannerAsync()).PlanAsync(branch, position, default);

    static async Task<SalvorException> RefusalAsync(Func<Task> step, FailureKind kind = FailureKind.NotRestorable)
    {
        var failure = await Assert.ThrowsAnyAsync<SalvorException>(step);
        Assert.Equal(kind, failure.Kind);
        return failure;
    }
}
