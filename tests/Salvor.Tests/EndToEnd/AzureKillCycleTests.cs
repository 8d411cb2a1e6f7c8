using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>The kills of <see cref="KillCycleTests" /> with a vault in Azure Blob Storage, as Microsoft's emulator has it.</summary>
[Trait("Category", "EndToEnd")]
public sealed class AzureKillCycleTests
{
    [Fact]
    public Task A_vault_in_a_container_keeps_the_same_promise() =>
        KillCycleTests.KillAsync(
            TestSeed.Count("SALVOR_KILLS", KillCycleTests.KillsDefault) / 24,
            random => new() { Profile = "small", Checkpoint = "random", Rate = 100, Seed = random.Next() },
            destination: async () => (await (await AzuriteServer.SharedAsync()).CreateContainerAsync()).Location);
}
