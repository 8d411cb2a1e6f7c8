using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>Writers that go on while the service does its worst: nothing is skipped, and every restore is a committed state.</summary>
[Trait("Category", "EndToEnd")]
public sealed class RemoteFaultCycleTests
{
    /// <summary>After so many requests that fail one is let through, or the pauses between attempts would become long.</summary>
    const int FaultsInARow = 2;

    static readonly WorkloadOptions Workload = new() { Profile = "small", Checkpoint = "random", Rate = 100, Seed = 1 };

    public static TheoryData<string> Services => [.. FaultyService.Kinds];

    [Theory]
    [MemberData(nameof(Services))]
    public async Task All_faults_in_any_order_cost_no_commit(string kind)
    {
        var random = new Random(TestSeed.Take());
        await using var service = await FaultyService.StartAsync(kind);
        await using var rig = new ReplicationRig(Workload, writerCount: 1) { DestinationUrl = service.Url };
        await StartAsync(rig);
        await MeetAsync(isOfBodies: false);

        // What reads and lists is a start.
        await rig.KillSalvorAsync();
        await rig.StartSalvorAsync();
        await MeetAsync(isOfBodies: true);
        await rig.SalvorReadyAsync();
        await ExpectNothingLostAsync(rig, random, kills: 1);

        async Task MeetAsync(bool isOfBodies)
        {
            var faults = RemoteFault.All.Where(fault => !fault.IsSlow && fault.IsOfBodies == isOfBodies).ToArray();
            random.Shuffle(faults);
            foreach (var some in faults.Chunk(FaultsInARow))
            {
                some.ToList().ForEach(fault => service.Proxy.Add(fault.Make(service), isOfBodies ? "GET" : ""));
                service.Proxy.Add(new ProxyFault.Pass());
            }

            await Eventually.HoldsAsync(
                () => service.Proxy.Waiting == 0, () => $"{service.Proxy.Waiting} faults did not happen", Eventually.StartMax);
        }
    }

    [Fact]
    public async Task A_service_that_is_away_through_a_restart_of_the_daemon_and_then_is_full_costs_no_commit()
    {
        var random = new Random(TestSeed.Take());
        var shared = await CephGateway.StartedAsync();
        var port = CephGateway.FreePort();
        var bucket = await shared.NewBucketAsync() with { Endpoint = $"http://127.0.0.1:{port}" };
        var gateway = await shared.StartAnotherAsync(port);
        await using var rig = new ReplicationRig(Workload, writerCount: 1) { DestinationUrl = bucket.Location };
        await StartAsync(rig);

        await gateway.KillAsync();
        await KeepsAsync(rig, "");

        // What is captured until then waits; what is committed from then on, until the service is there, becomes one restore point.
        await rig.KillSalvorAsync();
        await rig.StartSalvorAsync();
        await Eventually.HoldsAsync(
            async () => (await StatusAsync(rig)).Contains("until that works nothing", StringComparison.Ordinal),
            () => "it does not say what it cannot do", Eventually.StartMax);
        await using var again = await shared.StartAnotherAsync(port);
        Assert.True(await rig.TrySyncAsync(), rig.LastSync);
        await ExpectNothingKeptAsync(rig);

        await shared.LimitAsync(bucket.Bucket, 1);
        await KeepsAsync(rig, "there is no room (QuotaExceeded)");
        await shared.LimitAsync(bucket.Bucket, null);
        await ExpectNothingLostAsync(rig, random, kills: 1);
    }

    static async Task StartAsync(ReplicationRig rig)
    {
        await rig.App.StartAsync();
        await rig.StartSalvorAsync();
        await rig.SalvorReadyAsync();
        Assert.True(await rig.TrySyncAsync(), rig.LastSync);
    }

    /// <summary>Waits until commits wait on this machine, for this reason.</summary>
    static Task KeepsAsync(ReplicationRig rig, string reason)
    {
        var last = "";
        return Eventually.HoldsAsync(
            async () => (last = await StatusAsync(rig)).Contains(reason, StringComparison.Ordinal) && KeptIn(last) > 1,
            () => $"nothing is kept: {last}", Eventually.StartMax);
    }

    static async Task ExpectNothingKeptAsync(ReplicationRig rig)
    {
        var last = "";
        await Eventually.HoldsAsync(async () => KeptIn(last = await StatusAsync(rig)) == 0, () => $"kept for ever: {last}");
    }

    static async Task ExpectNothingLostAsync(ReplicationRig rig, Random random, int kills)
    {
        Assert.True(await rig.TrySyncAsync(), rig.LastSync);
        await ExpectNothingKeptAsync(rig);
        await rig.App.StopAsync();
        await rig.StopSalvorAsync();
        await rig.RestoreLatestAsync(exactly: rig.App.LastAcked());
        await rig.RestoreListedAsync(random, count: 2);
        await ExpectEveryCommitAsync(rig, kills);
    }

    /// <summary>Each commit that was captured is a restore point; only a process that was killed may be where a span ends.</summary>
    static async Task ExpectEveryCommitAsync(ReplicationRig rig, int kills)
    {
        var list = await SalvorProcess.RunAsync("list", "--from", rig.Vault, "--json");
        var spans = Listing.Parse(list.Stdout).Spans;
        Assert.True(spans.Count <= 1 + kills, list.Stdout);
        Assert.All(spans, span => Assert.Equal("commits", span.Granularity));
        Assert.Equal([1, .. spans.SkipLast(1).Select(span => span.ToPosition + 1)], spans.Select(span => span.FromPosition));
    }

    static async Task<string> StatusAsync(ReplicationRig rig) =>
        (await SalvorProcess.RunAsync("status", rig.Database, "--json")).Stdout;

    static int KeptIn(string status)
    {
        using var document = JsonDocument.Parse(status);
        return document.RootElement.GetProperty("sources")[0].GetProperty("last").GetProperty("outbox_objects").GetInt32();
    }
}
