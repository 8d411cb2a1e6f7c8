using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Pruning;

namespace Salvor.Cli.Commands;

static class PruneCommand
{
    static readonly VaultOptions Vault = new();
    static readonly VaultOptions UndeleteVault = new();
    static readonly Option<bool> DryRun = new("--dry-run") { Description = "Print what would be done and write nothing." };

    static readonly Option<bool> GarbageOnly = new("--gc-only")
    {
        Description = "Delete what earlier runs condemned and whose grace is over; condemn nothing.",
    };

    static readonly Argument<ulong> Number = new("NUMBER") { Description = "The number that the prune printed." };

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
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var rules = PruneOptions.In(invocation);
        var bodies = new List<PruneBody>();
        foreach (var place in await FirstPlacesAsync(invocation, Vault))
        {
            bodies.Add(await RunAsync(invocation, place, rules));
        }

        invocation.PrintJson(new PruneDocument(invocation.Get(DryRun), bodies), CliJson.Default.PruneDocument);
        return 0;
    }

    static async Task<PruneBody> RunAsync(Invocation invocation, VaultPlace place, BackupRules rules)
    {
        var dryRun = invocation.Get(DryRun);
        var pruner = new Pruner(place.Vault, invocation.Time);
        var deleted = await pruner.DeleteAsync(dryRun, invocation.Cancellation);
        var known = ProvenPoint.Find(place.StateDirectory, place.Vault.Identity.Path);
        (uint, Position)? proven = known is null ? null : (known.Branch, known.Position);
        var policy = new PrunePolicy(place.Source?.Keep ?? Ladder.Default) { Backups = rules };
        var (plan, number) = invocation.Get(GarbageOnly)
            ? (PrunePlan.Nothing, (ulong?)null)
            : dryRun ? (await pruner.PlanAsync(policy, proven, invocation.Cancellation), null)
            : await pruner.CondemnAsync(policy, proven, Pruner.GraceDefault, invocation.Cancellation);
        var body = new PruneBody(
            place.Vault.Identity.Source, place.Vault.Location,
            [.. plan.Lines.Select(line => new PruneLineBody(line.Subject, line.IsKept, line.Reason))],
            plan.Rewrites.Count, plan.Condemned.Sum(group => (long)group.Keys.Count), plan.CondemnedBytes, number,
            number is null ? null : invocation.Time.GetUtcNow() + Pruner.GraceDefault,
            deleted.Objects, deleted.Bytes, deleted.Refused, deleted.HeldObjects, deleted.HeldBytes);
        Print(invocation, body);
        return body;
    }

    static void Print(Invocation invocation, PruneBody body)
    {
        invocation.Print($"{body.Source} at {body.Location}");
        foreach (var line in body.Lines)
        {
            invocation.Print($"  {(line.Kept ? "keeps" : "drops")} {line.Subject}: {line.Reason}");
        }

        var would = invocation.Get(DryRun) ? "would be " : "";
        if (body.CondemnedObjects > 0)
        {
            invocation.Print(
                $"  {body.CondemnedObjects} object(s) with {SizeText.Format(body.CondemnedBytes)} {would}condemned, "
                    + $"{body.Rewrites} {would}made in their place");
        }

        if (body.Number is { } number)
        {
            invocation.Print(
                $"  a prune after {InstantText.Format(body.GraceEnds!.Value)} deletes them; "
                    + $"until then 'salvor prune undelete {number}' takes them back");
        }

        if (body.DeletedObjects > 0)
        {
            invocation.Print(
                $"  {body.DeletedObjects} object(s) with {SizeText.Format(body.DeletedBytes)} of earlier prunes {would}deleted");
        }

        if (body.RefusedObjects > 0)
        {
            invocation.Print($"  {body.RefusedObjects} object(s) not deleted: the destination does not allow it. reported, not done");
        }

        if (body.HeldObjects > 0)
        {
            invocation.Print(
                $"  {SizeText.Format(body.HeldBytes)} in {body.HeldObjects} object(s) still held until prune, for their grace");
        }

        if (body is { CondemnedObjects: 0, DeletedObjects: 0 })
        {
            invocation.Print("  nothing to do");
        }
    }

    static async Task<int> UndeleteAsync(Invocation invocation)
    {
        var places = await FirstPlacesAsync(invocation, UndeleteVault);
        if (places.Count > 1)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"there are {places.Count} vaults, and each counts its prunes by itself",
                $"Name the source: {string.Join(", ", places.Select(place => place.Vault.Identity.Source))}.");
        }

        var number = invocation.Get(Number);
        await new Pruner(places[0].Vault, invocation.Time).UndeleteAsync(number, invocation.Cancellation);
        var source = places[0].Vault.Identity.Source;
        invocation.Print($"{Symbols.Ok} {source}: what prune {number} condemned is there as before");
        invocation.PrintJson(
            new UndeleteDocument(source, places[0].Vault.Location, number), CliJson.Default.UndeleteDocument);
        return 0;
    }

    /// <summary>Of each source the first destination: the others follow it.</summary>
    static async Task<IReadOnlyList<VaultPlace>> FirstPlacesAsync(Invocation invocation, VaultOptions options) =>
        [.. (await VaultPlace.FindAllAsync(options, invocation)).DistinctBy(place => place.Vault.Id)];
}
