using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Pruning;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault.Pruning;

/// <summary>A vault with five commits every six hours for fifty days, a snapshot a day, and a clock at its newest commit.</summary>
sealed class AgedVault
{
    AgedVault(MemoryStore store, VaultModel model) => (Store, Model) = (store, model);

    /// <summary>Every commit for a day, one an hour for a week, one a day for thirty.</summary>
    public static PrunePolicy Policy { get; } = new(
        new Ladder(TimeSpan.FromDays(1), null, TimeSpan.FromDays(7), TimeSpan.FromDays(30)));

    public MemoryStore Store { get; }

    public VaultModel Model { get; }

    public ManualTime Time { get; } = new();

    public static async Task<AgedVault> CreateAsync()
    {
        var store = new MemoryStore();
        var model = await VaultModel.CreateAsync(store, new Random(1), pageSize: 512);
        await model.BeginAsync();
        var vault = new AgedVault(store, model);
        await vault.GrowAsync(days: 50);
        await model.CommitAsync(transactions: 1);
        vault.Advance(TimeSpan.Zero);
        return vault;
    }

    /// <summary>Lets time pass for the vault and the clock.</summary>
    public void Advance(TimeSpan time)
    {
        Model.Advance(time);
        Time.Advance(Model.Now - Time.GetUtcNow());
    }

    public async Task GrowAsync(int days)
    {
        for (var i = 0; i < 4 * days; i++)
        {
            for (var j = 0; j < 5; j++)
            {
                await Model.CommitAsync(transactions: 1);
            }

            if (i % 4 == 3)
            {
                await Model.MakeSnapshotAsync();
            }

            Advance(TimeSpan.FromHours(6));
        }
    }

    public async Task<Pruner> OpenAsync(IObjectStore? at = null) =>
        new((await VaultAccess.FindAsync(at ?? Store, "app", default))!, Time);

    public async Task<(PrunePlan Plan, ulong? Number)> CondemnAsync() =>
        await (await OpenAsync()).CondemnAsync(Policy, proven: null, TimeSpan.FromDays(7), default);

    public async Task<PruneDeletion> DeleteAsync() => await (await OpenAsync()).DeleteAsync(dryRun: false, default);

    /// <summary>The positions that are offered.</summary>
    public async Task<List<ulong>> OfferedAsync(IObjectStore? at = null)
    {
        var planner = new RestorePlanner(await VaultReading.OpenAsync(at ?? Store));
        var offered = new List<ulong>();
        foreach (var point in Model.Points)
        {
            if (await planner.FindAsync(point.Branch, point.Position, default) is not null)
            {
                offered.Add(point.Position.Value);
            }
        }

        return offered;
    }

    /// <summary>Restores what is offered: all of it, or a tenth by chance.</summary>
    public async Task ExpectRestorableAsync(IObjectStore? at = null, Random? some = null)
    {
        var offered = await OfferedAsync(at);
        foreach (var point in Model.Points.Where(point => offered.Contains(point.Position.Value) && (some?.Next(10) ?? 0) == 0))
        {
            Assert.Equal(point.Content, await VaultReading.RestoreAsync(at ?? Store, point.Branch, point.Position));
        }
    }

    public static async Task<List<string>> KeysAsync(IObjectStore store) =>
        await store.ListAsync("", null, default).Select(row => row.Key).ToListAsync();

    public static async Task<long> BytesAsync(IObjectStore store) =>
        (await store.ListAsync("", null, default).ToListAsync()).Sum(row => row.SizeBytes);

    /// <summary>A backup of the restore point of this index.</summary>
    public Task<BackupRecord> BackUpAsync(int index, string label = "", int? retentionDays = null)
    {
        var point = Model.Points.ElementAt(index);
        var record = new BackupRecord
        {
            Id = 0,
            Branch = point.Branch,
            Position = point.Position.Value,
            Time = point.Time,
            Label = label,
            Mode = "full",
            CreatedAt = point.Time,
            Host = "h",
            SizeBytes = point.Content.Length,
            Checksum = "",
            AddedBytes = 0,
            RetentionDays = retentionDays,
        };
        return Backups.PutAsync(Model.Vault, record, default);
    }

    /// <summary>Writes all objects into a folder, as a store of files has them, and without waiting for the disk.</summary>
    public async Task CopyToAsync(string folder)
    {
        foreach (var key in await KeysAsync(Store))
        {
            var path = Path.Combine(folder, key);
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.WriteAllBytesAsync(path, (await Store.GetAsync(key, ObjectWriter.ObjectBytesMax, default))!);
        }
    }

    /// <summary>Condemns again what a record condemned, with a grace that is long over by any clock.</summary>
    public async Task EndGraceAsync()
    {
        var condemned = await Condemnations.LoadAsync(Model.Vault, default);
        await ForgeAsync(
            condemned.All[^1].Record with { At = DateTimeOffset.UnixEpoch, GraceSeconds = 0 }, condemned.Last + 1);
    }

    /// <summary>Puts a record as if a prune had made it.</summary>
    public async Task ForgeAsync(CondemnedRecord record, ulong number = 1)
    {
        using var writer = Model.Vault.NewObject();
        var header = new ObjectHeader { Kind = ObjectKind.Condemned, VaultId = Model.Vault.Id, Number = number };
        var (bytes, _) = writer.Finish(header, VaultJson.Write(record, VaultJson.Default.CondemnedRecord));
        Assert.True(await Model.Vault.PutAsync(VaultKeys.CondemnedBy(number), bytes, default));
    }
}
