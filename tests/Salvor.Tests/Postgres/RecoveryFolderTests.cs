using Salvor.Postgres.Restore;
using Salvor.Tests.Support;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>What a recovered server is told, and what hands it its log.</summary>
public sealed class RecoveryFolderTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    [Fact]
    public async Task A_file_of_the_log_is_delivered_and_one_that_was_never_there_ends_the_recovery()
    {
        Make();

        Assert.Equal(0, await GetAsync("000000010000000000000002", "got"));
        Assert.Equal("two", File.ReadAllText(Path.Combine(scratch.Path, "got")));
        Assert.Equal(1, await GetAsync("000000010000000000000003", "none"));
        Assert.Equal(1, await GetAsync("00000003.history", "none"));
        Assert.False(File.Exists(Path.Combine(scratch.Path, "none")));
    }

    [Fact]
    public async Task A_file_that_should_be_there_and_is_not_stops_the_server()
    {
        Make();
        File.Delete(Path.Combine(scratch.Path, RecoveryFolder.Name, "000000010000000000000002"));

        Assert.Equal(255, await GetAsync("000000010000000000000002", "got"));
    }

    [Fact]
    public async Task What_cannot_be_copied_or_looked_up_stops_the_server()
    {
        Make();

        Assert.Equal(255, await GetAsync("000000010000000000000001", "no/such/folder"));
        File.Delete(Path.Combine(scratch.Path, RecoveryFolder.Name, "names"));
        Assert.Equal(255, await GetAsync("000000010000000000000009", "none"));
        File.Delete(Path.Combine(scratch.Path, RecoveryFolder.Name, "get"));
        Assert.Equal(255, await GetAsync("000000010000000000000002", "got"));
        Directory.Delete(Path.Combine(scratch.Path, RecoveryFolder.Name), recursive: true);
        Assert.Equal(255, await GetAsync("000000010000000000000002", "got"));
    }

    [Fact]
    public void Settings_of_an_earlier_recovery_become_comments_and_the_others_stay()
    {
        var text = RecoverySettings.Write(
            "# kept\nwork_mem = '64MB'\nrecovery_target_time = '2020-01-01'\nRestore_Command = 'cp /gone/%f %p'\n",
            new RecoveryEnd(3, new RecoveryStop.At(new Lsn(0x16_B374D848), Inclusive: false), RecoveryAction.Pause),
            [("max_connections", "37")]);

        Assert.Equal(
            """
            # kept
            work_mem = '64MB'
            # before this restore: recovery_target_time = '2020-01-01'
            # before this restore: Restore_Command = 'cp /gone/%f %p'

            # Added by salvor restore. The recovery needs them once; archiving stays off, because the archive is that of
            # the server that was backed up.
            restore_command = '/bin/sh salvor_recovery/get %f %p; c=$?; [ $c -le 1 ] && exit $c; exit 255'
            recovery_target = ''
            recovery_target_time = ''
            recovery_target_xid = ''
            recovery_target_name = ''
            recovery_target_inclusive = 'false'
            recovery_target_lsn = '16/B374D848'
            recovery_target_timeline = '3'
            recovery_target_action = 'pause'
            recovery_end_command = ''
            recovery_min_apply_delay = '0'
            archive_cleanup_command = ''
            primary_conninfo = ''
            primary_slot_name = ''
            archive_mode = 'off'
            synchronous_standby_names = ''
            max_logical_replication_workers = '0'
            max_connections = '37'

            """, text);
    }

    public void Dispose() => scratch.Dispose();

    void Make()
    {
        var folder = new RecoveryFolder(scratch.Path);
        folder.Begin();
        folder.Add("000000010000000000000001", "one"u8);
        folder.Add("000000010000000000000002", "two"u8);
        folder.Finish();
        folder.Exchange();
    }

    /// <summary>As the server runs it: in its data directory.</summary>
    async Task<int> GetAsync(string name, string target)
    {
        var command = RecoveryFolder.RestoreCommand
            .Replace("%f", name, StringComparison.Ordinal).Replace("%p", target, StringComparison.Ordinal);
        await using var process = ChildProcess.Start("/bin/sh", ["-c", command], scratch.Path);
        return (await process.ExitAsync()).ExitCode;
    }
}
