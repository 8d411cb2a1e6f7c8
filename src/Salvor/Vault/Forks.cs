using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Vault;

/// <summary>Begins branches.</summary>
public static class Forks
{
    /// <summary>Makes the first branch of an empty vault.</summary>
    public static Task<uint> BeginAsync(
        VaultCatalog catalog, uint epoch, TimeProvider time, CancellationToken cancellationToken) => PutAsync(
        catalog.Vault, 1, epoch,
        new BranchRecord
        {
            Parent = 0,
            ForkPosition = 0,
            ForkNumber = 0,
            ForkLineage = Hash256.Zero.ToString(),
            Reason = "first copy",
            CreatedAt = time.GetUtcNow(),
        },
        cancellationToken);

    /// <summary>
    /// Makes a branch that leaves another after a restore point of that. What followed there stays where it is. The branch that was written
    /// up to now is ended first, so that no older writer goes on there unseen.
    /// </summary>
    public static async Task<uint> ForkAsync(
        VaultCatalog catalog, RestorePoint point, string reason, uint epoch, TimeProvider time, CancellationToken cancellationToken)
    {
        var log = await new RestorePlanner(catalog).LogOfAsync(point, cancellationToken);
        await Fences.EndAsync(catalog, epoch, reason, time, cancellationToken);
        return await PutAsync(
            catalog.Vault, catalog.Branches.Last().Number + 1, epoch,
            new BranchRecord
            {
                Parent = point.Branch,
                ForkPosition = point.Position.Value,
                ForkNumber = log.Header.Number,
                ForkLineage = log.Header.LineageAfter.ToString(),
                Reason = reason,
                CreatedAt = time.GetUtcNow(),
            },
            cancellationToken);
    }

    static async Task<uint> PutAsync(VaultAccess vault, uint number, uint epoch, BranchRecord record, CancellationToken cancellationToken)
    {
        using var writer = vault.NewObject();
        var header = new ObjectHeader { Kind = ObjectKind.Branch, VaultId = vault.Id, Branch = number, Epoch = epoch };
        var (bytes, _) = writer.Finish(header, VaultJson.Write(record, VaultJson.Default.BranchRecord));
        var key = VaultKeys.Branch(number);
        if (!await vault.PutAsync(key, bytes, cancellationToken))
        {
            await vault.ExpectOwnAsync(key, bytes, cancellationToken);
        }

        return number;
    }
}
