using Salvor.Platform;

namespace Salvor.Vault;

/// <summary>What is known from here of the process behind a claim.</summary>
enum HolderState
{
    /// <summary>It is this process.</summary>
    Own,

    /// <summary>It said that it stopped.</summary>
    Released,

    /// <summary>It ran on this machine and certainly runs no more.</summary>
    Dead,

    /// <summary>It runs on this machine.</summary>
    Alive,

    /// <summary>It runs elsewhere, and renewed its lease lately.</summary>
    Fresh,

    /// <summary>It ran elsewhere, and let several renewals pass.</summary>
    Lapsed,
}

/// <summary>The newest claim of a vault, and when it was last renewed.</summary>
/// <param name="Epoch">Its number.</param>
/// <param name="Claim">Who made it.</param>
/// <param name="RenewedAt">By the clock of whoever renewed it.</param>
/// <param name="HasEnded">Whether its process said that it wrote all it had and stopped.</param>
sealed record WriterLease(uint Epoch, ClaimRecord Claim, DateTimeOffset RenewedAt, bool HasEnded)
{
    /// <summary>After so long without renewal a lease has lapsed. Clocks of two machines may differ by a good part of it.</summary>
    public static readonly TimeSpan Term = 3 * Heads.Interval;

    /// <summary>The lease of a vault, or null where nobody ever wrote.</summary>
    public static async Task<WriterLease?> FindAsync(VaultAccess vault, CancellationToken cancellationToken)
    {
        if (await new WriterClaims(vault).NewestWithEpochAsync(cancellationToken) is not { } newest)
        {
            return null;
        }

        var heads = (await Heads.OfVaultAsync(vault, cancellationToken)).Where(entry => entry.Epoch == newest.Epoch).ToList();
        var renewed = heads.Select(entry => entry.RenewedAt).Append(newest.Claim.Since).Max();
        return new WriterLease(newest.Epoch, newest.Claim, renewed, heads.Any(entry => entry.Released));
    }

    /// <summary>How long ago it was renewed; never negative, because clocks differ.</summary>
    public TimeSpan Age(DateTimeOffset now) => now > RenewedAt ? now - RenewedAt : TimeSpan.Zero;

    /// <summary>What a process knows of the holder.</summary>
    /// <param name="here">The process.</param>
    /// <param name="now">The time now.</param>
    /// <param name="heldLock">The file of the local lock, if that process holds it.</param>
    public HolderState StateSeenBy(ProcessIdentity here, DateTimeOffset now, FileIdentity? heldLock = null)
    {
        var holder = new ProcessIdentity(Claim.Host, Claim.BootId, Claim.Pid, Claim.StartTicks) { PidNamespace = Claim.PidNamespace };
        var isHere = holder.Host == here.Host && holder.BootId == here.BootId && here.BootId.Length > 0
            && (holder.PidNamespace == 0 || holder.PidNamespace == here.PidNamespace);
        return HasEnded || Claim.Released ? HolderState.Released
            : isHere && holder.Pid == here.Pid && holder.StartTicks == here.StartTicks ? HolderState.Own
            : holder.IsProvablyDead(here) || LeftItsLock(here, heldLock) ? HolderState.Dead
            : isHere ? HolderState.Alive
            : Age(now) < Term ? HolderState.Fresh
            : HolderState.Lapsed;
    }

    /// <summary>
    /// Whether the holder's local lock is ours now. One kernel gave it to both, and takes it only from a process that ended: that proves
    /// more than process ids, which a container that was started again cannot compare.
    /// </summary>
    bool LeftItsLock(ProcessIdentity here, FileIdentity? heldLock) =>
        Claim.BootId == here.BootId && here.BootId.Length > 0 && Claim.LockFile.Length > 0 && Claim.LockFile == heldLock?.Text;
}
