using System.Globalization;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Wal;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>Where a recovery ends is found in the log of a real server, and is what PostgreSQL's own program reads there.</summary>
public sealed class RecoveryPlannerTests(RealLog real) : IClassFixture<RealLog>
{
    readonly SteppedTime time = new();
    readonly MemoryStore store = new();

    /// <summary>Commits as <c>pg_waldump</c> tells them, in order.</summary>
    IReadOnlyList<(Lsn Start, long Micros, uint Xid)> Commits => field ??=
    [
        .. real.Expected.Select(RealWal.EventOf).Where(item => item is { Kind: "COMMIT" or "COMMITPREPARED" })
            .Select(item => (item!.Value.At, Micros.Of(Time(item.Value.Text)), item.Value.Xid)),
    ];

    /// <summary>A backup that ends before the second commit.</summary>
    ClusterBackup Backup => new(7, 1, new WalRange(real.First, Commits[1].Start), Micros.ToTime(Commits[0].Micros));

    [Fact]
    public async Task Without_a_target_all_of_the_log_is_recovered_and_its_last_commit_is_promised()
    {
        var plan = await PlanAsync(new RecoveryTarget.Latest());

        Assert.IsType<RecoveryStop.AtEnd>(plan.End.Stop);
        Assert.Equal(new WalRange(real.First, real.End), plan.Log);
        Assert.Equal(1u, plan.End.Timeline);
        Assert.Equal(Commits[^1].Micros, plan.LastCommit!.Value.TimeMicros);
        Assert.InRange(plan.Promised.Value, Commits[^1].Start.Value + 1, real.End.Value);
    }

    [Fact]
    public async Task At_a_moment_the_server_stops_before_the_first_commit_that_is_later()
    {
        for (var i = 1; i < Commits.Count - 1; i++)
        {
            if (Commits[i].Micros == Commits[i + 1].Micros)
            {
                continue;
            }

            var plan = await PlanAsync(new RecoveryTarget.Time(Micros.ToTime(Commits[i].Micros)));
            Assert.Equal(new RecoveryStop.At(Commits[i + 1].Start, Inclusive: false), plan.End.Stop);
            Assert.Equal(Commits[i].Micros, plan.LastCommit!.Value.TimeMicros);
        }
    }

    [Fact]
    public async Task After_a_transaction_and_before_it_are_the_same_record_with_and_without_it()
    {
        var (start, micros, xid) = Commits[3];
        var after = await PlanAsync(new RecoveryTarget.Transaction(xid));
        var before = await PlanAsync(new RecoveryTarget.Transaction(xid, Inclusive: false));

        Assert.Equal(new RecoveryStop.At(start, Inclusive: true), after.End.Stop);
        Assert.Equal(micros, after.LastCommit!.Value.TimeMicros);
        Assert.Equal(new RecoveryStop.At(start, Inclusive: false), before.End.Stop);
        Assert.Equal(Commits[2].Micros, before.LastCommit!.Value.TimeMicros);

        // No more of the log is fetched than the segment in which it stops.
        var end = (start + (real.Shape.SegmentBytes - 1)).Floor(real.Shape.SegmentBytes);
        Assert.True(end < real.End);
        Assert.Equal([new(real.First, end), new(real.First, end)], [after.Log, before.Log]);
    }

    [Fact]
    public async Task A_named_restore_point_is_found_with_the_last_commit_before_it()
    {
        var named = real.Expected.Select(RealWal.EventOf).First(item => item is { Text: "before the drop" })!.Value;

        var plan = await PlanAsync(new RecoveryTarget.Named("before the drop"));

        Assert.Equal(new RecoveryStop.At(named.At, Inclusive: true), plan.End.Stop);
        Assert.Equal(Commits.Last(item => item.Start < named.At).Micros, plan.LastCommit!.Value.TimeMicros);
    }

    [Fact]
    public async Task At_an_address_everything_committed_up_to_it_is_there()
    {
        var plan = await PlanAsync(new RecoveryTarget.Address(Commits[3].Start));

        Assert.Equal(new RecoveryStop.At(Commits[3].Start, Inclusive: false), plan.End.Stop);
        Assert.Equal(Commits[2].Micros, plan.LastCommit!.Value.TimeMicros);
        Assert.IsType<RecoveryStop.AtEnd>((await PlanAsync(new RecoveryTarget.Address(real.End))).End.Stop);
    }

    [Fact]
    public async Task A_commit_that_begins_in_what_somebody_else_stored_is_found_by_its_number_and_by_its_address()
    {
        // Neither object has all of the record, and the second has no other commit.
        var (start, _, xid) = Commits[3];
        var vault = await EmptyVaultAsync();
        Lsn[] cuts = [real.First, start + 8, Commits[4].Start, real.End];
        foreach (var (first, end) in cuts.Zip(cuts.Skip(1)))
        {
            await new WalWriter(vault, 1, 1, real.Shape).StoreAsync(
                first, real.Bytes.AsMemory((int)(first - real.First), (int)(end - first)), time.GetUtcNow(), time.GetUtcNow(), default);
        }

        var planner = new RecoveryPlanner(await WalCatalog.LoadAsync(vault, default), [Backup]);
        var byNumber = await planner.PlanAsync(
            new RecoveryTarget.Transaction(xid), null, null, RecoveryAction.Promote, default);
        var byAddress = await planner.PlanAsync(new RecoveryTarget.Address(start), null, null, RecoveryAction.Promote, default);

        Assert.Equal(new RecoveryStop.At(start, Inclusive: true), byNumber.End.Stop);
        Assert.Equal(new RecoveryStop.At(start, Inclusive: false), byAddress.End.Stop);
    }

    [Fact]
    public async Task The_end_of_the_backup_needs_no_log_after_it()
    {
        var plan = await PlanAsync(new RecoveryTarget.Immediate());

        Assert.IsType<RecoveryStop.Consistent>(plan.End.Stop);
        Assert.Equal(Backup.Log, plan.Log);
        Assert.Equal(Backup.Log.End, plan.Promised);
    }

    [Fact]
    public async Task What_the_log_does_not_lead_to_is_refused_before_anything_is_written()
    {
        var last = InstantText.Format(Micros.ToTime(Commits[^1].Micros));
        var reach = $"which reaches to {real.End}, with its last commit at {last}, in vault memory/pg";
        var late = Micros.ToTime(Commits[^1].Micros + 1);
        await RefusesAsync(
            new RecoveryTarget.Time(late), $"{InstantText.Format(late)} is not in the log after backup 7, {reach}");
        await RefusesAsync(
            new RecoveryTarget.Named("the wedding"), $"restore point 'the wedding' is not in the log after backup 7, {reach}");
        await RefusesAsync(new RecoveryTarget.Transaction(4_000_000), $"transaction 4000000 is not in the log after backup 7, {reach}");
        await RefusesAsync(
            new RecoveryTarget.Address(new Lsn(1)),
            $"from backup 7 timeline 1 can be recovered to {Backup.Log.End}-{real.End}, and 0/1 is not in that, in vault memory/pg");
        var early = Backup.Time.AddTicks(-10);
        await RefusesAsync(
            new RecoveryTarget.Time(early),
            $"backup 7 was begun at {InstantText.Format(Backup.Time)}, after {InstantText.Format(early)}, in vault memory/pg");
    }

    [Fact]
    public async Task A_moment_within_a_backup_is_none_of_its_restore_points()
    {
        var early = Backup with { Log = new WalRange(real.First, Commits[3].Start), Time = Micros.ToTime(Commits[0].Micros) };
        var target = new RecoveryTarget.Time(Micros.ToTime(Commits[1].Micros));

        var failure = await Assert.ThrowsAsync<SalvorException>(() => PlanAsync(target, backups: early));

        Assert.StartsWith("backup 7 has what was committed until ", failure.Message, StringComparison.Ordinal);
        var before = new ClusterBackup(6, 1, new WalRange(real.First, Commits[1].Start), Micros.ToTime(Commits[0].Micros));
        Assert.Equal(6ul, (await PlanAsync(target, backups: [early, before])).Backup.Id);
    }

    [Fact]
    public async Task A_backup_whose_log_is_not_whole_is_passed_over_and_named_where_there_is_no_other()
    {
        var vault = await VaultAsync(real.Bytes.AsMemory(0, 100_000));
        var planner = new RecoveryPlanner(
            await WalCatalog.LoadAsync(vault, default), [Backup with { Log = new WalRange(real.First, real.End) }]);

        var failure = await Assert.ThrowsAsync<SalvorException>(
            () => planner.PlanAsync(new RecoveryTarget.Latest(), null, null, RecoveryAction.Promote, default));

        Assert.Equal(FailureKind.NotRestorable, failure.Kind);
        Assert.Equal(
            $"backup 7 is consistent from {real.End} on, and the log behind it ends at {real.First + 100_000}, in vault memory/pg",
            failure.Message);
        Assert.Equal(
            "Run 'salvor verify' to learn what is missing, and 'salvor repair' where another destination has it.", failure.Hint);
    }

    [Fact]
    public async Task A_timeline_or_a_backup_that_is_not_there_is_named()
    {
        Assert.Equal(
            "there is no timeline 3, in vault memory/pg",
            (await Assert.ThrowsAsync<SalvorException>(() => PlanAsync(new RecoveryTarget.Latest(), timeline: 3))).Message);
        Assert.Equal(
            "timeline 1 cannot be recovered from backup 9, in vault memory/pg",
            (await Assert.ThrowsAsync<SalvorException>(() => PlanAsync(new RecoveryTarget.Latest(), backupId: 9))).Message);
    }

    async Task RefusesAsync(RecoveryTarget target, string message)
    {
        var failure = await Assert.ThrowsAsync<SalvorException>(() => PlanAsync(target));
        Assert.Equal((FailureKind.NotRestorable, message), (failure.Kind, failure.Message));
    }

    async Task<RecoveryPlan> PlanAsync(
        RecoveryTarget target, uint? timeline = null, ulong? backupId = null, params ClusterBackup[] backups)
    {
        var vault = await VaultAsync(real.Bytes);
        var planner = new RecoveryPlanner(await WalCatalog.LoadAsync(vault, default), backups is [] ? [Backup] : backups);
        return await planner.PlanAsync(target, timeline, backupId, RecoveryAction.Promote, default);
    }

    async Task<VaultAccess> VaultAsync(ReadOnlyMemory<byte> log)
    {
        var vault = await EmptyVaultAsync();
        var writer = new WalWriter(vault, 1, 1, real.Shape);

        // Pieces that end anywhere, as those of a segment that grows do.
        var random = new Random(TestSeed.Take());
        for (var at = 0; at < log.Length;)
        {
            var piece = log.Slice(at, Math.Min(log.Length - at, random.Next(1, 400_000)));
            await writer.StoreAsync(real.First + at, piece, time.GetUtcNow(), time.GetUtcNow(), default);
            at += piece.Length;
        }

        return vault;
    }

    async Task<VaultAccess> EmptyVaultAsync()
    {
        var vault = await VaultAccess.OpenOrCreateAsync(store, "pg", VaultIdentity.Postgres, "pg", null, time, default);
        Assert.Equal(
            1u, await WalBranches.EnsureAsync(vault, real.Shape.SystemId, TimelineHistory.Read(1, default), time, default));
        return vault;
    }

    static DateTimeOffset Time(string text) =>
        DateTimeOffset.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal);
}
