using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Pruning;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Vault.Verify;

/// <summary>A backup that disappears is noticed, unless a prune removed it.</summary>
public sealed class BackupChainTests
{
    const string Removed = "backups/0000000002: it was removed, and no prune did that";

    static readonly TimeSpan Week = TimeSpan.FromDays(7);

    readonly MemoryStore store = new();
    VaultModel model = null!;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_that_was_removed_is_named_and_healed_from_another_copy(bool isEncrypted)
    {
        await BackUpAsync(count: 4, isEncrypted);
        var copy = new MemoryStore();
        await new VaultMirror(model.Vault, copy).RunAsync(everything: true, default);
        Assert.Empty(await FindingsAsync());

        await store.DeleteAsync("app/backups/0000000002", default);

        Assert.Equal([Removed], await FindingsAsync());
        Assert.Equal([Removed], await FindingsAsync(new VerifyOptions { Quick = true }));
        var repair = new VaultRepair([model.Vault, model.Vault.At(copy)], parallelism: 1);
        foreach (var step in await repair.PlanAsync(default).ToListAsync())
        {
            Assert.Equal(("backups/0000000002", RepairAction.Copy), (step.Key, step.Action));
            Assert.Null((await repair.CarryOutAsync(step, default)).Failure);
        }

        Assert.Empty(await FindingsAsync());
    }

    [Fact]
    public async Task The_newest_is_missed_by_what_a_head_says_and_its_id_is_not_given_again()
    {
        await BackUpAsync(count: 3);
        await PutHeadAsync(backup: 3);
        Assert.Empty(await FindingsAsync());

        await store.DeleteAsync("app/backups/0000000003", default);

        Assert.Equal(["backups/0000000003: the newest backups were removed: backup 3 was stored"], await FindingsAsync());
        Assert.Equal(4UL, (await BackUpAsync()).Id);
        await store.DeleteAsync("app/backups/0000000002", default);
        Assert.Equal(
            ["backups/0000000002: it and all up to backup 3 were removed, and no prune did that"], await FindingsAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task One_that_was_replaced_by_another_of_its_id_is_named(bool isEncrypted)
    {
        await BackUpAsync(count: 3, isEncrypted);
        var record = await Backups.ReadAsync(await VaultCatalog.LoadAsync(model.Vault, default), 2, default);

        await PutRecordAsync(record with { Label = "another" });

        Assert.Equal(
            ["backups/0000000002: it was replaced: backup 3 was made after another one of this id"], await FindingsAsync());
    }

    [Fact]
    public async Task What_a_prune_removed_is_not_missed_even_when_its_record_was_taken_over()
    {
        var aged = await AgedVault.CreateAsync();
        for (var index = 800; index < 805; index++)
        {
            await aged.BackUpAsync(index);
        }

        model = aged.Model;
        var asked = await (await aged.OpenAsync()).CondemnBackupAsync(2, proven: null, Week, default);
        await AssertSoundAsync();
        for (var i = 0; i < 3; i++)
        {
            await aged.CondemnAsync();
            aged.Advance(Week);
            await aged.DeleteAsync();
            await AssertSoundAsync();
            await aged.GrowAsync(days: 1);
            aged.Advance(Retirement.Age);
        }

        await aged.DeleteAsync();
        await AssertSoundAsync();
        Assert.DoesNotContain((await Condemnations.LoadAsync(model.Vault, default)).All, item => item.Number == asked);
        Assert.Null(await aged.Store.SizeAsync("app/backups/0000000002", default));

        // These backups are of points without a snapshot, which is told too.
        async Task AssertSoundAsync() => Assert.DoesNotContain(
            await FindingsAsync(at: aged.Store), finding => !finding.Contains(": its snapshot", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_was_absent_before_backups_were_linked_is_not_missed_and_all_else_is()
    {
        await BackUpAsync(count: 4);
        var catalog = await VaultCatalog.LoadAsync(model.Vault, default);
        foreach (var id in catalog.Backups)
        {
            await PutRecordAsync(await Backups.ReadAsync(catalog, id, default) with { Before = null });
        }

        await store.DeleteAsync("app/backups/0000000002", default);
        Assert.Empty(await FindingsAsync());

        Assert.Equal([new NumberRange(2, 2)], (await BackUpAsync()).Before!.Gone);

        Assert.Empty(await FindingsAsync());
        await store.DeleteAsync("app/backups/0000000003", default);
        Assert.Equal(["backups/0000000003: it was removed, and no prune did that"], await FindingsAsync());
        Assert.Equal([new NumberRange(2, 2)], (await BackUpAsync()).Before!.Gone);
        Assert.Equal(["backups/0000000003: it was removed, and no prune did that"], await FindingsAsync());
    }

    [Theory]
    [InlineData(2UL, 1UL, 1UL)]
    [InlineData(1UL, 0UL, 1UL)]
    [InlineData(1UL, 1UL, ulong.MaxValue)]
    public async Task A_link_that_cannot_be_is_damage(ulong before, ulong first, ulong last)
    {
        await BackUpAsync(count: 2);
        var record = await Backups.ReadAsync(await VaultCatalog.LoadAsync(model.Vault, default), 2, default);

        await PutRecordAsync(record with { Before = record.Before! with { Id = before, Gone = [new NumberRange(first, last)] } });

        Assert.Equal([$"backups/0000000002: it cannot follow backup {before} as it says"], await FindingsAsync());
    }

    async Task BackUpAsync(int count, bool isEncrypted = false)
    {
        model = await VaultModel.CreateAsync(store, new Random(1), pageSize: 512, keys: isEncrypted ? TestKeys.Keyring() : null);
        await model.BeginAsync();
        for (var i = 0; i < count; i++)
        {
            await BackUpAsync();
        }
    }

    async Task<BackupRecord> BackUpAsync()
    {
        await model.CommitAsync(transactions: 1);
        await model.MakeSnapshotAsync();
        var point = model.Current.Points[^1];
        return await Backups.PutAsync(
            model.Vault,
            new BackupRecord
            {
                Id = 0, Branch = point.Branch, Position = point.Position.Value, Time = point.Time, Label = "", Mode = "full",
                CreatedAt = point.Time, Host = "h", SizeBytes = 1, Checksum = "", AddedBytes = 0,
            },
            default);
    }

    /// <summary>Puts a record in the place of the one with its id.</summary>
    async Task PutRecordAsync(BackupRecord record)
    {
        using var writer = model.Vault.NewObject();
        var header = new ObjectHeader { Kind = ObjectKind.Backup, VaultId = model.Vault.Id, Number = record.Id };
        var (bytes, _) = writer.Finish(header, VaultJson.Write(record, VaultJson.Default.BackupRecord));
        await store.ReplaceAsync("app/" + VaultKeys.Backup(record.Id), bytes, default);
    }

    async Task PutHeadAsync(ulong backup)
    {
        var entry = new HeadEntry
        {
            Source = "app", VaultId = model.Vault.Id, Epoch = 1, Branch = 1, Number = 1, Position = 1, Backup = backup,
            CompleteAsOf = null, RenewedAt = DateTimeOffset.UnixEpoch,
        };
        await Heads.TryPutAsync(
            store, "w", 1, new HeadRecord { Host = "h", Pid = 1, At = DateTimeOffset.UnixEpoch, Vaults = [entry] }, default);
    }

    async Task<List<string>> FindingsAsync(VerifyOptions? options = null, IObjectStore? at = null)
    {
        var vault = model.Vault.At(at ?? store);
        var report = await new VaultVerifier(vault, options ?? new VerifyOptions()).RunAsync(default);
        return [.. report.Findings.Select(finding => $"{finding.Key}: {finding.What}")];
    }
}
