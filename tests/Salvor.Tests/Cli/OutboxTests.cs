using System.Text.Json;
using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>A destination that is away while the application goes on: what waits on this machine, and what becomes of it.</summary>
public sealed class OutboxTests : IAsyncLifetime
{
    readonly CliRig _rig = new();

    string Vaults => _rig["vaults"];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Every_commit_of_an_outage_is_a_restore_point_although_the_log_is_gone_and_the_process_was_killed()
    {
        await _rig.CreateDatabaseAsync();
        var process = await _rig.ReplicateAsync();
        await AwayAsync(process);
        var rows = await CommitUntilKeptAsync(1, objects: 5);

        // What the log had is in the file now: it cannot be captured a second time.
        await Tool.SqlAsync(_rig.Database, "PRAGMA wal_checkpoint(TRUNCATE)");
        await process.KillAsync();
        Directory.Move($"{Vaults}.away", Vaults);
        process = await _rig.ReplicateAsync();
        await CliRig.StopAsync(process);

        Assert.Empty(Directory.EnumerateFiles(_rig["app/.salvor/app.db.outbox"], "*", SearchOption.AllDirectories));
        await ExpectEveryPointAsync(rows);
    }

    [Fact]
    public async Task A_backlog_drains_in_order_and_what_follows_it_is_stored_at_once()
    {
        await _rig.CreateDatabaseAsync();
        var process = await _rig.ReplicateAsync();
        await AwayAsync(process);
        var rows = await CommitUntilKeptAsync(1, objects: 3);
        var status = await _rig.ExpectAsync(0, "status", _rig.Database);
        Assert.Contains(" wait on this machine for the destination\n", status.Stdout, StringComparison.Ordinal);
        Assert.StartsWith("app  backing_off", status.Stdout, StringComparison.Ordinal);

        Directory.Move($"{Vaults}.away", Vaults);
        await _rig.ExpectAsync(0, "sync", _rig.Database, "--timeout", "30s");
        await _rig.CommitAsync(++rows);
        await _rig.ExpectAsync(0, "sync", _rig.Database, "--timeout", "30s");
        await Eventually.HoldsAsync(async () => await KeptAsync() == 0, () => "something waits still");
        await CliRig.StopAsync(process);
        await ExpectEveryPointAsync(rows);
    }

    [Fact]
    public async Task What_another_writer_made_obsolete_is_kept_aside_and_told()
    {
        await _rig.CreateDatabaseAsync();
        var process = await _rig.ReplicateAsync();
        await AwayAsync(process);
        await CommitUntilKeptAsync(1, objects: 2);
        await process.KillAsync();
        Directory.Move($"{Vaults}.away", Vaults);

        // As on another machine, without this one's local state.
        Directory.Move(_rig["app/.salvor"], _rig["state"]);
        process = await _rig.ReplicateAsync();
        await _rig.CommitAsync(100);
        await CliRig.StopAsync(process);
        Directory.Delete(_rig["app/.salvor"], recursive: true);
        Directory.Move(_rig["state"], _rig["app/.salvor"]);

        process = await _rig.ReplicateAsync();
        var result = await CliRig.StopAsync(process);

        Assert.Contains("do not continue what is there now", result.Stderr, StringComparison.Ordinal);
        var aside = Assert.Single(Directory.EnumerateDirectories(_rig["app/.salvor"], "app.db.outbox-refused-*"));
        Assert.NotEmpty(Directory.EnumerateFiles(aside, "*", SearchOption.AllDirectories));
        await _rig.ExpectAsync(0, "restore", "--from", Vaults, "--output", "latest.db");
        Assert.EndsWith(" 100", await CliRig.RowsAsync(_rig["latest.db"]), StringComparison.Ordinal);
    }

    async Task AwayAsync(ChildProcess process)
    {
        Directory.Move(Vaults, $"{Vaults}.away");
        await _rig.CommitAsync(0);
        await Eventually.HoldsAsync(
            () => process.Stderr.Contains("does not exist; trying again", StringComparison.Ordinal), () => process.Stderr);
    }

    /// <summary>Commits 2, 3, and so on, one by one, until so many objects wait; the last row.</summary>
    async Task<int> CommitUntilKeptAsync(int last, int objects)
    {
        for (var attempt = 0; attempt < 100 && await KeptAsync() < objects; attempt++)
        {
            await _rig.CommitAsync(++last);
            await Task.Delay(200, TestContext.Current.CancellationToken);
        }

        Assert.True(await KeptAsync() >= objects);
        return last;
    }

    async Task<int> KeptAsync()
    {
        var status = await _rig.ExpectAsync(0, "status", _rig.Database, "--json");
        using var document = JsonDocument.Parse(status.Stdout);
        return document.RootElement.GetProperty("sources")[0].GetProperty("last").GetProperty("outbox_objects").GetInt32();
    }

    /// <summary>Row 1 is in the base, row 0 in the second restore point, and then each has one more.</summary>
    async Task ExpectEveryPointAsync(int rows)
    {
        for (var position = 1; position <= rows + 1; position++)
        {
            var output = $"{position}.db";
            await _rig.ExpectAsync(0, "restore", "--from", Vaults, "--position", $"{position}", "--output", output);
            Assert.Equal(
                string.Join(' ', new[] { 1, 0 }.Concat(Enumerable.Range(2, rows - 1)).Take(position)),
                await CliRig.RowsAsync(_rig[output]));
        }
    }
}
