using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Vault.Copies;

/// <summary>
/// A vault as it is after a while: merged log objects of which one has dropped restore points, fresh ones, snapshots that share chunks, a
/// branch, a backup, a record of moved chunks; plain or encrypted.
/// </summary>
sealed class GrownVault
{
    /// <summary>Merged without dropping anything; its objects are gone.</summary>
    public static readonly LogEntry Merged = new(2, 9, 0);

    /// <summary>Merged, and every second restore point dropped; its objects are there still.</summary>
    public static readonly LogEntry Thinned = new(10, 17, 0);

    GrownVault(MemoryStore store, VaultModel model, Keyring? keys) => (Store, Model, Keys) = (store, model, keys);

    public MemoryStore Store { get; }

    public VaultModel Model { get; }

    public VaultAccess Vault => Model.Vault;

    public Keyring? Keys { get; }

    /// <summary>What <see cref="Merged"/> was made of, by number.</summary>
    public Dictionary<ulong, byte[]> Superseded { get; } = [];

    public static async Task<GrownVault> CreateAsync(bool isEncrypted, int seed = 1)
    {
        var store = new MemoryStore();
        var keys = isEncrypted ? TestKeys.Keyring() : null;
        var model = await VaultModel.CreateAsync(store, new Random(seed), pageSize: 4096, keys: keys);
        await model.BeginAsync();
        for (var i = 0; i < 30; i++)
        {
            await model.CommitAsync(transactions: 1);
            if (i is 14 or 26)
            {
                await model.MakeSnapshotAsync();
                await BackUpAsync(model, model.Current.Points[^1]);
            }
        }

        await model.ForkAsync(model.Current.Points[24], image: false);
        await model.CommitAsync(transactions: 2);
        var vault = new GrownVault(store, model, keys);
        var kept = model.Branches[0].Points.Where(point => point.Position.Value % 2 == 0).Select(point => point.Position).ToHashSet();
        await vault.MergeAsync(Merged, kept: null);
        await vault.RemoveMergedAsync();
        await vault.MergeAsync(Thinned, kept);
        await MovePacksAsync(model.Vault);
        return vault;
    }

    /// <summary>All keys inside the vault.</summary>
    public static async Task<List<string>> KeysOfAsync(IObjectStore store) =>
        await store.ListAsync("app/", null, default).Select(row => row.Key["app/".Length..]).ToListAsync();

    public static async Task<MemoryStore> CopyAsync(IObjectStore from)
    {
        var copy = new MemoryStore();
        await foreach (var row in from.ListAsync("", null, default))
        {
            await copy.PutAsync(row.Key, await from.GetAsync(row.Key, row.SizeBytes, default), default);
        }

        return copy;
    }

    /// <summary>Makes one log object of these numbers.</summary>
    async Task MergeAsync(LogEntry range, IReadOnlySet<Position>? kept)
    {
        var catalog = await VaultCatalog.LoadAsync(Vault, default);
        var entries = catalog.Logs(1).Within(range.First, range.Last);
        await new Compactor(catalog).RunAsync(1, new CompactionRun(entries, kept), default);
    }

    /// <summary>As the writer does it after ten minutes.</summary>
    async Task RemoveMergedAsync()
    {
        for (var number = Merged.First; number <= Merged.Last; number++)
        {
            var key = "app/" + VaultKeys.Log(1, number);
            Superseded[number] = (await Store.GetAsync(key, 1 << 24, default))!;
            await Store.DeleteAsync(key, default);
        }
    }

    static async Task BackUpAsync(VaultModel model, ModelPoint point)
    {
        var record = new BackupRecord
        {
            Id = 0, Branch = point.Branch, Position = point.Position.Value, Time = point.Time, Label = "", Mode = "incremental",
            CreatedAt = point.Time, Host = "h", SizeBytes = point.Content.Length, Checksum = "0000000000000000", AddedBytes = 0,
        };
        await Backups.PutAsync(model.Vault, record, default);
    }

    /// <summary>A record that leads from one pack to another; it is not needed while both are there.</summary>
    static async Task MovePacksAsync(VaultAccess vault)
    {
        var first = await vault.ListAsync(VaultKeys.Packs, after: null, default).FirstAsync();
        var second = await vault.ListAsync(VaultKeys.Packs, after: null, default).LastAsync();
        await PackMoves.PutAsync(
            vault,
            new Dictionary<Hash256, IReadOnlyList<Hash256>> { [NameOf(first.Key)] = [NameOf(second.Key)] }, TimeProvider.System, default);
    }

    static Hash256 NameOf(string key) => Hash256.TryParse(key.AsSpan(VaultKeys.Packs.Length), out var name)
        ? name
        : throw new InvalidOperationException(key);
}
