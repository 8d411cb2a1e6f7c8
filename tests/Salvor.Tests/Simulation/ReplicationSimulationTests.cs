using Salvor.Tests.Support;

namespace Salvor.Tests.Simulation;

/// <summary>
/// A database commits at random moments while the real capture sinks, queue, publisher and log writer ship to a store that is slow, loses
/// calls and loses answers, while writers are killed, meet rivals and begin again. Then the trouble stops. The promises: what was called
/// durable restores to exactly what was committed, nothing is missing in between, and what is committed last becomes durable.
/// </summary>
public sealed class ReplicationSimulationTests
{
    const int QuickSeeds = 200;

    [Fact]
    public async Task Every_durable_position_restores_to_what_was_committed()
    {
        using var folder = new TemporaryDirectory();
        await Seeds.ForEachAsync(QuickSeeds, async seed =>
        {
            var world = SimulatedWorld.Run(seed, folder.Path, keepsTrace: false);
            await new HistoryJudge(world, seed).JudgeAsync(restoreAll: seed % 50 == 0);
        });
    }

    [Fact]
    public void A_seed_reproduces_a_run()
    {
        using var folder = new TemporaryDirectory();
        foreach (var seed in (IEnumerable<int>)[1, 2, 3, 42])
        {
            var first = SimulatedWorld.Run(seed, folder.Path, keepsTrace: true);
            var second = SimulatedWorld.Run(seed, folder.Path, keepsTrace: true);
            Assert.NotEmpty(first.Witness.Trace);
            Assert.Equal(first.Witness.Trace, second.Witness.Trace);
        }
    }
}
