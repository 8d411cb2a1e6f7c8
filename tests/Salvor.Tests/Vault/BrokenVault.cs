using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Keys;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault;

/// <summary>A small vault with everything in it that a vault can hold, to be broken in every way.</summary>
sealed class BrokenVault
{
    /// <summary>Reading a hostile vault may cost no more than this: a few objects of the largest size that is accepted.</summary>
    const long AllocatedBytesMax = 256 << 20;

    const int MeasurementsMax = 5;

    static readonly TimeSpan ReadMax = TimeSpan.FromSeconds(30);

    readonly bool isEncrypted;

    BrokenVault(VaultModel model, FrozenStore whole, bool isEncrypted) => (Model, Whole, this.isEncrypted) = (model, whole, isEncrypted);

    public VaultModel Model { get; }

    public FrozenStore Whole { get; }

    public IEnumerable<string> Keys => Whole.Keys;

    /// <summary>What opens the vault; each time anew, so that nothing is known from before it was broken.</summary>
    Keyring? Key => isEncrypted ? TestKeys.Keyring() : null;

    public static async Task<BrokenVault> CreateAsync(int seed = 1, bool isEncrypted = false)
    {
        var store = new MemoryStore();
        var keys = isEncrypted ? TestKeys.Keyring() : null;
        var model = await VaultModel.CreateAsync(store, new Random(seed), pageSize: 512, keys: keys);
        await model.BeginAsync();
        await model.CommitAsync(transactions: 2);
        await model.CommitInPartsAsync(parts: 2);
        await model.LeaveOverAsync();

        // Two, so that the first of them needs what is left over before it, and not only the snapshot after it.
        await model.CommitAsync(transactions: 2);
        await model.SnapshotAsync();
        await model.CommitAsync(transactions: 2);
        await model.ForkAsync(model.Current.Points[2], image: false);
        await model.CommitAsync(transactions: 1);
        await model.ResyncAsync();
        await model.ForkAsync(model.Current.Points[0], image: true);
        await model.CommitAsync(transactions: 1);
        return new BrokenVault(model, await FrozenStore.CopyAsync(store), isEncrypted);
    }

    /// <summary>
    /// Reads everything from a broken copy. Each restore point gives what was committed, or a refusal that names an object: then that
    /// one, where the test knows which. Returns how many points were refused.
    /// </summary>
    /// <param name="mayHide">
    /// Whether points may be missing without a trace: whoever removes the newest objects leaves a vault that is whole but older.
    /// </param>
    public async Task<int> RefusalsAsync(FrozenStore broken, string what, string? named = null, bool mayHide = false)
    {
        for (var attempt = 1; ; attempt++)
        {
            var allocated = GC.GetTotalAllocatedBytes();
            var refusals = await ReadAllAsync(broken, what, named, mayHide);
            allocated = GC.GetTotalAllocatedBytes() - allocated;
            if (allocated < AllocatedBytesMax)
            {
                return refusals;
            }

            // Other tests allocate meanwhile and can only add: what is too much by itself is too much each time.
            Assert.True(attempt < MeasurementsMax, $"after {what}: {allocated} bytes were allocated");
        }
    }

    async Task<int> ReadAllAsync(FrozenStore broken, string what, string? named, bool mayHide)
    {
        try
        {
            var refusals = 0;
            foreach (var point in Model.Points)
            {
                refusals += await IsRefusedAsync(broken, point, named, mayHide).WaitAsync(ReadMax) ? 1 : 0;
            }

            await LoadStateAsync(broken).WaitAsync(ReadMax);
            return refusals;
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"after {what}: {e.Message}", e);
        }
    }

    async Task<bool> IsRefusedAsync(FrozenStore broken, ModelPoint point, string? named, bool mayHide)
    {
        try
        {
            if (await VaultAccess.FindAsync(broken, "app", Key, default) is not { } vault)
            {
                return true;
            }

            var catalog = await VaultCatalog.LoadAsync(vault, default);
            var plan = await new RestorePlanner(catalog).PlanAsync(point.Branch, point.Position, default);
            Assert.Equal(point.Content, await VaultReading.WriteAsync(catalog, plan));
            return false;
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable && mayHide)
        {
            Assert.NotEmpty(e.Hint);
            return true;
        }
        catch (SalvorException e)
        {
            Assert.Equal(FailureKind.Integrity, e.Kind);
            Assert.Matches("object [a-z]+|has no snapshot at or before|has lost all its key slots", e.Message);
            Assert.True(named is null || e.Message.Contains(named, StringComparison.Ordinal), $"not {named} was named: {e.Message}");
            return true;
        }
    }

    /// <summary>What a writer does first. It may find another state in a forged vault, but nothing else may happen.</summary>
    async Task LoadStateAsync(FrozenStore broken)
    {
        try
        {
            if (await VaultAccess.FindAsync(broken, "app", Key, default) is { } vault)
            {
                await VaultState.LoadAsync(await VaultCatalog.LoadAsync(vault, default), cache: null, default);
            }
        }
        catch (SalvorException e)
        {
            Assert.True(e.Kind is FailureKind.Integrity or FailureKind.NotRestorable, e.Message);
        }
    }
}
