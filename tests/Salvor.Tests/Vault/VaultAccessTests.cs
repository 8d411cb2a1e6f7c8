using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault;

public sealed class VaultAccessTests
{
    readonly MemoryStore store = new();

    [Fact]
    public async Task A_vault_is_made_once_and_found_again()
    {
        Assert.Null(await VaultAccess.FindAsync(store, "app", default));

        var made = await OpenAsync();
        var found = await OpenAsync();

        Assert.Equal(made.Id, found.Id);
        Assert.Equal(made.Identity, found.Identity);
        Assert.Equal(made.Hasher, found.Hasher);
        Assert.Equal(("app", "sqlite", "/data/app.db"), (made.Identity.Source, made.Identity.Kind, made.Identity.Path));
        Assert.Equal("memory/app", made.Location);
        Assert.Equal(["app/vault"], await store.ListAsync("", null, default).Select(row => row.Key).ToListAsync());
    }

    [Fact]
    public async Task A_destination_can_be_the_vault_itself()
    {
        var vault = await OpenAsync(name: "");

        Assert.Equal("memory", vault.Location);
        Assert.Equal(vault.Id, (await VaultAccess.FindAsync(store, "", default))!.Id);
    }

    [Fact]
    public async Task Two_vaults_hash_the_same_page_differently()
    {
        var (one, other) = (await OpenAsync("one"), await OpenAsync("other"));

        Assert.NotEqual(one.Hasher.Hash(1, new byte[512]), other.Hasher.Hash(1, new byte[512]));
        Assert.NotEqual(one.Id, other.Id);
    }

    [Fact]
    public async Task All_who_race_to_make_a_vault_get_the_same()
    {
        var vaults = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => OpenAsync())));

        Assert.Single(vaults.Select(vault => (vault.Id, vault.Hasher)).Distinct());
    }

    [Theory]
    [InlineData("sqlite", "/data/other.db", "vault memory/app belongs to sqlite source /data/app.db, not to sqlite source /data/other.db")]
    [InlineData("files", "/data/app.db", "vault memory/app belongs to sqlite source /data/app.db, not to files source /data/app.db")]
    public async Task The_vault_of_another_source_is_refused(string kind, string path, string expected)
    {
        await OpenAsync();

        var failure = await Assert.ThrowsAsync<SalvorException>(() => OpenAsync("app", kind, path));

        Assert.Equal(FailureKind.Usage, failure.Kind);
        Assert.Equal(expected, failure.Message);
        Assert.Equal(
            "Give this source another name with '--name NAME' or another destination, so that neither history hides the other.",
            failure.Hint);
    }

    [Theory]
    [InlineData("page_seed\":\"", "page_seed\":\"x", "'x")]
    [InlineData("\"source\"", "\"sauce\"", "its details cannot be read: ")]
    [InlineData("{", "", "its details cannot be read: ")]
    public async Task An_identity_that_cannot_be_read_is_named(string old, string replacement, string expected)
    {
        await OpenAsync();
        var frozen = await FrozenStore.CopyAsync(store);
        var forged = await Forge.ResealAsync(frozen, "app/vault", changeDetails: details =>
            System.Text.Encoding.UTF8.GetBytes(System.Text.Encoding.UTF8.GetString(details).Replace(old, replacement)));

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            () => VaultAccess.FindAsync(frozen.With("app/vault", forged), "app", default));

        Assert.StartsWith($"object vault is damaged: {expected}", failure.Message);
    }

    Task<VaultAccess> OpenAsync(string name = "app", string kind = "sqlite", string path = "/data/app.db") =>
        VaultAccess.OpenOrCreateAsync(store, name, kind, path, TimeProvider.System, default);
}
