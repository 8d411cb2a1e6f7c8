using Salvor.Platform;

namespace Salvor.Sqlite.Capture;

/// <summary>
/// Attaching to and reading whole databases goes by turns: a thousand at once would need a thousand times the memory and take no less
/// time. When the last turn of a burst is over, the memory of the burst goes back to the system.
/// </summary>
sealed class Turns(TimeProvider time) : IDisposable
{
    static readonly TimeSpan QuietBeforeCollection = TimeSpan.FromSeconds(3);

    readonly SemaphoreSlim free = new(2 * Environment.ProcessorCount);
    int taken;
    int active;

    /// <summary>Waits for a turn. Disposing it more than once is harmless.</summary>
    public async Task<Turn> TakeAsync(CancellationToken cancellationToken)
    {
        await free.WaitAsync(cancellationToken);
        Interlocked.Increment(ref taken);
        Interlocked.Increment(ref active);
        return new Turn(this);
    }

    public void Dispose() => free.Dispose();

    void Return()
    {
        free.Release();
        if (Interlocked.Decrement(ref active) == 0)
        {
            _ = CollectWhenQuietAsync(Volatile.Read(ref taken));
        }
    }

    async Task CollectWhenQuietAsync(int takenBefore)
    {
        await Task.Delay(QuietBeforeCollection, time);
        if (Volatile.Read(ref taken) == takenBefore)
        {
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            NativeHeap.Trim();
        }
    }

    /// <summary>The right to read a whole database now.</summary>
    public sealed class Turn(Turns owner) : IDisposable
    {
        int isOver;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref isOver, 1) == 0)
            {
                owner.Return();
            }
        }
    }
}
