namespace Salvor.Storage;

/// <summary>
/// Several calls at once, each waiting for a store. All of them go on where the caller does, so they take turns in a simulated process and
/// do not occupy threads in a real one; what computes belongs on the thread pool.
/// </summary>
static class InFlight
{
    /// <summary>So many: on a share or in a bucket each is a round trip.</summary>
    public const int Calls = 16;

    /// <summary>Runs a call for each index from 0. Throws what one of them threw when all have ended.</summary>
    /// <param name="calls">How many at once at most.</param>
    public static Task ForEachAsync(int count, Func<int, Task> call, CancellationToken cancellationToken, int calls = Calls)
    {
        var next = -1;
        return Task.WhenAll(Enumerable.Range(0, Math.Min(count, calls)).Select(_ => TakeTurnsAsync()));

        async Task TakeTurnsAsync()
        {
            for (var index = Interlocked.Increment(ref next); index < count; index = Interlocked.Increment(ref next))
            {
                cancellationToken.ThrowIfCancellationRequested();
                await call(index);
            }
        }
    }
}
