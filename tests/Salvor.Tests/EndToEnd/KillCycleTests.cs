using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>
/// The promise of the product under the fault it is made for. A real app commits at 500 commits/s or more, real processes
/// die by SIGKILL at random moments, and after each death what is in the vault is restored and judged.
/// <c>SALVOR_KILLS</c> is the number of kills, <c>SALVOR_SEED</c> repeats a run's choices.
/// </summary>
[Collection(EndToEndTests.Name)]
[Trait("Category", "EndToEnd")]
public sealed class KillCycleTests
{
    /// <summary>A new database and a new vault after so many kills: the first full copy is a moment to be killed in too.</summary>
    const int KillsPerLife = 12;

    const int KillsDefault = 100;
    const int SpillingCacheKib = 64;
    static readonly TimeSpan LifeMax = TimeSpan.FromMilliseconds(900);

    /// <summary>How many cycles see a sync, which raises the floor; the others may be killed before anything is durable.</summary>
    const int SyncPercent = 50;

    enum Victim
    {
        Salvor,
        App,
        Both,
        FrozenSalvor,
    }

    [Fact]
    public Task Whatever_is_killed_and_whenever_every_restore_is_a_committed_state_with_all_that_was_reported_durable() =>
        KillAsync(TestSeed.Count("SALVOR_KILLS", KillsDefault), random => new()
        {
            Profile = random.Next(3) == 0 ? "mixed" : "small",
            Checkpoint = random.Next(2) == 0 ? "random" : "auto",
            CacheKib = random.Next(3) == 0 ? SpillingCacheKib : 0,
            Rate = 400,
            Seed = random.Next(),
        });

    [Fact]
    public Task A_journal_left_by_a_killed_app_is_not_taken_for_commits() =>
        KillAsync(TestSeed.Count("SALVOR_KILLS", KillsDefault) / 3, random => new()
        {
            // Half-written transactions lie in the database file itself until the journal is rolled back.
            Profile = "big",
            Journal = "delete",
            CacheKib = SpillingCacheKib,
            Rate = 20,
            Seed = random.Next(),
        });

    [Fact]
    public Task An_encrypted_vault_keeps_the_same_promise() =>
        KillAsync(
            TestSeed.Count("SALVOR_KILLS", KillsDefault) / 8,
            random => new() { Profile = "mixed", Checkpoint = "random", Rate = 400, Seed = random.Next() },
            isEncrypted: true);

    [Fact]
    public async Task A_killed_restore_leaves_no_partial_file_at_the_target_and_the_next_one_cleans_up_after_it()
    {
        var random = new Random(TestSeed.Take());
        await using var rig = await FilledVaultAsync();
        var output = Path.Combine(rig.NewOutputDirectory(), "app.db");
        var restoreTime = await TimeOfRestoreAsync(rig);
        var floor = new Bounds { AtLeast = rig.Floor, AtMost = rig.Floor };
        for (var i = 0; i < TestSeed.Count("SALVOR_KILLS", KillsDefault) / 3; i++)
        {
            await using var restore = rig.BeginRestore(output);
            // At any moment, or just when it has begun to write, where a partial file would be most likely.
            var atFirstWrite = i % 2 == 0;
            await (atFirstWrite ? FirstWriteAsync(restore, output) : Task.Delay(random.NextDouble() * restoreTime));
            await restore.KillAsync();

            // Unfinished files start with a dot; nobody takes one for a database.
            Assert.DoesNotContain(EntriesBeside(output), name => name[0] != '.' && name != "app.db");
            if (File.Exists(output))
            {
                Assert.Empty((await rig.JudgeAsync(output, floor)).Errors);
                File.Delete(output);
            }
        }

        await using var last = rig.BeginRestore(output);
        Assert.Equal(0, (await last.ExitAsync()).ExitCode);
        Assert.Empty((await rig.JudgeAsync(output, floor)).Errors);
        Assert.Equal(["app.db"], EntriesBeside(output));
    }

    [Theory]
    [InlineData(Signal.Interrupt)]
    [InlineData(Signal.Terminate)]
    public async Task An_interrupted_restore_leaves_nothing_or_the_whole_file(Signal signal)
    {
        var random = new Random(TestSeed.Take());
        await using var rig = await FilledVaultAsync();
        var restoreTime = await TimeOfRestoreAsync(rig);
        for (var i = 0; i < 4; i++)
        {
            var output = Path.Combine(rig.NewOutputDirectory(), "app.db");
            await using var restore = rig.BeginRestore(output);
            // In the first third the runtime starts and has no handler yet: a signal then is a plain death.
            await Task.Delay((0.3 + (0.7 * random.NextDouble())) * restoreTime, TestContext.Current.CancellationToken);
            restore.Send(signal);
            var result = await restore.ExitAsync();

            var isDone = result.ExitCode == 0;
            Assert.True(isDone || result.ExitCode is 130 or 128 + (int)Signal.Terminate, $"restore ended with {result}");
            Assert.Equal(isDone ? ["app.db"] : [], EntriesBeside(output));
            if (isDone)
            {
                Assert.Empty((await rig.JudgeAsync(output, new() { AtLeast = rig.Floor })).Errors);
            }
        }
    }

    static async Task KillAsync(int kills, Func<Random, WorkloadOptions> next, bool isEncrypted = false)
    {
        var seed = TestSeed.Take();
        var random = new Random(seed);
        for (var done = 0; done < kills; done += KillsPerLife)
        {
            var label = $"SALVOR_SEED={seed}, life {(done / KillsPerLife) + 1}";
            await LiveAsync(next(random), random, Math.Min(KillsPerLife, kills - done), label, isEncrypted);
        }
    }

    static async Task LiveAsync(WorkloadOptions options, Random random, int kills, string label, bool isEncrypted)
    {
        var started = TimeProvider.System.GetTimestamp();
        await using var rig = new ReplicationRig(options, writerCount: 2) { IsEncrypted = isEncrypted };
        var doing = "start";
        try
        {
            await rig.App.StartAsync();
            await rig.StartSalvorAsync();
            for (var kill = 1; kill <= kills; kill++)
            {
                var victim = Enum.GetValues<Victim>()[random.Next(4)];
                doing = $"kill {kill} ({victim})";
                await CycleAsync(rig, victim, random);
            }

            doing = "end of life";
            await EndAsync(rig);
            var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
            TestContext.Current.TestOutputHelper?.WriteLine(
                $"{label}: {options.Profile}, {kills} kills, {rig.Restores} restores, {rig.App.LastAcked()} commits, {seconds:0.0} s");
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{label}, {doing}, in {rig.MarkFailed()}: {e.Message}", e);
        }
    }

    /// <summary>Lets everybody run for a while, kills, checks what the vault holds, and brings the dead back.</summary>
    static async Task CycleAsync(ReplicationRig rig, Victim victim, Random random)
    {
        await Task.Delay(random.NextDouble() * LifeMax, TestContext.Current.CancellationToken);
        var sync = Task.FromResult(true);
        if (random.Next(100) < SyncPercent)
        {
            await rig.SalvorReadyAsync();
            sync = rig.TrySyncAsync();
            if (random.Next(3) > 0)
            {
                Assert.True(await sync, $"sync failed although everybody was alive: {rig.LastSync}");
            }
            else
            {
                // The kill meets the sync itself: whatever it answers must be true.
                await Task.Delay(random.Next(200), TestContext.Current.CancellationToken);
            }
        }

        await KillAsync(rig, victim, random);
        var hasSynced = await sync;
        Assert.True(hasSynced || victim != Victim.App, $"sync failed although only the app died: {rig.LastSync}");
        if (random.Next(2) == 0)
        {
            await JudgeVaultAsync(rig, random);
            await ReviveAsync(rig, victim);
        }
        else
        {
            // Those who are back already change the vault that is being read.
            await ReviveAsync(rig, victim);
            await JudgeVaultAsync(rig, random);
        }
    }

    static async Task KillAsync(ReplicationRig rig, Victim victim, Random random)
    {
        switch (victim)
        {
            case Victim.Salvor:
                await rig.KillSalvorAsync();
                break;
            case Victim.App:
                await rig.App.KillAsync();
                break;
            case Victim.Both:
                // In either order: the one that is left sees the other's locks go.
                await Task.WhenAll(random.Next(2) == 0
                    ? [rig.KillSalvorAsync(), rig.App.KillAsync()]
                    : [rig.App.KillAsync(), rig.KillSalvorAsync()]);
                break;
            case Victim.FrozenSalvor:
                rig.SignalSalvor(Signal.Stop);
                await Task.Delay(random.Next(700), TestContext.Current.CancellationToken);
                // Dead while frozen, or awake again and surprised by how much happened.
                if (random.Next(2) == 0)
                {
                    await rig.KillSalvorAsync();
                }
                else
                {
                    rig.SignalSalvor(Signal.Continue);
                }

                break;
        }
    }

    static async Task ReviveAsync(ReplicationRig rig, Victim victim)
    {
        if (!rig.Replicates)
        {
            await rig.StartSalvorAsync();
        }

        if (victim is Victim.App or Victim.Both)
        {
            await rig.App.StartAsync();
        }
    }

    /// <summary>The newest state and one random point, at the same time: readers need no lock.</summary>
    static async Task JudgeVaultAsync(ReplicationRig rig, Random random) =>
        await Task.WhenAll(rig.RestoreLatestAsync(), rig.RestoreListedAsync(random));

    /// <summary>After all the deaths, an orderly end loses nothing and the source is as its writers left it.</summary>
    static async Task EndAsync(ReplicationRig rig)
    {
        await rig.SalvorReadyAsync();
        await rig.App.StopAsync();
        await rig.StopSalvorAsync();
        var last = rig.App.LastAcked();
        var source = await rig.JudgeAsync(rig.Database, new() { AtLeast = last, Live = true });
        Assert.True(source.Ok, $"the source itself is wrong: {string.Join("; ", source.Errors)}");
        await rig.RestoreLatestAsync(exactly: source.Seq);
    }

    /// <summary>A vault whose restore takes long enough to be met in the middle.</summary>
    static async Task<ReplicationRig> FilledVaultAsync()
    {
        var rig = new ReplicationRig(new() { Profile = "big", Duration = TimeSpan.FromSeconds(3) }, writerCount: 1);
        await rig.App.StartAsync();
        await rig.StartSalvorAsync();
        await rig.SalvorReadyAsync();
        await rig.App.FinishAsync();
        await rig.StopSalvorAsync();
        return rig;
    }

    /// <summary>Until the restore has put anything beside its target. Looks without a pause: writing takes milliseconds.</summary>
    static async Task FirstWriteAsync(ChildProcess restore, string output)
    {
        while (!restore.HasExited && EntriesBeside(output).Length == 0)
        {
            await Task.Yield();
        }
    }

    static async Task<TimeSpan> TimeOfRestoreAsync(ReplicationRig rig)
    {
        var started = TimeProvider.System.GetTimestamp();
        await using var restore = rig.BeginRestore(Path.Combine(rig.NewOutputDirectory(), "app.db"));
        var result = await restore.ExitAsync();
        Assert.True(result.ExitCode == 0, $"restore failed: {result}");
        return TimeProvider.System.GetElapsedTime(started);
    }

    static string[] EntriesBeside(string output) =>
        [.. Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(output)!).Select(path => Path.GetFileName(path)!)];
}
