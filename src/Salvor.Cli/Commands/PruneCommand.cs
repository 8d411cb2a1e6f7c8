using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Text;
using Salvor.Vault.Compaction;
using Salvor.Vault.Pruning;

namespace Salvor.Cli.Commands;

static class PruneCommand
{
    static readonly VaultOptions Vault = new();
    static readonly VaultOptions UndeleteVault = new();

    static readonly Option<bool> GarbageOnly = new("--gc-only")
    {
        Description = "Drop no restore point and no backup: only what nothing refers to, and what earlier runs condemned.",
    };

    static readonly Argument<ulong> Number = new("NUMBER") { Description = "The number that the prune printed." };

    public static Option<bool> DryRun { get; } = new("--dry-run") { Description = "Print what would be done and write nothing." };

    public static Command Create()
    {
        var undelete = new Command("undelete", "Take back what a prune condemned, before it is deleted.") { Number };
        UndeleteVault.AddTo(undelete);
        var command = new Command("prune", "Drop restore points and backups that nothing keeps, in two steps.")
        {
            DryRun, GarbageOnly, undelete.WithAction(UndeleteAsync),
        };
        command.Aliases.Add("forget");
        PruneOptions.AddTo(command);
        Vault.AddTo(command);
        return command.WithWatchedAction(
            invocation => RunAsync(invocation, Vault), invocation => !Vault.IsFromGiven(invocation) && !invocation.Get(DryRun));
    }

    /// <summary>Prunes every vault that is meant.</summary>
    public static async Task<int> RunAsync(Invocation invocation, VaultOptions options)
    {
        var rules = PruneOptions.In(invocation);
        if (rules.Any && invocation.Get(GarbageOnly))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--gc-only' drops no backup, and a rule for backups says which stay", "Give one of them.");
        }

        var bodies = new List<PruneBody>();
        foreach (var place in await VaultPlace.FindFirstAsync(options, invocation))
        {
            bodies.Add(await RunAsync(invocation, place, rules));
        }

        if (!invocation.Get(DryRun) && !options.IsFromGiven(invocation))
        {
            await ExtendLocksAsync(invocation, bodies);
        }

        invocation.PrintJson(new PruneDocument(invocation.Get(DryRun), bodies), () => CliJson.Default.PruneDocument);
        return 0;
    }

    /// <summary>What stays is locked anew where it is due: a prune says what is needed, so that belongs to it.</summary>
    static async Task ExtendLocksAsync(Invocation invocation, List<PruneBody> bodies)
    {
        var config = invocation.LoadConfig();
        foreach (var vault in ConfiguredSources.Vaults(config, _ => true).Where(item => bodies.Any(body => body.Source == item.Name)))
        {
            foreach (var done in await new LockExtension(config, invocation.Time).RunAsync(vault, invocation.Cancellation))
            {
                if (done.Until is { } until)
                {
                    invocation.Print(
                        $"{vault.Name} at {done.Destination}: {done.Extended} lock(s) now last until {InstantText.Format(until)}");
                }
            }
        }
    }

    static async Task<PruneBody> RunAsync(Invocation invocation, VaultPlace place, BackupRules rules)
    {
        var dryRun = invocation.Get(DryRun);
        using var progress = new ProgressLine(invocation, place.Vault.Identity.Source);
        var pruner = new Pruner(place.Vault, invocation.Time) { Progressed = progress.Reporter };
        var deleted = await pruner.DeleteAsync(dryRun, invocation.Cancellation);
        var policy = place.Source is { } source ? ConfiguredSources.PolicyOf(source) : new PrunePolicy(Ladder.Default);
        policy = policy with { GarbageOnly = invocation.Get(GarbageOnly), Backups = rules.Any ? rules : policy.Backups };
        var (plan, number) = dryRun
            ? (await pruner.PlanAsync(policy, place.Proven, invocation.Cancellation), null)
            : await pruner.CondemnAsync(policy, place.Proven, place.Grace, invocation.Cancellation);
        progress.Dispose();
        var body = new PruneBody(
            place.Vault.Identity.Source, place.Vault.Location,
            [.. plan.Lines.Select(line => new PruneLineBody(line.Subject, line.IsKept, line.Reason))],
            plan.Rewrites.Count, plan.Condemned.Sum(group => (long)group.Keys.Count), plan.CondemnedBytes, number,
            number is null ? null : invocation.Time.GetUtcNow() + place.Grace,
            deleted.Objects, deleted.Bytes, deleted.Refused, deleted.RefusedBytes, deleted.HeldObjects, deleted.HeldBytes,
            policy.BytesMax, plan.Cut?.Before, plan.ExcessBytes);
        PruneText.Print(invocation, body, dryRun);
        return body;
    }

    static async Task<int> UndeleteAsync(Invocation invocation)
    {
        var place = await VaultPlace.FindOneAsync(UndeleteVault, invocation, "prunes");
        var number = invocation.Get(Number);
        var later = await new Pruner(place.Vault, invocation.Time).UndeleteAsync(number, invocation.Cancellation);
        var source = place.Vault.Identity.Source;
        invocation.Print($"{Symbols.Ok} {source}: what prune {number} condemned is there as before");
        if (later.Count > 0)
        {
            invocation.Print($"  so is what was planned after it: prune {string.Join(", ", later)}");
        }

        invocation.PrintJson(
            new UndeleteDocument(source, place.Vault.Location, number, later), () => CliJson.Default.UndeleteDocument);
        return 0;
    }
}
