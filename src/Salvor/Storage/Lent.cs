namespace Salvor.Storage;

/// <summary>
/// Has something ready that is good for some time, such as a token: fetches it when it is first needed, and the next before that ends.
/// Safe for many threads.
/// </summary>
/// <param name="fetch">Asks for a new one, within a time of its own.</param>
/// <param name="endOf">Until when one is good; null: for ever.</param>
/// <param name="time">Tells when one ends.</param>
sealed class Lent<T>(Func<Task<T>> fetch, Func<T, DateTimeOffset?> endOf, TimeProvider time)
    where T : class
{
    /// <summary>So long before its end one is replaced.</summary>
    static readonly TimeSpan Margin = TimeSpan.FromMinutes(5);

    readonly Lock gate = new();
    T? current;

    /// <summary>By which all wait who ask meanwhile; it goes on when one of them leaves.</summary>
    Task<T>? search;

    /// <summary>Throws what <c>fetch</c> throws, unless the one that was to be replaced is still good.</summary>
    public async ValueTask<T> GetAsync(CancellationToken cancellationToken)
    {
        Task<T> found;
        T? old;
        lock (gate)
        {
            if (current is { } known && IsGood(known, Margin))
            {
                return known;
            }

            old = current;
            found = search = search is { IsCompleted: false } ? search : Task.Run(FetchAsync, CancellationToken.None);
        }

        try
        {
            return await found.WaitAsync(cancellationToken);
        }
        catch (StorageException) when (old is not null && IsGood(old, TimeSpan.Zero))
        {
            return old;
        }
    }

    /// <summary>The service says that one has ended: the next call fetches another.</summary>
    /// <param name="ended">Which; null for whichever there is.</param>
    public void Forget(T? ended = null)
    {
        lock (gate)
        {
            current = ended is null || ReferenceEquals(current, ended) ? null : current;
        }
    }

    bool IsGood(T item, TimeSpan margin) => endOf(item) is not { } end || time.GetUtcNow() < end - margin;

    async Task<T> FetchAsync()
    {
        var fetched = await fetch();
        lock (gate)
        {
            return current = fetched;
        }
    }
}
