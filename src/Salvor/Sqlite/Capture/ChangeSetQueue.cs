using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Salvor.Vault;

namespace Salvor.Sqlite.Capture;

/// <summary>What waits to be published: transactions, or the result of a resync. The taker disposes it.</summary>
/// <param name="Positions">How many restore points it holds.</param>
/// <param name="OldestMicros">When the first of them was seen.</param>
sealed record PendingChange(ChangeSetBuilder? ChangeSet, Resync? Resync, ulong Positions, long OldestMicros) : IDisposable
{
    public long ContentBytes => ChangeSet?.ContentBytes ?? 0;

    public void Dispose()
    {
        ChangeSet?.Dispose();
        Resync?.Dispose();
    }
}

/// <summary>
/// Between the capture of one database and its publication. Bounded by bytes: when the destination does not keep up, the capture stops
/// taking frames (the log keeps them) long before memory is at risk.
/// </summary>
sealed class ChangeSetQueue
{
    readonly Channel<PendingChange> channel = Channel.CreateUnbounded<PendingChange>(new() { SingleReader = true, SingleWriter = false });
    long waitingBytes;
    int waiting;

    /// <summary>A change-set is cut into objects of about this much content.</summary>
    public int PartBytes { get; init; } = 8 << 20;

    /// <summary>When this much waits, no more is captured.</summary>
    public long WaitingBytesMax { get; init; } = 32 << 20;

    /// <summary>Whether the capture may go on.</summary>
    public bool HasRoom => Interlocked.Read(ref waitingBytes) < WaitingBytesMax;

    /// <summary>Whether the publisher has nothing to do.</summary>
    public bool IsIdle => Volatile.Read(ref waiting) == 0;

    public void Add(PendingChange change)
    {
        Interlocked.Add(ref waitingBytes, change.ContentBytes);
        Interlocked.Increment(ref waiting);
        Invariant.Check(channel.Writer.TryWrite(change));
    }

    /// <summary>What is added, in order. The channel's own enumeration would leave the context of its caller.</summary>
    public async IAsyncEnumerable<PendingChange> TakeAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (await channel.Reader.WaitToReadAsync(cancellationToken))
        {
            while (channel.Reader.TryRead(out var change))
            {
                yield return change;
            }
        }
    }

    /// <summary>The change is durable, and its memory is free again.</summary>
    public void Done(long contentBytes)
    {
        Interlocked.Add(ref waitingBytes, -contentBytes);
        Interlocked.Decrement(ref waiting);
    }
}
