using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>What is measured with the workload means something only if the workload itself is not what limits it.</summary>
[Collection(QuietMachine.Name)]
public sealed class WorkloadRateTests
{
    [Fact]
    public async Task A_writer_of_small_transactions_reaches_what_the_promises_are_measured_at()
    {
        using var scratch = new ScratchDirectory();
        var options = new WorkloadOptions { Profile = "small", Duration = TimeSpan.FromSeconds(1) };
        await using var workload = new Workload(scratch["app.db"], scratch.Path, options, writerCount: 1);
        await workload.StartAsync();
        var statistics = Assert.Single(await workload.FinishAsync());

        Assert.InRange(statistics.GetProperty("rate").GetDouble(), 500, double.MaxValue);
        Assert.NotEqual(JsonValueKind.Null, statistics.GetProperty("commit_us").GetProperty("p99").ValueKind);
    }
}
