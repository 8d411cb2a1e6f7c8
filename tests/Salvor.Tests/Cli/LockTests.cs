using System.Text.RegularExpressions;
using Salvor.Jobs;
using Salvor.Platform;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Cli;

/// <summary>Who may write: shown, refused, broken, and shut out, with real processes.</summary>
public sealed partial class LockTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_frozen_process_that_was_replaced_stops_when_it_goes_on()
    {
        await _rig.CreateDatabaseAsync();
        var first = await _rig.ReplicateAsync();
        first.Send(Signal.Stop);
        await BreakFromElsewhereAsync();
        var second = await ReplicateBesideAsync();
        await _rig.CommitAsync(2);
        await SyncBesideAsync();

        first.Send(Signal.Continue);
        await _rig.CommitAsync(3);

        var ended = await first.ExitAsync();
        Assert.True(ended.ExitCode == 7, $"{ended}");
        Assert.Matches(
            "salvor: (another writer added log/000001/|vault .* was taken over: epoch 3 wrote to branch 1, and ours is 1)", ended.Stderr);
        await SyncBesideAsync();
        await CliRig.StopAsync(second);
        await AssertNewestAsync("1 2 3");
    }

    /// <summary>Each life has process ids of its own, as a container has, so that ids prove nothing.</summary>
    [Fact]
    public async Task A_container_that_was_killed_goes_on_at_once_when_it_is_started_again()
    {
        await _rig.CreateDatabaseAsync();
        await using (var first = Contained())
        {
            await DurableAsync(first);
            first.Send(Signal.Kill);
            await first.ExitAsync();
        }

        await _rig.CommitAsync(2);
        await using var second = Contained();
        await DurableAsync(second);
        second.Send(Signal.Kill);
        await second.ExitAsync();
        await AssertNewestAsync("1 2");
    }

    Task DurableAsync(ChildProcess daemon) => Eventually.HoldsAsync(
        async () => (await _rig.RunAsync("sync", _rig.Database, "--timeout", "20s")).ExitCode == 0,
        () => daemon.Stderr,
        Eventually.StartMax);

    ChildProcess Contained() => ChildProcess.Start(
        "unshare",
        [
            "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--map-root-user", .. SalvorProcess.CommandLine, "replicate",
            _rig.Database, _rig["vaults"],
        ]);

    [Fact]
    public async Task A_frozen_process_whose_branch_was_left_reports_nothing_durable_that_the_new_branch_lacks()
    {
        await _rig.CreateDatabaseAsync();
        var first = await _rig.ReplicateAsync();
        first.Send(Signal.Stop);
        await BreakFromElsewhereAsync();

        // As on another machine: the same path, and another file.
        await Tool.SqlAsync(_rig.Database, $"VACUUM INTO '{_rig["copy.db"]}'");
        await Tool.SqlAsync(_rig["copy.db"], "PRAGMA journal_mode = WAL");
        File.Delete(_rig.Database + "-wal");
        File.Delete(_rig.Database + "-shm");
        File.Move(_rig["copy.db"], _rig.Database, overwrite: true);
        var second = await ReplicateBesideAsync();
        await _rig.CommitAsync(2);
        await SyncBesideAsync();

        first.Send(Signal.Continue);

        var ended = await first.ExitAsync();
        Assert.True(ended.ExitCode == 7, $"{ended}");
        await CliRig.StopAsync(second);
        var catalog = await VaultReading.OpenAsync(new FileStore(_rig["vaults"]));
        Assert.Equal(2, catalog.Branches.Count);
        Assert.Equal(LogKind.End, (await catalog.ReadLogAsync(1, catalog.Logs(1).Last, default)).Details.Kind);
        await AssertNewestAsync("1 2");
    }

    [Fact]
    public async Task A_living_holder_is_shown_and_its_lock_is_not_broken()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();

        var shown = await _rig.ExpectAsync(0, "lock", "show", "--from", "vaults");

        var pid = Pid().Match(shown.Stdout).Groups[1].Value;
        var since = @"\S+Z";
        Assert.Matches(
            $@"^app at {_rig["vaults/app"]}\n"
                + $@"  held by pid {pid} on host \S+ since {since}, epoch 1\n"
                + $@"  boot id \S+, user \S+: salvor replicate {_rig.Database} {_rig["vaults"]} --name app\n"
                + $@"  lease renewed {since}, \d+s ago: it runs on this machine, as pid {pid}\n"
                + $@"  local lock {_rig["app/.salvor/app.db.lock"]}: held by pid {pid} on host \S+ since {since}: salvor replicate .*\n$",
            shown.Stdout);
        CliRig.AssertError(
            await _rig.RunAsync("break-lock", "--from", "vaults", "--yes", "--force"),
            7,
            $"vault {_rig["vaults/app"]} is being written by pid {pid} on host {ProcessIdentity.Current().Host}, which is alive",
            $"End it with 'kill {pid}': it then lets go by itself. Where it does not, 'kill -KILL {pid}', and the next writer takes over "
                + "by itself.");
        await CliRig.StopAsync(replicate);
        shown = await _rig.ExpectAsync(0, "lock", "show", "--from", "vaults");
        Assert.Contains("  nobody holds it\n", shown.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task After_a_kill_the_next_start_takes_over_by_itself()
    {
        await _rig.CreateDatabaseAsync();
        await (await _rig.ReplicateAsync()).KillAsync();
        var shown = (await _rig.ExpectAsync(0, "lock", "show", "--from", "vaults")).Stdout;
        Assert.Contains("ago: it runs no more; the next writer takes over by itself\n", shown, StringComparison.Ordinal);
        Assert.EndsWith(": not held\n", shown, StringComparison.Ordinal);

        var next = await _rig.ReplicateAsync();

        Assert.Matches(@"warning app: pid \d+ on host \S+ runs no more; taking over from it", next.Stderr);
        await CliRig.StopAsync(next);
        var quiet = await _rig.ReplicateAsync();
        Assert.DoesNotContain("taking over", quiet.Stderr, StringComparison.Ordinal);
        await CliRig.StopAsync(quiet);
    }

    [Fact]
    public async Task A_holder_on_another_machine_is_named_with_what_to_do_and_broken_by_force_only()
    {
        await _rig.CreateDatabaseAsync();
        await CliRig.StopAsync(await _rig.ReplicateAsync());
        var vault = await VaultAsync();
        var claim = WriterAdmission.ClaimOf(ProcessIdentity.Current(), "salvor daemon", DateTimeOffset.UtcNow);
        await new WriterClaims(vault).ClaimAsync(claim with { Host = "db2", Pid = 42 }, default);

        var refused = await _rig.RunAsync("replicate", _rig.Database, "vaults");

        Assert.True(refused.ExitCode == 7, $"{refused}");
        Assert.Matches(
            $"salvor: vault {_rig["vaults/app"]} is held by pid 42 on host db2, which renewed its lease \\d+s ago\n", refused.Stderr);
        Assert.Contains($"'salvor lock show --from {_rig["vaults/app"]}'", refused.Stderr, StringComparison.Ordinal);
        Assert.Contains($"'salvor break-lock --force --from {_rig["vaults/app"]}'", refused.Stderr, StringComparison.Ordinal);
        await _rig.ExpectAsync(7, "break-lock", "--from", "vaults", "--yes");

        var broken = await _rig.ExpectAsync(0, "break-lock", "--from", "vaults/app", "--yes", "--force");

        Assert.Contains("  held by pid 42 on host db2 since ", broken.Stdout, StringComparison.Ordinal);
        Assert.EndsWith(
            "  broken: epoch 3 belongs to nobody, and whoever held the lock is shut out\n"
                + "  checked: listing and lineage are whole, 1 restore point(s)\n",
            broken.Stdout,
            StringComparison.Ordinal);
        Assert.Equal(
            "warning: if pid 42 on host db2 still runs, it stops with exit code 7 at its next commit\n", broken.Stderr);
        await CliRig.StopAsync(await _rig.ReplicateAsync());
    }

    [Fact]
    public async Task Breaking_asks_first_and_does_nothing_where_nobody_holds_the_lock()
    {
        await _rig.CreateDatabaseAsync();
        await (await _rig.ReplicateAsync()).KillAsync();
        var program = Path.Combine(AppContext.BaseDirectory, "Salvor.Cli.dll");
        await using var asking = ChildProcess.Start(
            "sh", ["-c", $"exec dotnet '{program}' break-lock --from vaults < /dev/null"], _rig.Folder);

        CliRig.AssertError(
            await asking.ExitAsync(),
            2,
            $"nobody can be asked whether to break the lock of {_rig["vaults/app"]}",
            "Look at the holder with 'salvor lock show', then add '--yes'.");

        var broken = await _rig.ExpectAsync(0, "break-lock", "--from", "vaults", "--yes");
        Assert.Contains("  broken: epoch 2 ", broken.Stdout, StringComparison.Ordinal);
        var again = await _rig.ExpectAsync(0, "break-lock", "--from", "vaults", "--yes");
        Assert.DoesNotContain("broken", again.Stdout, StringComparison.Ordinal);
        Assert.Equal(2, Directory.GetFiles(_rig["vaults/app/claims"]).Length);
    }

    [Fact]
    public async Task A_lock_that_was_broken_over_a_damaged_vault_says_what_is_missing()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        await _rig.CommitAsync(2);
        await _rig.ExpectAsync(0, "sync", _rig.Database);
        await replicate.KillAsync();
        File.Delete(_rig["vaults/app/log/000001/0000000000000001"]);

        var result = await _rig.ExpectAsync(5, "break-lock", "--from", "vaults", "--yes");

        Assert.Contains(
            $"log/000001/0000000000000001 is damaged: it is missing from vault {_rig["vaults/app"]}",
            result.Stderr,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Heads_of_one_command_do_not_pile_up()
    {
        await _rig.CreateDatabaseAsync();
        for (var start = 0; start < 3; start++)
        {
            await CliRig.StopAsync(await _rig.ReplicateAsync());
        }

        var folder = Assert.Single(Directory.GetDirectories(_rig["vaults/_heads"]));
        Assert.InRange(Directory.GetFiles(folder).Length, 1, 3);
        Assert.True((await WriterLease.FindAsync(await VaultAsync(), default))!.HasEnded);
    }

    /// <summary>What an operator on another machine does who knows better.</summary>
    async Task BreakFromElsewhereAsync() => await LockBreaking.BreakAsync(await VaultAsync(), TimeProvider.System, default);

    async Task<VaultAccess> VaultAsync() => (await VaultAccess.FindAsync(new FileStore(_rig["vaults"]), "app", default))!;

    /// <summary>A second process that cannot see the lock of the first.</summary>
    async Task<ChildProcess> ReplicateBesideAsync()
    {
        var process = _rig.Start("replicate", _rig.Database, _rig["vaults"], "--state-dir", _rig["beside"]);
        await Eventually.HoldsAsync(() => process.Stderr.Contains("replicating", StringComparison.Ordinal), () => process.Stderr);
        await SyncBesideAsync();
        return process;
    }

    Task<ProcessResult> SyncBesideAsync() =>
        _rig.ExpectAsync(0, "sync", _rig.Database, "--state-dir", _rig["beside"], "--timeout", "20s");

    async Task AssertNewestAsync(string rows)
    {
        await _rig.ExpectAsync(0, "restore", "--from", "vaults", "--output", "newest.db");
        Assert.Equal(rows, await CliRig.RowsAsync(_rig["newest.db"]));
    }

    [GeneratedRegex(@"pid (\d+)")]
    private static partial Regex Pid();
}
