using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>The promises of replication and restore where the vault is on an SFTP server, by real processes.</summary>
[Trait("Category", "EndToEnd")]
public sealed class SftpReplicationTests : IAsyncLifetime
{
    const int DestinationUnreachable = 4;
    static readonly WorkloadOptions Workload = new() { Profile = "small", Checkpoint = "auto", Rate = 200, Seed = 1 };

    readonly TemporaryDirectory directory = new();
    SshServer server = null!;
    int folders;

    public async ValueTask InitializeAsync()
    {
        server = await SshServer.RunningAsync();
        File.Copy(server.KeyFile, Key);
    }

    public ValueTask DisposeAsync()
    {
        directory.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>By which the clients of this test are told from those of others.</summary>
    string Key => directory["key"];

    string UrlOf(string folder) => (server.Options(folder) with { KeyFile = Key }).Location;

    /// <summary>A new folder on the server.</summary>
    string NewFolder() => Directory.CreateDirectory(directory[$"vaults-{Interlocked.Increment(ref folders)}"]).FullName;

    [Fact]
    public Task Whatever_is_killed_every_restore_over_sftp_is_a_committed_state_with_all_that_was_reported_durable() =>
        KillCycleTests.KillAsync(
            Math.Max(2, TestSeed.Count("SALVOR_KILLS", KillCycleTests.KillsDefault) / 50),
            random => new() { Profile = "small", Checkpoint = "random", Rate = 200, Seed = random.Next() },
            livesAtATime: 1,
            destination: () => Task.FromResult(UrlOf(NewFolder())));

    [Fact]
    public async Task A_client_that_is_killed_again_and_again_costs_no_commit_then_ends_with_salvor_however_that_ends()
    {
        await using var rig = new ReplicationRig(Workload, writerCount: 1) { DestinationUrl = UrlOf(NewFolder()) };
        await rig.App.StartAsync();
        await rig.StartSalvorAsync();
        await rig.SalvorReadyAsync();
        for (var i = 0; i < 3; i++)
        {
            await Eventually.HoldsAsync(() => SshClients.With(Key).Count > 0, () => "there is no client");
            SshClients.With(Key).ForEach(client => client.Kill());
            Assert.True(await rig.TrySyncAsync(), $"sync failed: {rig.LastSync}");
        }

        await rig.KillSalvorAsync();

        await Eventually.HoldsAsync(() => SshClients.With(Key).Count == 0, () => "a client goes on without Salvor");
        await rig.RestoreLatestAsync();
    }

    [Fact]
    public async Task A_restore_whose_client_is_killed_goes_on_by_another()
    {
        await using var rig = new ReplicationRig(Workload, writerCount: 1) { DestinationUrl = UrlOf(NewFolder()) };
        await rig.App.StartAsync();
        await rig.StartSalvorAsync();
        await rig.SalvorReadyAsync();
        Assert.True(await rig.TrySyncAsync(), $"sync failed: {rig.LastSync}");
        await rig.StopSalvorAsync();
        await Eventually.HoldsAsync(() => SshClients.With(Key).Count == 0, () => "a client goes on without Salvor");
        var folder = rig.NewOutputDirectory();

        await using var restore = rig.BeginRestore(Path.Combine(folder, "app.db"));
        await Eventually.HoldsAsync(() => SshClients.With(Key).Count > 0, () => "there is no client");
        SshClients.With(Key).ForEach(client => client.Kill());
        var result = await restore.ExitAsync();

        Assert.True(result.ExitCode == 0, $"{result}");
        var verdict = await rig.JudgeAsync(Path.Combine(folder, "app.db"), new() { AtLeast = rig.Floor });
        Assert.True(verdict.Ok, string.Join("; ", verdict.Errors));
    }

    [Fact]
    public async Task A_wrong_destination_is_refused_at_once_with_what_to_do()
    {
        var result = await SalvorProcess.RunAsync(
            "list", "--from", (server.Options(directory["nowhere/else"]) with { KeyFile = Key }).Location);

        Assert.Equal(DestinationUnreachable, result.ExitCode);
        Assert.Equal(
            $"""
            salvor: destination {server.Options(directory["nowhere/else"]).Place} does not exist
            hint: Mount it if it is a disk of its own; otherwise create it on 127.0.0.1: 'mkdir -p -m 700 {directory["nowhere/else"]}'.

            """,
            result.Stderr);
    }
}
