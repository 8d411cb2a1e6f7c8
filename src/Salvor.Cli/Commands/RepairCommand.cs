using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Copies;

namespace Salvor.Cli.Commands;

static class RepairCommand
{
    static readonly VaultOptions Vault = new();
    static readonly Option<bool> DryRun = new("--dry-run") { Description = "Print what would be done and write nothing." };

    static readonly Option<bool> Strict = new("--strict")
    {
        Description = "Exit 1 where a damaged copy cannot be written, and is healthy elsewhere.",
    };

    public static Command Create()
    {
        var command = new Command("repair", "Heal the copies of a vault from each other, byte by byte the same.") { DryRun, Strict };
        Vault.AddTo(command);
        return command.WithWatchedAction(RunAsync, invocation => !Vault.IsFromGiven(invocation) && !invocation.Get(DryRun));
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var bodies = new List<RepairBody>();
        foreach (var target in await VerifyTarget.FindAsync(invocation, Vault))
        {
            bodies.Add(await RunAsync(invocation, target));
        }

        var code = bodies.Any(body => body.Lost > 0) ? FailureKind.Integrity
            : bodies.Any(body => body.Failed > 0) ? FailureKind.DestinationUnreachable
            : invocation.Get(Strict) && bodies.Any(body => body.Degraded > 0) ? FailureKind.Failure
            : default;
        invocation.PrintJson(
            new RepairDocument(invocation.Get(DryRun), bodies, code == default), () => CliJson.Default.RepairDocument);
        return (int)code;
    }

    static async Task<RepairBody> RunAsync(Invocation invocation, VerifyTarget target)
    {
        var name = target.Name;
        if (target.Copies is [{ Failure: null } only] && !await only.Store.KeepsEarlierAsync(invocation.Cancellation))
        {
            invocation.Print($"{name}: nothing to do, because it has one destination and is healed from others");
            return new RepairBody(name, 0, 0, 0, 0, 0, []);
        }

        var first = target.Copies.FirstOrDefault(copy => copy.Vault is not null)?.Vault;
        var steps = target.Copies.Where(copy => Obstacle(copy, first) is not null).Select(copy => Unusable(copy, first)).ToList();
        steps.ForEach(step => Print(invocation, name, step));
        if (first is null)
        {
            invocation.Print($"{name}: nothing is backed up yet");
            return Body(name, 0, steps);
        }

        var copies = target.Copies
            .Where(copy => Obstacle(copy, first) is null)
            .Select(copy => copy.Vault ?? first.At(copy.Store))
            .ToList();
        using var progress = new ProgressLine(invocation, name);
        var repair = new VaultRepair(copies, Math.Clamp(Environment.ProcessorCount, 1, 8)) { Progressed = progress.Reporter };
        await foreach (var planned in repair.PlanAsync(invocation.Cancellation))
        {
            var step = invocation.Get(DryRun) ? planned : await repair.CarryOutAsync(planned, invocation.Cancellation);
            steps.Add(step);
            Print(invocation, name, step);
        }

        progress.Dispose();
        var body = Body(name, repair.Objects, steps);
        var healed = invocation.Get(DryRun) ? $"{body.Healed} would be healed" : $"{body.Healed} healed";
        invocation.Print(
            $"{(body.Lost + body.Failed == 0 ? Symbols.Ok : "[damaged]")} {name}: {body.Objects} object(s) "
                + $"at {copies.Count} destination(s), {healed}, {body.Lost} lost, {body.Failed + body.Degraded} not writable");
        if (body.Degraded > 0)
        {
            invocation.Tell(
                $"warning: {name}: {body.Degraded} object(s) stay damaged where nothing may be written over, and are whole elsewhere. "
                    + "hint: Restores read the good copy; write a new copy to another destination if the damage spreads.");
        }

        return body;
    }

    /// <summary>Why a destination cannot take part; null where it can. A damaged identity is healed like everything else.</summary>
    static string? Obstacle(SourceCopy copy, VaultAccess? first) =>
        copy.Failure is { Kind: FailureKind.DestinationUnreachable } failure ? failure.Message
        : copy is { Vault: null, Store: FileStore } && !Directory.Exists(copy.Store.Location)
            ? $"destination {copy.Store.Location} does not exist"
        : copy.Vault is { } vault && first is not null && vault.Id != first.Id
            ? $"it holds vault {vault.Id}, which is another than {first.Id}"
        : null;

    static RepairStep Unusable(SourceCopy copy, VaultAccess? first) =>
        new(RepairAction.Refused, "", null, copy.Location, Obstacle(copy, first)!)
        {
            Failure = copy.Failure ?? new SalvorException(
                FailureKind.DestinationUnreachable, Obstacle(copy, first)!,
                copy.Vault is null ? $"Mount it if it is a disk or share; otherwise create it: 'mkdir -p -m 700 {copy.Store.Location}'."
                : "Two vaults of one name: give this source another destination, or move the folder that does not belong there."),
        };

    static void Print(Invocation invocation, string source, RepairStep step)
    {
        var line = step switch
        {
            { Key.Length: 0, Failure: { } failure } => $"{source}: {step.To} takes no part: {failure.Message}",
            { Failure: { } failure } => $"{source}: cannot heal {step.Key} at {step.To}: {failure.Message}",
            { Action: RepairAction.Copy } => $"{source}: {step.Key} {Symbols.Arrow} {step.To}: {step.Reason}, copied from {step.From}",
            { Action: RepairAction.Replace } =>
                $"{source}: {step.Key} {Symbols.Arrow} {step.To}: {step.Reason}; replaced from {step.From}",
            { Action: RepairAction.Lost } => $"{source}: {step.Key} at {step.To}: {step.Reason}, and no destination has it whole",
            _ => $"{source}: {step.Key} at {step.To} is left alone: {step.Reason}",
        };
        var hint = step switch
        {
            { Failure: { } failure } => failure.Hint,
            { Action: RepairAction.Lost } => $"Run 'salvor verify {source}' to see which restore points need it.",
            { Action: RepairAction.Refused } =>
                $"Find out which of them is right: 'salvor verify {source}' names what does not fit. Nothing was changed.",
            _ => null,
        };
        if (hint is null)
        {
            invocation.Print(line);
        }
        else
        {
            ErrorStream.WriteLine($"salvor: {line}\nhint: {hint}");
        }
    }

    static RepairBody Body(string source, long objects, List<RepairStep> steps)
    {
        bool IsDegraded(RepairStep step) =>
            step is { Key.Length: > 0, Failure: StorageException { Failure: StorageFailure.Denied } };
        bool IsFailed(RepairStep step) => step.Failure is not null && !IsDegraded(step);
        bool IsLost(RepairStep step) => step.Failure is null && step.Action is RepairAction.Lost or RepairAction.Refused;
        return new RepairBody(
            source, objects,
            steps.Count(step => step.Failure is null && !IsLost(step)), steps.Count(IsLost), steps.Count(IsFailed),
            steps.Sum(step => step.WrittenBytes),
            [.. steps.Select(step => new RepairStepBody(
                step.Key, step.Action.ToString().ToLowerInvariant(), step.From, step.To, step.Reason, step.Failure?.Message ?? ""))])
        {
            Degraded = steps.Count(IsDegraded),
        };
    }
}
