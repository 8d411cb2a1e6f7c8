using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>
/// What apps do to their databases, replicated and restored. Each profile meets several checkpoint modes and every kind of
/// auto_vacuum; <c>SALVOR_MATRIX=full</c> runs all combinations.
/// </summary>
[Trait("Category", "EndToEnd")]
public sealed class WorkloadTests
{
    const int WriterCount = 2;
    const int ListedPoints = 3;
    const int SpillingCacheKib = 64;
    const int FlatOut = 0;
    static readonly TimeSpan LoadDuration = TimeSpan.FromSeconds(2);
    static readonly string[] Profiles = ["small", "mixed", "big", "vacuum", "schema", "idle"];
    static readonly string[] Checkpoints = ["none", "auto", "passive", "full", "restart", "truncate", "random"];
    static readonly string[] AutoVacuums = ["none", "full", "incremental"];

    public static TheoryData<string, string, string> Cases()
    {
        var all = Environment.GetEnvironmentVariable("SALVOR_MATRIX") == "full";
        var cases = new TheoryData<string, string, string>();
        foreach (var (p, profile) in Profiles.Index())
        {
            foreach (var (c, checkpoint) in Checkpoints.Index())
            {
                foreach (var (v, autoVacuum) in AutoVacuums.Index())
                {
                    // Without being asked for all: every profile twice, every mode and every kind at least once.
                    var isChosen = (c == p || c == (p + 3) % Checkpoints.Length) && v == (p + c) % AutoVacuums.Length;
                    if (all || isChosen || (p == 0 && checkpoint == "random" && v == 0))
                    {
                        cases.Add(profile, checkpoint, autoVacuum);
                    }
                }
            }
        }

        return cases;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public Task Every_offered_point_is_a_committed_state(string profile, string checkpoint, string autoVacuum) =>
        ReplicateAsync(new() { Profile = profile, Checkpoint = checkpoint, AutoVacuum = autoVacuum, Rate = RateOf(profile) });

    [Fact]
    public Task Writers_that_never_rest_are_protected() =>
        ReplicateAsync(new() { Profile = "small", Checkpoint = "auto", Rate = FlatOut });

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public Task Pages_written_before_their_commit_are_not_taken_for_committed(string journal) =>
        ReplicateAsync(new() { Profile = "big", Journal = journal, CacheKib = SpillingCacheKib, Rate = RateOf("big") });

    [Theory]
    [InlineData("delete")]
    [InlineData("truncate")]
    [InlineData("persist")]
    public Task A_database_with_a_rollback_journal_is_protected_too(string journal) =>
        ReplicateAsync(new() { Profile = "mixed", Journal = journal, Rate = 50 });

    [Theory]
    [InlineData(512)]
    [InlineData(1024)]
    [InlineData(16384)]
    [InlineData(65536)]
    public Task Every_page_size_is_protected(int pageSize) =>
        ReplicateAsync(new() { Profile = "mixed", PageSize = pageSize, Rate = RateOf("mixed") });

    [Theory]
    [InlineData("off")]
    [InlineData("full")]
    public Task How_the_app_synchronises_does_not_matter(string synchronous) =>
        ReplicateAsync(new() { Profile = "small", Checkpoint = "random", Synchronous = synchronous, Rate = RateOf("small") });

    [Fact]
    public Task A_rollback_journal_under_vacuum_is_protected_too() =>
        ReplicateAsync(new() { Profile = "vacuum", Journal = "delete", AutoVacuum = "full", Rate = 100 });

    [Fact]
    public async Task Long_readers_at_many_marks_do_not_end_protection()
    {
        await using var rig = NewRig(new() { Profile = "small", Checkpoint = "random", Rate = 400 }, out var random);
        await rig.App.StartAsync();
        await using var readers = Tool.Start("reader.py", rig.Database, "--count", "8", "--hold", "1.5", "--follow-parent");
        await rig.StartSalvorAsync();
        await JudgeUnderLoadAsync(rig, random);
        readers.Send(Signal.Terminate);
        var result = await readers.ExitAsync();
        Assert.True(result.ExitCode == 0, $"the readers were disturbed: {result}");
        await JudgeAtTheEndAsync(rig, random);
    }

    [Fact]
    public async Task A_moment_after_a_sync_has_all_that_was_synced()
    {
        await using var rig = NewRig(new() { Profile = "small", Rate = 500 }, out _);
        await rig.App.StartAsync();
        await rig.StartSalvorAsync();
        await rig.SalvorReadyAsync();
        for (var i = 0; i < 4; i++)
        {
            var committed = rig.App.LastAcked();
            Assert.True(await rig.TrySyncAsync(), $"sync failed: {rig.LastSync}");
            var moment = TimeProvider.System.GetUtcNow();
            // The moment is restorable once something later is known, or Salvor says that nothing came.
            Assert.True(await rig.TrySyncAsync(), $"sync failed: {rig.LastSync}");

            var verdict = await rig.RestoreAtAsync(moment);
            Assert.InRange(verdict!.Seq, committed, rig.App.LastAcked());
        }
    }

    /// <summary>
    /// Commits per second of each writer: together more than is promised, or a few where each has tens of megabytes. Only the test of
    /// writers that never rest lets them take all that the machine has, which makes everything else slow and shows nothing more here.
    /// </summary>
    static int RateOf(string profile) => profile == "big" ? 8 : 300;

    static ReplicationRig NewRig(WorkloadOptions options, out Random random)
    {
        var seed = TestSeed.Take();
        random = new(seed);
        return new(options with { Seed = seed }, WriterCount);
    }

    static async Task ReplicateAsync(WorkloadOptions options)
    {
        await using var rig = NewRig(options, out var random);
        await rig.App.StartAsync();
        await rig.StartSalvorAsync();
        await JudgeUnderLoadAsync(rig, random);
        await JudgeAtTheEndAsync(rig, random);
    }

    static async Task JudgeUnderLoadAsync(ReplicationRig rig, Random random)
    {
        await rig.SalvorReadyAsync();
        await Task.Delay(LoadDuration, TestContext.Current.CancellationToken);
        Assert.True(await rig.TrySyncAsync(), $"sync failed: {rig.LastSync}");
        await rig.RestoreLatestAsync();
        await rig.RestoreListedAsync(random);
        rig.AssertHealthy();
    }

    static async Task JudgeAtTheEndAsync(ReplicationRig rig, Random random)
    {
        await rig.App.StopAsync();
        await rig.StopSalvorAsync();
        var source = await rig.JudgeAsync(rig.Database, new() { AtLeast = rig.App.LastAcked(), Live = true });
        Assert.True(source.Ok, $"the source itself is wrong: {string.Join("; ", source.Errors)}");
        await rig.RestoreLatestAsync(exactly: source.Seq);
        await rig.RestoreListedAsync(random, ListedPoints);
    }
}
