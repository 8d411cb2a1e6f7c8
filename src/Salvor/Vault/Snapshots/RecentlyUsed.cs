using System.Diagnostics.CodeAnalysis;

namespace Salvor.Vault.Snapshots;

/// <summary>Keeps what was used last, as much as its budget allows. Not thread-safe.</summary>
/// <param name="budget">What all that is kept may cost together.</param>
/// <param name="costOf">What one costs.</param>
sealed class RecentlyUsed<TKey, TValue>(long budget, Func<TValue, long> costOf)
    where TKey : notnull
{
    readonly Dictionary<TKey, LinkedListNode<(TKey Key, TValue Value)>> nodes = [];
    readonly LinkedList<(TKey Key, TValue Value)> order = [];
    long cost;

    public bool TryGet(TKey key, [MaybeNullWhen(false)] out TValue value)
    {
        if (!nodes.TryGetValue(key, out var node))
        {
            value = default;
            return false;
        }

        order.Remove(node);
        order.AddFirst(node);
        value = node.Value.Value;
        return true;
    }

    public void Add(TKey key, TValue value)
    {
        if (TryGet(key, out _))
        {
            return;
        }

        nodes[key] = order.AddFirst((key, value));
        cost += costOf(value);
        while (cost > budget && order.Last is { } oldest && oldest != order.First)
        {
            order.RemoveLast();
            nodes.Remove(oldest.Value.Key);
            cost -= costOf(oldest.Value.Value);
        }
    }
}
