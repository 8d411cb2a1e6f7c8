using System.Net;
using System.Net.Sockets;
using Salvor.Tests.Cli;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>What keeps a restored cluster from being started is told before it is restored, and no short one is called whole.</summary>
public sealed class ClusterStartTests(ClusterVault real) : IClassFixture<ClusterVault>, IDisposable
{
    readonly ScratchDirectory scratch = new();

    string Target => scratch["restored"];

    [Fact]
    public async Task Without_a_server_of_its_version_nothing_is_restored()
    {
        const string Folder = "/usr/lib/postgresql";
        Assert.SkipUnless(Environment.IsPrivilegedProcess && Directory.Exists(Folder), $"only root can hide {Folder}");
        var prefix = OtherHost.Prefix("other", scratch["boot"], scratch.Subdirectory("empty"), Folder);
        await using var restoring = ChildProcess.Start(prefix[0], [.. prefix[1..], .. SalvorProcess.CommandLine, .. Restore("--start")]);
        var result = await restoring.ExitAsync();

        CliRig.AssertError(
            result, 1,
            $"PostgreSQL {PostgresServer.Major} is not installed here: neither {Folder}/{PostgresServer.Major}/bin nor the PATH has its "
                + "'postgres'",
            $"Install it ('apt-get install postgresql-{PostgresServer.Major}'): no other version can read this cluster.");
        Assert.False(Directory.Exists(Target));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_port_that_is_taken_is_told_before_anything_is_restored(bool isGiven)
    {
        using var listener = new TcpListener(IPAddress.Loopback, isGiven ? 0 : real.Port);
        listener.Start();
        var port = ((IPEndPoint)listener.LocalEndpoint).Port;

        var result = await SalvorProcess.RunAsync(Restore(["--start", .. isGiven ? (string[])["--port", $"{port}"] : []]));

        CliRig.AssertError(
            result, 1,
            $"port {port}{(isGiven ? "" : ", which the cluster has in its settings,")} cannot be listened on here: Address already in use",
            "Choose another with '--port', or stop what listens there.");
        Assert.False(Directory.Exists(Target));
    }

    [Fact]
    public async Task A_port_of_root_is_refused()
    {
        var first = int.Parse(File.ReadAllText("/proc/sys/net/ipv4/ip_unprivileged_port_start"), null);
        Assert.SkipUnless(first > 1, "everybody may listen on every port here");

        CliRig.AssertError(
            await SalvorProcess.RunAsync(Restore("--start", "--port", "1")), 2,
            "port 1 is for root alone, as whom no server of PostgreSQL runs", "Choose another with '--port'.");
    }

    [Fact]
    public async Task A_cluster_that_stops_before_the_end_of_its_log_is_no_success()
    {
        await using var free = await PostgresServer.AtAsync(scratch, "free");
        Assert.Equal(0, (await ChildProcess.RunAsync("cp", ["-a", real.Vaults, scratch["vaults"]])).ExitCode);
        await ClusterVerifyTests.RewriteAsync(scratch["vaults"], ClusterVerifyTests.Inside(real.Moments[4].Address), flips: true);
        var config = await File.ReadAllTextAsync(real.Config, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(scratch["salvor.yaml"], config.Replace(real.Vaults, scratch["vaults"], StringComparison.Ordinal));
        string[] restore = ["restore", "pg", "--config", scratch["salvor.yaml"], "--output"];
        const string Problem = "at [0-9A-F/]+ the record there does not match its checksum";

        var told = await SalvorProcess.RunAsync([.. restore, scratch["told"]]);
        var started = await SalvorProcess.RunAsync([.. restore, Target, "--start", "--port", $"{free.Port}"]);

        Assert.True(told.ExitCode == 0, $"{told}");
        Assert.Matches(
            $"^warning: the log goes on to [0-9A-F/]+, and {Problem}: a server stops there, and has nothing of what follows. "
                + "hint: Make a base backup now, and run 'salvor verify --deep'.\n", told.Stderr);
        Assert.DoesNotContain("without a gap", told.Stdout, StringComparison.Ordinal);
        Assert.True(started.ExitCode == 5, $"{started}");
        Assert.Matches(
            $"\nsalvor: the server stopped at [0-9A-F/]+, and the log goes on to [0-9A-F/]+: {Problem}\nhint: Make a base backup now.\n",
            started.Stderr);
        Assert.DoesNotContain("accepts queries", started.Stdout, StringComparison.Ordinal);
        Assert.NotEqual(0, (await PostgresServer.RunAsync("pg_ctl", "-D", Target, "-m", "immediate", "-w", "stop")).ExitCode);
    }

    public void Dispose() => scratch.Dispose();

    string[] Restore(params IEnumerable<string> options) => ["restore", "pg", "--config", real.Config, "--output", Target, .. options];
}
