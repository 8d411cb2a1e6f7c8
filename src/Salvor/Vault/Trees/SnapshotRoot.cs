using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Trees;

/// <summary>What the root of a snapshot says, whatever kind of source it is of. Exactly one of the two is set.</summary>
/// <param name="Database">Of a database.</param>
/// <param name="Tree">Of files.</param>
sealed record SnapshotRoot(SnapshotDetails? Database, TreeDetails? Tree)
{
    /// <summary>The tops of its trees of chunks.</summary>
    public IReadOnlyList<ChunkNode> Tops => Tree is null ? [Database!.Top] : [Tree.Listing, Tree.Content];

    /// <summary>The length of what it stands for.</summary>
    public long ContentBytes => Tree is null ? Database!.SizeBytes : (long)Tree.Content.Length;

    /// <summary>Whether it is no restore point by itself.</summary>
    public bool IsImage => Database is { IsImage: true };

    public static SnapshotRoot Read(string key, ReadOnlySpan<byte> bytes) => TreeDetails.IsTree(bytes)
        ? new SnapshotRoot(null, TreeDetails.Read(key, bytes))
        : new SnapshotRoot(SnapshotDetails.Read(key, bytes), null);

    /// <summary>Reads the root of a snapshot.</summary>
    public static async Task<SnapshotRoot> OpenAsync(VaultAccess vault, SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        var key = VaultKeys.Snapshot(snapshot.Branch, snapshot.Position);
        using var stored = await vault.OpenAsync(
            key, ObjectKind.Snapshot, whole: true, cancellationToken,
            header => header.Branch == snapshot.Branch && header.PositionLast == snapshot.Position.Value
                ? null
                : $"it is the snapshot of position {header.PositionLast}");
        return Read(key, await stored.ReadDetailsAsync(cancellationToken));
    }
}
