using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Files;

public sealed class TreeScheduleTests
{
    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_daemon_makes_what_is_due_at_its_start_and_not_what_is_not()
    {
        using var folder = new TemporaryDirectory();
        Directory.CreateDirectory(folder["a"]);
        Directory.CreateDirectory(folder["vaults"]);
        File.WriteAllText(folder["a/x"], "content");
        var config = ConfigFile.Parse(
            """
            destinations: { local: { type: file, path: ./vaults } }
            sources:
              due: { type: files, paths: [./a], to: [local], schedule: every 1h }
              asked: { type: files, paths: [./a], to: [local] }
              gone: { type: files, paths: [./missing], to: [local], schedule: every 1h }

            """,
            folder["salvor.yaml"], _ => null);
        for (var start = 0; start < 2; start++)
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            var running = new TreeSchedule(() => config, TimeProvider.System, NullLogger.Instance).RunAsync(stop.Token);
            await Eventually.HoldsAsync(
                () => BackupMarkFile.Read(LocalState.BackupPath(folder[".salvor"], "gone"))?.Failed == start + 1,
                () => "the missing directory was not tried");
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);
        }

        var vault = await Destinations.FindVaultAsync(folder["vaults"], "due", null, Cancel);
        Assert.Equal([1UL], (await VaultCatalog.LoadAsync(vault, Cancel)).Backups);
        Assert.False(Directory.Exists(folder["vaults/asked"]));
        Assert.False(Directory.Exists(folder["vaults/gone/backups"]));
    }

    [Fact]
    public async Task A_daemon_runs_commands_between_their_hooks_and_says_what_went_wrong()
    {
        using var folder = new TemporaryDirectory();
        Directory.CreateDirectory(folder["vaults"]);
        var config = ConfigFile.Parse(
            $$"""
            destinations: { local: { type: file, path: ./vaults } }
            sources:
              good: { type: command, command: [sh, -c, "cat {{folder["ready"]}}; echo beware >&2"], to: [local], schedule: every 1h,
                      hooks: { before_backup: [touch, {{folder["ready"]}}], after_backup: ["false"] }, allow_empty: true }
              poor: { type: command, command: [sh, -c, "echo half; exit 2"], to: [local], schedule: every 1h }

            """,
            folder["salvor.yaml"], _ => null);
        var log = new LogLines();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var running = new TreeSchedule(() => config, TimeProvider.System, log).RunAsync(stop.Token);
        foreach (var name in (string[])["good", "poor"])
        {
            await Eventually.HoldsAsync(
                () => BackupMarkFile.Read(LocalState.BackupPath(folder[".salvor"], name))?.Failed == 1,
                () => $"{name} was not tried: {string.Join('\n', log.Lines)}");
        }

        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);

        Assert.Contains("good: the after_backup hook of good ended with exit code 1", log.Lines);
        Assert.Contains(
            "poor: it was not backed up: the command 'sh' of source poor ended with exit code 2; no backup was made. "
                + "hint: Run it by itself, as the user that Salvor runs as, to see why.",
            log.Lines);
        var vault = await Destinations.FindVaultAsync(folder["vaults"], "good", null, Cancel);
        Assert.Equal([1UL], (await VaultCatalog.LoadAsync(vault, Cancel)).Backups);
        vault = await Destinations.FindVaultAsync(folder["vaults"], "poor", null, Cancel);
        Assert.Empty((await VaultCatalog.LoadAsync(vault, Cancel)).Backups);
    }

    [Fact]
    public async Task A_daemon_says_what_looks_as_if_ransomware_had_been_there()
    {
        using var folder = new TemporaryDirectory();
        Directory.CreateDirectory(folder["a"]);
        Directory.CreateDirectory(folder["vaults"]);
        var config = ConfigFile.Parse(
            """
            destinations: { local: { type: file, path: ./vaults } }
            sources:
              tree: { type: files, paths: [./a], to: [local], schedule: every 1h }

            """,
            folder["salvor.yaml"], _ => null);
        var (log, time, mark) = (new LogLines(), new ManualTime(), LocalState.BackupPath(folder[".salvor"], "tree"));
        for (var day = 1; day <= 3; day++)
        {
            using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
            var running = new TreeSchedule(() => config, time, log).RunAsync(stop.Token);
            await Eventually.HoldsAsync(
                () => BackupMarkFile.Read(mark)?.Succeeded == day
                    && log.Lines.Any(line => line.StartsWith($"tree: backup {day} of", StringComparison.Ordinal)),
                () => $"there was no backup: {string.Join('\n', log.Lines)}");
            await stop.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);

            // What was found is shown for a day.
            Assert.Equal(day == 2 ? 2UL : null, BackupMarkFile.Read(mark)?.Anomaly?.BackupId);
            File.WriteAllText(folder["a/HOW_TO_DECRYPT.txt"], "Pay.");
            time.Advance(TimeSpan.FromHours(25));
        }

        Assert.Equal(
            [
                $"tree: backup 2 looks as if ransomware had been there: {folder["a/HOW_TO_DECRYPT.txt"]} is named like a ransom note. "
                    + "hint: Run 'salvor diff tree 1 2' to see what changed. If that was nobody of yours, backup 1 is the last one "
                    + "before it: stop what writes there, and set 'prune: off' for the source, so that nothing drops it.",
            ],
            log.Lines.Where(line => line.Contains("ransomware", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_daemon_goes_on_when_a_clock_that_was_ahead_is_set_right()
    {
        const int Speed = 5_000;
        using var folder = new TemporaryDirectory();
        Directory.CreateDirectory(folder["a"]);
        Directory.CreateDirectory(folder["vaults"]);
        var config = ConfigFile.Parse(
            """
            destinations: { local: { type: file, path: ./vaults } }
            sources:
              tree: { type: files, paths: [./a], to: [local], schedule: every 6h }

            """,
            folder["salvor.yaml"], _ => null);
        var (time, log) = (new FastTime(Speed) { Ahead = TimeSpan.FromDays(1500) }, new LogLines());
        var looks = 0;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var running = new TreeSchedule(Current, time, log).RunAsync(stop.Token);
        await MadeAsync(1);

        // The next one is planned before the configuration is looked at again.
        var asked = Volatile.Read(ref looks);
        await Eventually.HoldsAsync(() => Volatile.Read(ref looks) > asked, () => "nothing is planned");
        time.Ahead = TimeSpan.Zero;
        var made = BackupMarkFile.Read(LocalState.BackupPath(folder[".salvor"], "tree"))!.Succeeded;
        await MadeAsync(made + 1);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);

        SalvorConfig Current()
        {
            Interlocked.Increment(ref looks);
            return config;
        }

        Task MadeAsync(long count) => Eventually.HoldsAsync(
            () => BackupMarkFile.Read(LocalState.BackupPath(folder[".salvor"], "tree"))?.Succeeded >= count,
            () => $"there are no {count} backups: {string.Join('\n', log.Lines)}");
    }

    [Fact]
    public async Task A_daemon_verifies_and_prunes_files_as_often_as_is_said()
    {
        using var folder = new TemporaryDirectory();
        Directory.CreateDirectory(folder["a"]);
        Directory.CreateDirectory(folder["vaults"]);
        var config = ConfigFile.Parse(
            """
            destinations: { local: { type: file, path: ./vaults } }
            sources:
              tree: { type: files, paths: [./a], to: [local], verify: { every: 1s }, max_backups: 1, prune: { every: 1s } }

            """,
            folder["salvor.yaml"], _ => null);
        for (var i = 0; i < 3; i++)
        {
            File.WriteAllText(folder["a/x"], $"content {i}");
            await new TreeSource(config, config.Trees["tree"], TimeProvider.System).BackUpAsync(
                new BackupRequest("", "incremental", RetentionDays: null), keys: null, Cancel);
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var verifying = new VerifySchedule(() => config, TimeProvider.System, new Random(1), NullLogger.Instance).RunAsync(stop.Token);
        var pruning = new PruneSchedule(() => config, TimeProvider.System, NullLogger.Instance).RunAsync(stop.Token);
        var verified = LocalState.VerifyPath(folder[".salvor"], "tree");
        var pruned = LocalState.PrunePath(folder[".salvor"], "tree");
        await Eventually.HoldsAsync(
            () => VerifyFile.Read(verified) is { Ok: true, Kind: "deep", Restore.Position: 3 }, () => "it was not verified");
        await Eventually.HoldsAsync(() => PruneFile.Read(pruned) is { WaitingSince: null }, () => "it was not pruned");
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => verifying);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => pruning);

        var vault = await Destinations.FindVaultAsync(folder["vaults"], "tree", null, Cancel);
        Assert.Equal([3UL], (await VaultCatalog.LoadAsync(vault, Cancel)).Backups);
    }
}
