using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>
/// The claims of a vault: one small object per writer, made by create-if-absent, whose number is the writer's epoch. Nothing is ever
/// deleted, so claims work on storage that forbids it.
/// </summary>
public sealed class WriterClaims(VaultAccess vault)
{
    /// <summary>The newest claim, or null where nobody ever wrote.</summary>
    public async Task<ClaimRecord?> NewestAsync(CancellationToken cancellationToken) =>
        (await NewestWithEpochAsync(cancellationToken))?.Claim;

    /// <summary>As <see cref="NewestAsync"/>, with its epoch.</summary>
    public async Task<(uint Epoch, ClaimRecord Claim)?> NewestWithEpochAsync(CancellationToken cancellationToken) =>
        await NewestEpochAsync(cancellationToken) is { } epoch and > 0
            ? (epoch, await vault.ReadRecordAsync(
                VaultKeys.Claim(epoch), ObjectKind.Claim, VaultJson.Default.ClaimRecord, cancellationToken))
            : null;

    /// <summary>Makes a claim with the next free epoch and returns that.</summary>
    /// <param name="claim">Who claims.</param>
    /// <param name="after">An epoch that the new one must be above, whatever claims there are.</param>
    public async Task<uint> ClaimAsync(ClaimRecord claim, CancellationToken cancellationToken, uint after = 0)
    {
        for (var epoch = Math.Max(after, await NewestEpochAsync(cancellationToken)) + 1; ; epoch++)
        {
            using var writer = new ObjectWriter(VaultSecrets.Plain, FrameCompression.Default);
            var header = new ObjectHeader { Kind = ObjectKind.Claim, VaultId = vault.Id, Epoch = epoch };
            var (bytes, _) = writer.Finish(header, VaultJson.Write(claim, VaultJson.Default.ClaimRecord));
            if (await vault.PutAsync(VaultKeys.Claim(epoch), bytes, cancellationToken))
            {
                return epoch;
            }
        }
    }

    /// <summary>The number of the newest claim; 0 where nobody ever wrote.</summary>
    internal async Task<uint> NewestEpochAsync(CancellationToken cancellationToken)
    {
        var newest = 0u;
        await foreach (var row in vault.ListAsync(VaultKeys.Claims, after: null, cancellationToken))
        {
            newest = (uint)VaultKeys.NumberOf(row.Key);
        }

        return newest;
    }
}
