using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Cli;

/// <summary>Two machines that both believe they are to write one vault, which is in a bucket.</summary>
public sealed class TwoHostsTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task The_second_is_refused_with_the_name_of_the_first_then_after_a_takeover_the_first_stops_at_its_next_commit()
    {
        var bucket = await (await CephGateway.StartedAsync()).NewBucketAsync();
        var store = CephGateway.Open(bucket);
        var (first, second) = (new Host(_rig, "db1", bucket.Location), new Host(_rig, "db2", bucket.Location));
        await _rig.CreateDatabaseAsync("db1/app.db");
        await _rig.CreateDatabaseAsync("db2/app.db");
        var held = first.Start();
        await first.SyncAsync();

        var refused = await second.Start().ExitAsync();
        Assert.True(refused.ExitCode == 7, $"{refused}");
        Assert.Matches(
            $@"^salvor: vault {VaultAccess.LocationOf(store, "app").Replace("?", "\\?", StringComparison.Ordinal)} is held by pid \d+ on "
                + "host db1, which renewed its lease \\S+ ago\n",
            refused.Stderr);

        // The first hangs; somebody who knows that it is gone for good says so, and the second goes on.
        await first.CommitAsync(2);
        await first.SyncAsync();
        held.Send(Signal.Stop);
        await _rig.ExpectAsync(0, "break-lock", "--force", "--yes", "--from", bucket.Location);
        var taking = second.Start();
        await second.CommitAsync(3);
        await second.SyncAsync();

        held.Send(Signal.Continue);
        await first.CommitAsync(4);
        var fenced = await held.ExitAsync();
        Assert.True(fenced.ExitCode == 7, $"{fenced}");
        Assert.Matches("salvor: (another writer added log/|vault .* was taken over: epoch )", fenced.Stderr);
        await second.SyncAsync();
        await CliRig.StopAsync(taking);

        // What the first had counted durable is a restore point still, and what came after its end is the second's alone.
        await _rig.ExpectAsync(0, "verify", "--from", bucket.Location);
        Assert.Equal("1 3", await RowsAsync("newest"));
        Assert.Equal("1 2", await RowsAsync("before", "--branch", "1", "--position", "2"));

        async Task<string> RowsAsync(string name, params string[] moment)
        {
            await _rig.ExpectAsync(0, ["restore", "--from", bucket.Location, "--output", $"{name}.db", .. moment]);
            return await CliRig.RowsAsync(_rig[$"{name}.db"]);
        }
    }

    /// <summary>A machine with a database of its own, at the same path as the other.</summary>
    sealed class Host(CliRig rig, string name, string url)
    {
        readonly string[] prefix =
            OtherHost.Prefix(name, rig[$"{name}.boot"], Directory.CreateDirectory(rig[name]).FullName, rig["app"]);

        public Task CommitAsync(int x) => rig.CommitAsync(x, $"{name}/app.db");

        public ChildProcess Start() => rig.StartWith(prefix, "replicate", rig.Database, url, "--batch", "100ms");

        public Task SyncAsync() => Eventually.HoldsAsync(
            async () => (await rig.RunWithAsync(prefix, "sync", rig.Database, "--timeout", "20s")).ExitCode == 0,
            () => $"{name} does not replicate", Eventually.StartMax);
    }
}
