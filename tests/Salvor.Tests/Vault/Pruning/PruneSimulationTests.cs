using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Vault.Pruning;

public sealed class PruneSimulationTests
{
    const int QuickSeeds = 8;

    [Fact]
    public async Task In_two_years_of_commits_prunes_kills_and_undeletes_whatever_the_ladder_keeps_restores_exactly() =>
        await Seeds.ForEachAsync(QuickSeeds, async seed =>
        {
            var world = await PrunedWorld.CreateAsync(new MemoryStore(), new Random(seed));
            for (var i = 0; i < 90; i++)
            {
                await world.StepAsync();
                await world.ExpectKeptAsync(restores: 3);
            }

            await world.SettleAsync();
            await world.ExpectKeptAsync(restores: int.MaxValue);
            await world.ExpectSoundAsync();
            await world.ExpectSmallAsync();
            Assert.True(world.Deleted > 0, "nothing was ever deleted");
        });
}
