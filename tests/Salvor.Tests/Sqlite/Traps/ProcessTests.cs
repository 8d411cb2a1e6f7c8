using System.Globalization;
using System.Text.RegularExpressions;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>Traps for the whole program: frozen, started twice, or given far more than fits into memory.</summary>
public sealed partial class ProcessTests
{
    const int LockedByAnother = 7;

    [Fact]
    public async Task A_frozen_process_misses_nothing_when_it_goes_on()
    {
        await using var rig = new ReplicationRig(new() { Rate = 300, Checkpoint = "auto" }, writerCount: 2);
        await rig.App.StartAsync();
        await rig.StartSalvorAsync();
        await rig.SalvorReadyAsync();
        Assert.True(await rig.TrySyncAsync());
        var before = rig.App.LastAcked();
        rig.SignalSalvor(Signal.Stop);
        await Eventually.HoldsAsync(() => rig.App.LastAcked() > before + 600, () => "the writers wait for a frozen process");
        rig.SignalSalvor(Signal.Continue);
        Assert.True(await rig.TrySyncAsync());
        await rig.App.StopAsync();
        await rig.StopSalvorAsync();

        await rig.RestoreLatestAsync(exactly: rig.App.LastAcked());
        var listing = Listing.Parse((await SalvorProcess.RunAsync("list", "--from", rig.Vault, "--json")).Stdout);
        Assert.Single(listing.Spans);
    }

    [Fact]
    public async Task A_second_process_for_one_database_is_refused_and_told_who_has_it()
    {
        await using var rig = new ReplicationRig(new() { Rate = 50 }, writerCount: 1);
        await rig.App.StartAsync();
        await rig.StartSalvorAsync();
        await rig.SalvorReadyAsync();
        var second = await SalvorProcess.RunAsync("replicate", rig.Database, rig.Destination);

        Assert.Equal(LockedByAnother, second.ExitCode);
        Assert.Matches(Pid(), second.Stderr);

        // The first is not disturbed.
        Assert.True(await rig.TrySyncAsync());
        await rig.App.StopAsync();
        await rig.StopSalvorAsync();
        await rig.RestoreLatestAsync(exactly: rig.App.LastAcked());
    }

    [Fact]
    public async Task A_transaction_much_larger_than_memory_should_be_is_taken_in_bounded_memory()
    {
        const int MemoryMaxKib = 200 * 1024;
        using var scratch = new ScratchDirectory();
        var (database, vaults) = (Path.Combine(scratch.Subdirectory("app"), "app.db"), scratch.Subdirectory("vaults"));
        await using var app = SqlApp.Start(database);
        await app.DoAsync("PRAGMA journal_mode=WAL");
        await app.DoAsync("PRAGMA synchronous=OFF");
        await app.DoAsync("CREATE TABLE t (x, y)");
        await using var salvor = SalvorProcess.Start("replicate", database, vaults);
        await Eventually.HoldsAsync(() => salvor.Stderr.Contains("replicating", StringComparison.Ordinal), () => salvor.Stderr);
        await SyncAsync(database);
        await app.DoAsync("BEGIN");
        await app.DoAsync("INSERT INTO t VALUES (?, randomblob(1000000))", repeat: 150);
        await app.DoAsync("COMMIT");
        await SyncAsync(database);
        var peak = PeakKibOf(await TrapRig.ShellAsync("cat $(grep -lsaF \"" + database + "\" /proc/[0-9]*/cmdline | "
            + "xargs grep -la replicate | sed 's/cmdline/status/') | grep -E 'VmHWM'"));
        TestContext.Current.TestOutputHelper?.WriteLine($"peak of resident memory: {peak / 1024} MiB");
        Assert.InRange(peak, 1, MemoryMaxKib);

        salvor.Send(Signal.Terminate);
        Assert.Equal(0, (await salvor.ExitAsync()).ExitCode);
        var output = scratch["restored.db"];
        var restore = await SalvorProcess.RunAsync("restore", "--from", Path.Combine(vaults, "app"), "--output", output);
        Assert.True(restore.ExitCode == 0, $"{restore}");
        Assert.Equal("150|150000000", await TrapRig.QueryAsync(output, "SELECT count(*), sum(length(y)) FROM t"));
    }

    static async Task SyncAsync(string database)
    {
        var result = await SalvorProcess.RunAsync("sync", database, "--timeout", "60s");
        Assert.True(result.ExitCode == 0, $"{result}");
    }

    static long PeakKibOf(string status) =>
        PeakLines().Matches(status).Max(match => long.Parse(match.Groups[1].Value, CultureInfo.InvariantCulture));

    [GeneratedRegex(@"VmHWM:\s+(\d+) kB")]
    private static partial Regex PeakLines();

    [GeneratedRegex(@"pid \d+")]
    private static partial Regex Pid();
}
