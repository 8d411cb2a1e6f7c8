using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault;

public sealed class VaultCatalogTests
{
    [Fact]
    public async Task An_empty_vault_has_nothing()
    {
        var store = new MemoryStore();
        await VaultModel.CreateAsync(store, new Random(1), 512);

        var catalog = await VaultReading.OpenAsync(store);

        Assert.True(catalog.IsEmpty);
        Assert.Equal((0UL, 0), (catalog.Logs(1).Last, catalog.Snapshots.Count));
    }

    [Fact]
    public async Task Branches_logs_and_snapshots_are_listed()
    {
        var vault = await BrokenVault.CreateAsync();

        var catalog = await VaultReading.OpenAsync(vault.Whole);

        Assert.Equal([1u, 2, 3], catalog.Branches.Select(branch => branch.Number));
        Assert.Equal([1u, 2, 3], catalog.PathTo(3).Select(branch => branch.Number));
        Assert.Equal(
            vault.Model.Branches.Select(branch => branch.Fork.Value), catalog.Branches.Select(branch => branch.Record.ForkPosition));
        Assert.Equal(
            vault.Keys.Count(key => key.StartsWith("app/log/", StringComparison.Ordinal)),
            catalog.Branches.Sum(branch => (int)catalog.Logs(branch.Number).Last));
        Assert.All(catalog.Branches, branch => Assert.Empty(catalog.Logs(branch.Number).Missing));
        Assert.Equal(3, catalog.Snapshots.Count);
    }

    [Fact]
    public async Task A_branch_that_does_not_exist_is_answered_with_those_that_do()
    {
        var catalog = await VaultReading.OpenAsync((await BrokenVault.CreateAsync()).Whole);

        var failure = Assert.Throws<SalvorException>(() => catalog.Branch(7));

        Assert.Equal(FailureKind.NotRestorable, failure.Kind);
        Assert.Equal("vault memory/app has no branch 7", failure.Message);
        Assert.Equal("Its branches are 1, 2, 3; 'salvor list --from memory/app' shows what each holds.", failure.Hint);
    }

    [Fact]
    public async Task Gaps_are_named_up_to_a_few_of_them()
    {
        var vault = await BrokenVault.CreateAsync();
        var key = "app/log/000001/";

        var few = await VaultReading.OpenAsync(vault.Whole.Without(key + "0000000000000001").Without(key + "0000000000000003"));
        var many = await VaultReading.OpenAsync(vault.Whole.With(key + "9999999999999999", [1]));

        Assert.Equal([1UL, 3], few.Logs(1).Missing);
        Assert.Equal(16, many.Logs(1).Missing.Count);
        Assert.Equal(9_999_999_999_999_999UL, many.Logs(1).Last);
    }

    [Fact]
    public async Task A_writer_does_not_continue_after_a_gap()
    {
        var store = new MemoryStore();
        var model = await VaultModel.CreateAsync(store, new Random(1), 512);
        await model.BeginAsync();
        await model.CommitAsync(transactions: 1);
        var broken = (await FrozenStore.CopyAsync(store)).Without("app/log/000001/0000000000000001");

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            async () => await VaultState.LoadAsync(await VaultReading.OpenAsync(broken), cache: null, default));

        Assert.Equal("object log/000001/0000000000000001 is damaged: it is missing from vault memory/app", failure.Message);
    }

    [Theory]
    [InlineData("log/000001/x", "its name does not end in a number; it is not an object of Salvor")]
    [InlineData("log/000001/-1", "its name does not end in a number; it is not an object of Salvor")]
    [InlineData("log/x/0000000000000001", "its name does not hold a branch; it is not an object of Salvor")]
    [InlineData("log/0000000000000001", "its name does not hold a branch; it is not an object of Salvor")]
    [InlineData("log/000001/000001/0000000000000001", "its name does not hold a branch; it is not an object of Salvor")]
    [InlineData("log/000001/1", "its name is not how Salvor writes that number; it is not an object of Salvor")]
    [InlineData("log/1/0000000000000001", "its name is not how Salvor writes that number; it is not an object of Salvor")]
    [InlineData("branches/1", "its name is not how Salvor writes that number; it is not an object of Salvor")]
    [InlineData("snapshots/000001/00000000000000007", "its name is not how Salvor writes that number; it is not an object of Salvor")]
    public async Task A_key_that_no_writer_makes_is_named(string key, string expected)
    {
        var store = new MemoryStore();
        await VaultModel.CreateAsync(store, new Random(1), 512);
        var any = await FrozenStore.CopyAsync(store);
        var branch = await Forge.ResealAsync(any, "app/vault", header => header with { Kind = ObjectKind.Branch, Branch = 1 });

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => VaultReading.OpenAsync(any.With("app/" + key, branch)));

        Assert.Equal($"object {key} is damaged: {expected}", failure.Message);
    }

    [Fact]
    public async Task A_branch_cannot_come_from_a_later_one()
    {
        var vault = await BrokenVault.CreateAsync();
        var forged = await Forge.ResealAsync(vault.Whole, "app/branches/000002", changeDetails: details =>
            System.Text.Encoding.UTF8.GetBytes(System.Text.Encoding.UTF8.GetString(details).Replace("\"parent\":1", "\"parent\":2")));

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            () => VaultReading.OpenAsync(vault.Whole.With("app/branches/000002", forged)));

        Assert.Equal("object branches/000002 is damaged: it claims branch 2, which is not older, as its parent", failure.Message);
    }
}
