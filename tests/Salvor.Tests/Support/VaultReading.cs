using Salvor.Sqlite.Restore;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Support;

/// <summary>Reads a vault as a restore on another machine does: with nothing but the store.</summary>
static class VaultReading
{
    public static async Task<VaultCatalog> OpenAsync(IObjectStore store, string name = "app") =>
        await VaultCatalog.LoadAsync((await VaultAccess.FindAsync(store, name, default))!, default);

    /// <summary>The bytes of the database at a position.</summary>
    public static async Task<byte[]> RestoreAsync(IObjectStore store, uint branch, Position position)
    {
        var catalog = await OpenAsync(store);
        return await WriteAsync(catalog, await new RestorePlanner(catalog).PlanAsync(branch, position, default));
    }

    public static async Task<byte[]> WriteAsync(VaultCatalog catalog, RestorePlan plan)
    {
        var path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, FileOptions.DeleteOnClose);
        var restored = await new SqliteRestorer(catalog, plan).WriteAsync(file, default);
        var content = new byte[RandomAccess.GetLength(file)];
        Assert.Equal(content.Length, restored.SizeBytes);
        Assert.Equal(content.Length, RandomAccess.Read(file, content, 0));
        return content;
    }
}
