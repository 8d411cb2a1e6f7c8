using Salvor.Platform;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Jobs;

/// <summary>Ends the claim of a writer that is gone.</summary>
static class LockBreaking
{
    /// <summary>
    /// Throws <see cref="FailureKind.Locked"/> where the holder lives on this machine, or renews its lease elsewhere and force was not
    /// asked for. False where there is nothing to break.
    /// </summary>
    public static bool IsDue(VaultAccess vault, WriterLease? lease, bool force, DateTimeOffset now)
    {
        var state = lease?.StateSeenBy(ProcessIdentity.Current(), now) ?? HolderState.Released;
        if (state is HolderState.Alive)
        {
            throw new SalvorException(
                FailureKind.Locked,
                $"vault {vault.Location} is being written by pid {lease!.Claim.Pid} on host {lease.Claim.Host}, which is alive",
                $"End it with 'kill {lease.Claim.Pid}': it then lets go by itself. Where it does not, 'kill -KILL {lease.Claim.Pid}', and "
                    + "the next writer takes over by itself.");
        }

        if (state is HolderState.Fresh && !force)
        {
            throw WriterAdmission.Refusal(vault, lease!, state, now);
        }

        return state != HolderState.Released;
    }

    /// <summary>
    /// Makes a claim that belongs to nobody, and shuts the old holder out of the log; returns the epoch. Anybody may write after that.
    /// </summary>
    public static async Task<uint> BreakAsync(VaultAccess vault, TimeProvider time, CancellationToken cancellationToken)
    {
        var claim = WriterAdmission.ClaimOf(ProcessIdentity.Current(), "salvor break-lock", time.GetUtcNow()) with { Released = true };
        var epoch = await new WriterClaims(vault).ClaimAsync(claim, cancellationToken);
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        if (!catalog.IsEmpty)
        {
            await Fences.TakeAsync(catalog, epoch, isNeeded: true, time, cancellationToken);
        }

        return epoch;
    }

    /// <summary>Checks the listing and the lineage of all branches; returns how many restore points there are.</summary>
    public static async Task<ulong> CheckAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        foreach (var branch in catalog.Branches)
        {
            if (catalog.Logs(branch.Number).Missing is [var missing, ..])
            {
                throw new DamagedObjectException(VaultKeys.Log(branch.Number, missing), $"it is missing from vault {vault.Location}");
            }
        }

        var spans = await RestoreSpans.FindAsync(catalog, cancellationToken);
        return spans.Aggregate(0UL, (sum, span) => sum + span.Last.Value - span.First.Value + 1);
    }
}
