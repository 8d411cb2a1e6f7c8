using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Vault;

/// <summary>The place of a vault, given where the place above it was meant.</summary>
public sealed class VaultInVaultTests
{
    [Fact]
    public async Task No_vault_is_made_within_another()
    {
        using var directory = new TemporaryDirectory();
        var root = new FileStore(directory.Path);
        await VaultAccess.OpenOrCreateAsync(root, "app", "sqlite", "/data/app.db", TimeProvider.System, default);
        var inside = new FileStore(directory["app"]);

        var refused = await Assert.ThrowsAsync<SalvorException>(
            () => VaultAccess.OpenOrCreateAsync(inside, "app", "sqlite", "/data/app.db", TimeProvider.System, default));

        Assert.Equal(
            (FailureKind.Usage, $"{directory["app"]} is a vault itself, and vaults do not lie in each other",
                "Name the place above it, in which each source has a folder."),
            (refused.Kind, refused.Message, refused.Hint));
        Assert.False(Directory.Exists(directory["app/app"]));
        await VaultAccess.OpenOrCreateAsync(root, "app", "sqlite", "/data/app.db", TimeProvider.System, default);
        await VaultAccess.OpenOrCreateAsync(root, "other", "sqlite", "/data/other.db", TimeProvider.System, default);
    }
}
