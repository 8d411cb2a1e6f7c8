using System.Globalization;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Pruning;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Pruning;

public sealed class BackupRemovalTests
{
    static readonly TimeSpan Week = TimeSpan.FromDays(7);

    [Fact]
    public async Task A_backup_goes_in_two_steps_and_can_be_taken_back_between_them()
    {
        var aged = await AgedVault.CreateAsync();
        await aged.BackUpAsync(800);
        await aged.BackUpAsync(900);
        var pruner = await aged.OpenAsync();

        Assert.Equal(1UL, await pruner.CondemnBackupAsync(1, proven: null, Week, default));

        Assert.Equal([2UL], (await VaultReading.OpenAsync(aged.Store)).Backups);
        await AssertRefusedAsync(
            aged, 1, FailureKind.NotRestorable, "backup 1 of vault memory/app was condemned already, as number 1",
            "'salvor prune undelete 1' takes it back.");
        await pruner.UndeleteAsync(1, default);
        Assert.Equal([1UL, 2UL], (await VaultReading.OpenAsync(aged.Store)).Backups);
        Assert.Equal(2UL, await pruner.CondemnBackupAsync(1, proven: null, Week, default));
        aged.Time.Advance(Week);
        Assert.Equal(1, (await aged.DeleteAsync()).Objects);
        await AssertRefusedAsync(
            aged, 1, FailureKind.NotRestorable, "backup 1 of vault memory/app was condemned already, as number 2",
            "Its restore point may be there still: 'salvor list' shows it.");
        Assert.DoesNotContain("app/backups/0000000001", await AgedVault.KeysAsync(aged.Store));
        Assert.Equal(3UL, (await aged.BackUpAsync(1000)).Id);
        Assert.Equal(aged.Model.Points.Select(point => point.Position.Value), await aged.OfferedAsync());
    }

    [Fact]
    public async Task The_newest_and_the_newest_proven_backup_are_refused()
    {
        const string Hint = "Make a newer one with 'salvor backup', prove it with 'salvor verify --deep', then try again.";
        var aged = await AgedVault.CreateAsync();
        foreach (var index in new[] { 700, 800, 900 })
        {
            await aged.BackUpAsync(index);
        }

        var proven = (1U, aged.Model.Points.ElementAt(850).Position);

        await AssertRefusedAsync(aged, 3, FailureKind.Usage, "backup 3 of vault memory/app is the newest backup, and stays", Hint, proven);
        await AssertRefusedAsync(
            aged, 2, FailureKind.Usage, "backup 2 of vault memory/app is the newest that a deep verification covers, and stays", Hint,
            proven);
        await AssertRefusedAsync(
            aged, 7, FailureKind.NotRestorable, "vault memory/app has no backup 7", "Its newest is 3; 'salvor list' shows all.");
        Assert.Equal(1UL, await (await aged.OpenAsync()).CondemnBackupAsync(1, proven, Week, default));
    }

    [Fact]
    public async Task A_backup_whose_own_days_are_no_number_of_days_is_damaged()
    {
        var aged = await AgedVault.CreateAsync();
        await aged.BackUpAsync(1, retentionDays: -5);

        var failure = await Assert.ThrowsAnyAsync<SalvorException>(aged.CondemnAsync);

        Assert.Equal("object backups/0000000001 is damaged: it is to stay for -5 days", failure.Message);
        var report = await new VaultVerifier(aged.Model.Vault, new VerifyOptions()).RunAsync(default);
        Assert.Equal("it is to stay for -5 days", Assert.Single(report.Findings).What);
    }

    [Fact]
    public async Task A_prune_honours_the_days_that_a_backup_asked_for()
    {
        var aged = await AgedVault.CreateAsync();
        await aged.BackUpAsync(10, retentionDays: 5);
        await aged.BackUpAsync(11, retentionDays: 500);
        await aged.BackUpAsync(12);
        await aged.BackUpAsync(990);

        var (plan, _) = await aged.CondemnAsync();

        Assert.Equal(
            [
                ("backup 1", "its 5 days are over"), ("backup 2", "it asked for 500 days"), ("backup 3", "no rule removes it"),
                ("backup 4", "the newest backup"),
            ],
            plan.Lines.Take(4).Select(line => (line.Subject, line.Reason)));
        Assert.Equal([2UL, 3UL, 4UL], (await VaultReading.OpenAsync(aged.Store)).Backups);
    }

    [Fact]
    public async Task After_the_grace_the_bytes_on_the_disk_really_fall()
    {
        using var scratch = new ScratchDirectory();
        var aged = await AgedVault.CreateAsync();
        await aged.CopyToAsync(scratch.Path);
        var before = await UsedAsync(scratch.Path);
        var pruner = await aged.OpenAsync(new FileStore(scratch.Path));

        await pruner.CondemnAsync(AgedVault.Policy, proven: null, Week, default);
        var condemned = await UsedAsync(scratch.Path);
        aged.Time.Advance(Week);
        var deleted = await pruner.DeleteAsync(dryRun: false, default);

        var after = await UsedAsync(scratch.Path);
        Assert.True(condemned > before, $"{condemned} bytes are more than {before}: what is condemned is there still");

        // Besides, the outcome was added, and folders may have become smaller.
        Assert.InRange(condemned - after, deleted.Bytes - 16384, deleted.Bytes + 65536);
        Assert.True(after < before * 0.8, $"{after} of {before} bytes are left");
    }

    /// <summary>The sizes of all files and folders.</summary>
    static async Task<long> UsedAsync(string folder)
    {
        var result = await ChildProcess.RunAsync("du", ["-s", "--apparent-size", "--block-size=1", folder]);
        return long.Parse(result.Stdout.Split('\t')[0], CultureInfo.InvariantCulture);
    }

    static async Task AssertRefusedAsync(
        AgedVault aged, ulong id, FailureKind kind, string message, string hint, (uint, Position)? proven = null)
    {
        var failure = await Assert.ThrowsAsync<SalvorException>(async () =>
            await (await aged.OpenAsync()).CondemnBackupAsync(id, proven, Week, default));
        Assert.Equal((kind, message, hint), (failure.Kind, failure.Message, failure.Hint));
    }
}
