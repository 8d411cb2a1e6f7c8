using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Vault;

namespace Salvor.Cli.Commands;

static class BreakLockCommand
{
    static readonly VaultOptions Vault = new();
    static readonly Option<bool> Yes = new("--yes") { Description = "Do not ask." };

    static readonly Option<bool> Force = new("--force")
    {
        Description = "Also where the holder renewed its lease lately: it runs on another machine that is gone for good.",
    };

    public static Command Create()
    {
        var command = new Command("break-lock", "End the claim of a writer that is gone, and check the vault. Refused while it lives.")
        {
            Yes, Force,
        };
        Vault.AddTo(command);
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var places = await VaultPlace.FindAllAsync(Vault, invocation);
        if (places.Select(place => place.Vault.Identity.Source).Distinct().ToList() is { Count: > 1 } names)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"there are {names.Count} vaults: {string.Join(", ", names)}",
                $"Name one of them, for example '{names[0]}'.");
        }

        var bodies = new List<BrokenLockBody>();
        foreach (var place in places)
        {
            bodies.Add(await BreakAsync(invocation, place));
        }

        invocation.PrintJson(new BreakLockDocument(bodies), () => CliJson.Default.BreakLockDocument);
        return 0;
    }

    static async Task<BrokenLockBody> BreakAsync(Invocation invocation, VaultPlace place)
    {
        var (vault, now) = (place.Vault, invocation.Time.GetUtcNow());
        var lease = await WriterLease.FindAsync(vault, invocation.Cancellation);
        LockCommand.Print(invocation, LockCommand.BodyOf(place, lease, now));
        uint? epoch = null;
        if (LockBreaking.IsDue(vault, lease, invocation.Get(Force), now))
        {
            Ask(invocation, vault, lease!);
            epoch = await LockBreaking.BreakAsync(vault, invocation.Time, invocation.Cancellation);
            invocation.Print($"  broken: epoch {epoch} belongs to nobody, and whoever held the lock is shut out");
        }

        var points = await LockBreaking.CheckAsync(vault, invocation.Cancellation);
        invocation.Print($"  checked: listing and lineage are whole, {points} restore point(s)");
        return new BrokenLockBody(vault.Identity.Source, vault.Location, epoch is not null, epoch, points);
    }

    static void Ask(Invocation invocation, VaultAccess vault, WriterLease lease)
    {
        if (invocation.Get(Force))
        {
            invocation.Tell(
                $"warning: if pid {lease.Claim.Pid} on host {lease.Claim.Host} still runs, it stops with exit code 7 at its next commit");
        }

        if (!invocation.Get(Yes))
        {
            Confirmation.Ask(
                $"break the lock of {vault.Location}", "Look at the holder with 'salvor lock show', then add '--yes'.",
                "the lock was left as it is");
        }
    }
}
