using System.Security.Cryptography;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Vault;

/// <summary>How a writer entered a vault.</summary>
/// <param name="Epoch">Its own.</param>
/// <param name="MustFence">Whether the writer before it did not say that it ended: see <see cref="Fences"/>.</param>
/// <param name="Before">Whom it took over from without being asked to; empty where there is nothing to tell.</param>
sealed record Admission(uint Epoch, bool MustFence, string Before);

/// <summary>Lets a process write to a vault, or refuses. Fences keep the log whole whatever is decided here.</summary>
static class WriterAdmission
{
    /// <summary>
    /// Claims the next epoch. Throws <see cref="FailureKind.Locked"/>, with the holder and what to do, while the last claim's process is
    /// alive on this machine or renews its lease elsewhere.
    /// </summary>
    /// <param name="vault">Where.</param>
    /// <param name="command">What this process does, for people.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <param name="heldLock">The file of the local lock, which this process holds as long as it writes; null where there is none.</param>
    public static async Task<Admission> EnterAsync(
        VaultAccess vault, string command, TimeProvider time, CancellationToken cancellationToken, FileIdentity? heldLock = null)
    {
        var (here, now) = (ProcessIdentity.Current(), time.GetUtcNow());
        var lease = await WriterLease.FindAsync(vault, cancellationToken);
        var state = lease?.StateSeenBy(here, now, heldLock);
        if (state is HolderState.Alive or HolderState.Fresh)
        {
            throw Refusal(vault, lease!, state.Value, now);
        }

        // A copy of a vault may lack the claims; what is in its log is of some epoch nevertheless.
        var after = lease is null ? await Fences.NewestEpochAsync(vault, cancellationToken) : 0;
        var epoch = await new WriterClaims(vault).ClaimAsync(ClaimOf(here, command, now, heldLock), cancellationToken, after);
        return new Admission(epoch, MustFence: lease is { HasEnded: false } || after > 0, TakenFrom(lease, state, now));
    }

    /// <summary>A claim of this process.</summary>
    public static ClaimRecord ClaimOf(ProcessIdentity here, string command, DateTimeOffset now, FileIdentity? heldLock = null) => new()
    {
        Host = here.Host,
        BootId = here.BootId,
        Pid = here.Pid,
        StartTicks = here.StartTicks,
        PidNamespace = here.PidNamespace,
        LockFile = heldLock?.Text ?? "",
        User = Environment.UserName,
        Command = command,
        WriterId = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16)),
        Since = now,
        Version = typeof(WriterAdmission).Assembly.GetName().Version?.ToString(3) ?? "0",
    };

    /// <summary>Why a holder is not to be disturbed: it is alive here, or its lease is fresh.</summary>
    public static SalvorException Refusal(VaultAccess vault, WriterLease lease, HolderState state, DateTimeOffset now)
    {
        var claim = lease.Claim;
        return state == HolderState.Alive
            ? new SalvorException(
                FailureKind.Locked,
                $"vault {vault.Location} is being written by pid {claim.Pid} on host {claim.Host} since {InstantText.Format(claim.Since)}",
                $"Stop that process first ('salvor lock show --from {vault.Location}' tells what it is), or give this source its own name "
                    + "or destination.")
            : new SalvorException(
                FailureKind.Locked,
                $"vault {vault.Location} is held by pid {claim.Pid} on host {claim.Host}, which renewed its lease "
                    + $"{DurationText.FormatShort(Whole(lease.Age(now)))} ago",
                $"Stop that process, and it lets go at once. Where it is gone for good, run 'salvor lock show --from {vault.Location}', "
                    + $"then 'salvor break-lock --force --from {vault.Location}'; or wait: {DurationText.Format(WriterLease.Term)} after "
                    + "its last renewal a lease lapses.");
    }

    static string TakenFrom(WriterLease? lease, HolderState? state, DateTimeOffset now) => state switch
    {
        HolderState.Dead => $"pid {lease!.Claim.Pid} on host {lease.Claim.Host} runs no more; taking over from it",
        HolderState.Lapsed => $"pid {lease!.Claim.Pid} on host {lease.Claim.Host} did not renew its lease for "
            + $"{DurationText.FormatShort(Whole(lease.Age(now)))}; taking over from it",
        _ => "",
    };

    static TimeSpan Whole(TimeSpan age) => TimeSpan.FromSeconds(Math.Floor(age.TotalSeconds));
}
