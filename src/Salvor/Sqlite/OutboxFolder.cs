using Salvor.Platform;
using Salvor.Storage;
using Salvor.Text;
using Salvor.Vault;

namespace Salvor.Sqlite;

/// <summary>The outbox of one database, in its local state.</summary>
static class OutboxFolder
{
    /// <summary>The outbox, whose folder is made with the first object.</summary>
    public static Outbox Open(ReplicatorOptions options, VaultAccess vault)
    {
        var path = PathOf(options);
        return new Outbox(
            vault, new FileStore(path, createRoot: true), options.OutboxBytesMax, () => DiskSpace.FreeBytes(options.StateDirectory));
    }

    /// <summary>
    /// Stores what an earlier session left there; true where the vault has more than before. What does not continue the vault, because
    /// another writer went on, is moved aside and never deleted: it may be the only copy of those commits.
    /// </summary>
    public static async Task<bool> ReplayAsync(SqliteReplicator owner, VaultAccess vault, CancellationToken cancellationToken)
    {
        var path = PathOf(owner.Options);
        if (!Directory.Exists(path))
        {
            return false;
        }

        var replay = await Open(owner.Options, vault).ReplayAsync(cancellationToken);
        if (replay.Stored > 0)
        {
            owner.Logger.OutboxStored(owner.Options.Name, replay.Stored, vault.Location);
        }

        if (replay.Refused > 0)
        {
            var aside = $"{path}-refused-{owner.Time.GetUtcNow():yyyyMMdd'T'HHmmss'Z'}";
            Directory.Move(path, aside);
            owner.Logger.OutboxRefused(owner.Options.Name, replay.Refused, vault.Location, aside);
        }

        return replay.Stored > 0;
    }

    static string PathOf(ReplicatorOptions options) => LocalState.OutboxPath(options.StateDirectory, options.Path);
}
