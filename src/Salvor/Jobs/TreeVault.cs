using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Keys;

namespace Salvor.Jobs;

/// <summary>The vault of a source that is backed up as a tree: for backups, and for what happens in between.</summary>
static class TreeVault
{
    /// <summary>
    /// Opens it at the first destination, and makes it there if there was none. Throws <see cref="FailureKind.DestinationUnreachable"/>
    /// where one was known and is not there.
    /// </summary>
    public static async Task<VaultAccess> OpenAsync(
        SalvorConfig config, TreeSourceConfig tree, Keyring? keys, TimeProvider time, CancellationToken cancellationToken)
    {
        var destination = config.Destinations[tree.To[0]];
        var (marked, present) = (MarkOf(config, tree), Destinations.Open(destination));
        if (destination is FileDestinationConfig { Path: var path } && !Directory.Exists(path)
            || await VaultAccess.FindAsync(present, tree.Name, keys, cancellationToken) is null)
        {
            // The disk may be away: a second history would begin beside the one that is on it.
            VaultMark.ExpectNone(marked, VaultAccess.LocationOf(present, tree.Name));
        }

        var store = Retrying(destination);
        var vault = await VaultAccess.OpenOrCreateAsync(store, tree.Name, tree.Kind, tree.Name, keys, time, cancellationToken);
        await vault.ExpectSavedKeyAsync(keys, time, cancellationToken);
        VaultMark.Write(marked, vault);
        return vault.With(tree.Compression);
    }

    /// <summary>What keeps its copy at a further destination up to date.</summary>
    /// <param name="startedAt">A vault that was made since then is new itself.</param>
    /// <param name="lacks">Told what the copy lacks, and null once it lacks nothing.</param>
    public static VaultMirror Mirror(
        SalvorConfig config, TreeSourceConfig tree, VaultAccess vault, DestinationConfig destination, DateTimeOffset startedAt,
        Action<string?> lacks) =>
        FurtherVault.Mirror(
            MarkOf(config, tree), vault, Destinations.Open(destination), destination.OnIncomplete, startedAt, lacks);

    static string MarkOf(SalvorConfig config, TreeSourceConfig tree) =>
        LocalState.VaultPath(ConfiguredSources.StateOf(config, tree), tree.Name);

    /// <summary>A folder is made if it is not there; what a network does may pass.</summary>
    static IObjectStore Retrying(DestinationConfig destination) => destination is FileDestinationConfig
        ? Destinations.OpenForWriting(destination)
        : Destinations.Open(destination);
}
