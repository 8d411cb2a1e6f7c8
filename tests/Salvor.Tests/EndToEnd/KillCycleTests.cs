using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>
/// The promise of the product under the fault it is made for. A real app commits at 500 commits/s or more, real processes
/// die by SIGKILL at random moments, and after each death what is in the vault is restored and judged.
/// <c>SALVOR_KILLS</c> is the number of kills, <c>SALVOR_SEED</c> repeats a run's choices.
/// </summary>
[Trait("Category", "EndToEnd")]
public sealed class KillCycleTests
{
    /// <summary>A new database and a new vault after so many kills: the first full copy is a moment to be killed in too.</summary>
    const int KillsPerLife = 12;

    internal const int KillsDefault = 100;
    internal const int SpillingCacheKib = 64;
    static readonly TimeSpan LifeMax = TimeSpan.FromMilliseconds(900);

    /// <summary>How many cycles see a sync, which raises the floor; the others may be killed before anything is durable.</summary>
    const int SyncPercent = 50;

    /// <summary>
    /// Each has its own app, vault and chance, so they know nothing of each other: what one does is the same, whatever others do meanwhile.
    /// A life is mostly spent on waiting for its processes.
    /// </summary>
    const int LivesAtATime = 2;

    enum Victim
    {
        Salvor,
        App,
        Both,
        FrozenSalvor,
    }

    /// <param name="Label">What a failure needs to be repeated.</param>
    /// <param name="Options">What the app does.</param>
    /// <param name="Victims">Who is killed, in this order.</param>
    /// <param name="Random">When, and what is restored.</param>
    /// <param name="IsEncrypted">Whether the vault is encrypted.</param>
    sealed record Life(string Label, WorkloadOptions Options, Victim[] Victims, Random Random, bool IsEncrypted);

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
    public Task An_encrypted_vault_keeps_the_same_promise() =>
        KillAsync(
            TestSeed.Count("SALVOR_KILLS", KillsDefault) / 8,
            random => new() { Profile = "mixed", Checkpoint = "random", Rate = 400, Seed = random.Next() },
            isEncrypted: true);

    [Fact]
    public Task A_vault_in_a_bucket_keeps_the_same_promise() =>
        KillAsync(
            TestSeed.Count("SALVOR_KILLS", KillsDefault) / 20,
            random => new() { Profile = "mixed", Checkpoint = "random", Rate = 400, Seed = random.Next() },
            destination: async () => await (await CephGateway.StartedAsync()).NewUrlAsync());

    /// <param name="destination">Makes a place for a vault that is not a folder.</param>
    internal static async Task KillAsync(
        int kills, Func<Random, WorkloadOptions> next, bool isEncrypted = false, int livesAtATime = LivesAtATime,
        Func<Task<string>>? destination = null)
    {
        var seed = TestSeed.Take();
        var random = new Random(seed);
        var lives = new List<Life>();
        for (var done = 0; done < kills; done += KillsPerLife)
        {
            var victims = random.GetItems(Enum.GetValues<Victim>(), Math.Min(KillsPerLife, kills - done));
            lives.Add(new(
                $"SALVOR_SEED={seed}, life {lives.Count + 1}", next(random), victims, new Random(random.Next()), isEncrypted));
        }

        var parallel = new ParallelOptions
        {
            MaxDegreeOfParallelism = livesAtATime,
            CancellationToken = TestContext.Current.CancellationToken,
        };
        await Parallel.ForEachAsync(
            lives, parallel, async (life, _) => await LiveAsync(life, destination is null ? null : await destination()));
        Say($"{kills} kills: {Tally(lives.SelectMany(life => life.Victims))}");
    }

    static void Say(string line) => TestContext.Current.TestOutputHelper?.WriteLine(line);

    static string Tally(IEnumerable<Victim> victims) =>
        string.Join(", ", victims.CountBy(victim => victim).OrderBy(hit => hit.Key).Select(hit => $"{hit.Key} {hit.Value}"));

    static async Task LiveAsync(Life life, string? destinationUrl)
    {
        var started = TimeProvider.System.GetTimestamp();
        await using var rig = new ReplicationRig(life.Options, writerCount: 2)
        {
            IsEncrypted = life.IsEncrypted,
            DestinationUrl = destinationUrl,
        };
        var doing = "start";
        try
        {
            await rig.App.StartAsync();
            await rig.StartSalvorAsync();
            foreach (var (index, victim) in life.Victims.Index())
            {
                doing = $"kill {index + 1} ({victim})";
                await CycleAsync(rig, victim, life.Random);
            }

            doing = "end of life";
            await EndAsync(rig);
            var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
            Say(
                $"{life.Label}: {life.Options.Profile}, {life.Victims.Length} kills ({Tally(life.Victims)}), {rig.Restores} restores, "
                    + $"{rig.App.LastAcked()} commits, {seconds:0.0} s");
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{life.Label}, {doing}, in {rig.MarkFailed()}: {e.Message}", e);
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
}
