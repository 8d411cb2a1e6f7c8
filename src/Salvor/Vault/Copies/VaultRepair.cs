using System.Runtime.CompilerServices;
using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Verify;

namespace Salvor.Vault.Copies;

/// <summary>How an object is at one destination.</summary>
/// <param name="Hash">Of all its bytes where it is good; otherwise null.</param>
/// <param name="Problem">What is wrong with it; null where it is good.</param>
/// <param name="IsForeign">It is whole, and of another vault: nothing that a repair may touch.</param>
public readonly record struct CopyState(Hash256? Hash, string? Problem, bool IsForeign = false)
{
    /// <summary>An object that is not there.</summary>
    public static readonly CopyState Missing = new(null, null);

    /// <summary>Whether there is nothing.</summary>
    public bool IsMissing => Hash is null && Problem is null;

    /// <summary>Whether it is good, and somebody deleted it: the destination keeps it, for now.</summary>
    public bool IsHidden { get; init; }

    /// <summary>Where the destination has it as it was before somebody overwrote it, whole; null where it does not.</summary>
    internal VaultAccess? Earlier { get; init; }
}

/// <summary>What a repair does about one object.</summary>
public enum RepairAction
{
    /// <summary>Copies the good bytes to where it is missing.</summary>
    Copy,

    /// <summary>Puts the good bytes over damaged ones.</summary>
    Replace,

    /// <summary>Nothing can be done: no destination has it whole.</summary>
    Lost,

    /// <summary>Nothing is done: two destinations have it whole and different, or it belongs to another vault.</summary>
    Refused,
}

/// <summary>One object at one destination that is not as it should be, and what becomes of it.</summary>
/// <param name="Key">The object, inside the vault.</param>
/// <param name="From">The destination with the good bytes; null where there is none.</param>
/// <param name="To">The destination that is healed.</param>
/// <param name="Reason">Why: missing, or what is wrong with it.</param>
public sealed record RepairStep(RepairAction Action, string Key, string? From, string To, string Reason)
{
    /// <summary>Why a step that was tried failed; null where it was done or is only planned.</summary>
    public SalvorException? Failure { get; init; }

    /// <summary>How many bytes were written.</summary>
    public long WrittenBytes { get; init; }

    internal int FromIndex { get; init; }

    /// <summary>What has the good bytes where it is no destination as it is now.</summary>
    internal VaultAccess? FromEarlier { get; init; }

    internal int ToIndex { get; init; }

    /// <summary>What to do about one object, from how it is at each destination.</summary>
    internal static IEnumerable<RepairStep> Plan(string key, IReadOnlyList<string> locations, IReadOnlyList<CopyState> states)
    {
        var good = states.Index().FirstOrDefault(item => item.Item.Hash is not null, (Index: -1, Item: default));
        var kept = good.Index >= 0
            ? good
            : states.Index().FirstOrDefault(item => item.Item.Earlier is not null, (Index: -1, Item: default));
        for (var i = 0; i < states.Count; i++)
        {
            var state = states[i];
            var (action, from, reason) = state switch
            {
                { IsForeign: true, Earlier: null } => (RepairAction.Refused, -1, state.Problem!),
                { Hash: { } hash } when hash != good.Item.Hash => (
                    RepairAction.Refused, -1, $"it is whole, and another than at {locations[good.Index]}"),
                { IsHidden: true } => (RepairAction.Copy, i, "somebody deleted it"),
                { Hash: not null } => default,
                { IsMissing: true } => (RepairAction.Copy, kept.Index, "it is missing"),
                _ => (RepairAction.Replace, kept.Index, state.Problem!),
            };
            if (reason is null || (from < 0 && action == RepairAction.Copy))
            {
                continue;
            }

            yield return new RepairStep(
                from < 0 && action == RepairAction.Replace ? RepairAction.Lost : action, key, from < 0 ? null : locations[from],
                locations[i], reason)
            {
                FromIndex = from, ToIndex = i, FromEarlier = from < 0 || good.Index >= 0 ? null : kept.Item.Earlier,
            };
        }
    }
}

/// <summary>
/// Heals the copies of a vault from each other, object by object, with the very same bytes. It needs no lock: objects never change, so
/// whoever else writes at the same time makes the same ones; and stopped anywhere, it has only made things better.
/// </summary>
/// <param name="copies">The vault at each destination.</param>
/// <param name="parallelism">How many objects are read at a time.</param>
public sealed class VaultRepair(IReadOnlyList<VaultAccess> copies, int parallelism)
{
    readonly string[] locations = [.. copies.Select(copy => copy.Location)];

    CopyGaps? gaps;
    long totalBytes;
    long doneBytes;
    long doneObjects;

    /// <summary>Told how much was looked at. Where it is set, what there is to look at is listed first.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>How many objects were looked at.</summary>
    public long Objects { get; private set; }

    /// <summary>Finds what is wrong, in the order in which it may be healed.</summary>
    public async IAsyncEnumerable<RepairStep> PlanAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ahead = new Queue<(string Key, Task<CopyState[]> States)>();
        if (Progressed is not null)
        {
            Progressed(new WorkProgress("listing"));
            totalBytes = await CopyOrder.ListAsync(copies, "", cancellationToken)
                .Select(row => row.Sizes.Sum() ?? 0).SumAsync(cancellationToken);
        }

        gaps = await CopyGaps.ReadAsync(copies, cancellationToken);
        await foreach (var row in CopyOrder.WalkAsync(copies, cancellationToken))
        {
            Objects++;
            ahead.Enqueue((row.Key, Task.Run(() => LookAsync(row, cancellationToken), cancellationToken)));
            if (ahead.Count < parallelism)
            {
                continue;
            }

            var (key, states) = ahead.Dequeue();
            foreach (var step in Plan(key, await states))
            {
                yield return step;
            }
        }

        while (ahead.TryDequeue(out var item))
        {
            foreach (var step in Plan(item.Key, await item.States))
            {
                yield return step;
            }
        }
    }

    /// <summary>What is rightly absent somewhere is not brought back there.</summary>
    IEnumerable<RepairStep> Plan(string key, CopyState[] states) => RepairStep.Plan(key, locations, states)
        .Where(step => step.Action != RepairAction.Copy || !gaps!.IsRight(step.ToIndex, key));

    /// <summary>Does it, and reads what was written. The answer says how many bytes, or why not.</summary>
    public async Task<RepairStep> CarryOutAsync(RepairStep step, CancellationToken cancellationToken)
    {
        if (step.Action is RepairAction.Lost or RepairAction.Refused)
        {
            return step;
        }

        try
        {
            var target = copies[step.ToIndex];
            var bytes = await (step.FromEarlier ?? copies[step.FromIndex]).GetAsync(step.Key, cancellationToken);
            if (ObjectBytes.FooterHash(bytes) is not { } hash)
            {
                throw new DamagedObjectException(step.Key, $"it was good at {step.From} a moment ago and is not any more");
            }

            if (step.Action == RepairAction.Replace)
            {
                await target.ReplaceAsync(step.Key, bytes, cancellationToken);
            }
            else
            {
                // Where somebody else has put it meanwhile, it is there, and that is all that was wanted.
                await target.PutAsync(step.Key, bytes, cancellationToken);
            }

            return ObjectBytes.FooterHash(await target.GetAsync(step.Key, cancellationToken)) == hash
                ? step with { WrittenBytes = bytes!.Length }
                : throw new StorageException(
                    StorageFailure.Unreachable,
                    $"{step.Key} at {step.To} does not read as it was written",
                    "The disk there does not keep what it is given: replace it, then run 'salvor repair' again.");
        }
        catch (SalvorException e)
        {
            return step with { Failure = e };
        }
    }

    async Task<CopyState[]> LookAsync(CopyRow row, CancellationToken cancellationToken)
    {
        var states = new CopyState[copies.Count];
        for (var i = 0; i < copies.Count; i++)
        {
            states[i] = row.Sizes[i] is null ? CopyState.Missing : await LookAsync(copies[i].Alone(), row.Key, cancellationToken);
            states[i] = states[i] with
            {
                IsHidden = states[i].Hash is not null && row.IsHidden[i],
                Earlier = states[i].Problem is null ? null
                    : (await EarlierVersions.FindAsync(copies[i], row.Key, cancellationToken))?.Vault,
            };
        }

        var bytes = Interlocked.Add(ref doneBytes, row.Sizes.Sum() ?? 0);
        var objects = Interlocked.Increment(ref doneObjects);
        Progressed?.Invoke(new WorkProgress("comparing", bytes, totalBytes) { Count = $"{objects} objects" });
        return states;
    }

    static async Task<CopyState> LookAsync(VaultAccess copy, string key, CancellationToken cancellationToken)
    {
        try
        {
            return new CopyState(await ObjectCheck.WholeAsync(copy, key, cancellationToken), null);
        }
        catch (LayerException e)
        {
            return await BrokenAsync(copy, key, e.Damage.What, cancellationToken);
        }
        catch (DamagedObjectException e)
        {
            return await BrokenAsync(copy, key, e.What, cancellationToken);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            return CopyState.Missing;
        }
        catch (NewerFormatException e)
        {
            // A version that a flipped bit made is damage; a real one is not ours to touch.
            var isWhole = ObjectBytes.FooterHash(await copy.GetAsync(key, cancellationToken)) is not null;
            return new CopyState(null, e.Message, isWhole);
        }
        catch (StorageException e)
        {
            // Not even readable: the file system may say so of a bad sector.
            return new CopyState(null, e.Message);
        }
    }

    /// <summary>What is whole but of another vault is not damage that may be written over.</summary>
    static async Task<CopyState> BrokenAsync(VaultAccess copy, string key, string problem, CancellationToken cancellationToken)
    {
        if (await copy.Store.SizeAsync(copy.KeyOf(key), cancellationToken) is not { } size)
        {
            return CopyState.Missing;
        }

        var bytes = size > ObjectWriter.ObjectBytesMax ? null : await copy.GetAsync(key, cancellationToken);
        return new CopyState(null, problem, bytes is not null && ObjectBytes.VaultOf(key, bytes) is { } vault && vault != copy.Id);
    }
}
