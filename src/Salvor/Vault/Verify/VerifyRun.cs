using System.Runtime.CompilerServices;
using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault.Verify;

/// <summary>What the checks of one verification share: the copy, how much of it is read, what was counted and what was found.</summary>
sealed class VerifyRun(VaultAccess vault, VerifyOptions options)
{
    /// <summary>How many findings are kept; all are counted.</summary>
    const int FindingsMax = 1000;

    readonly List<(string Key, FindingLayer Layer, string What, Func<LostPoints, string> Consequence)> findings = [];
    readonly HashSet<string> kept = [];
    Sample sample = options.Sample;
    long totalBytes;
    long doneBytes;

    /// <summary>The copy, without others.</summary>
    public VaultAccess Vault => vault;

    /// <summary>The objects that somebody deleted and the destination keeps.</summary>
    public HashSet<string> Hidden { get; } = [];

    /// <summary>How many objects were looked at.</summary>
    public long Objects { get; private set; }

    /// <summary>How many of them were read whole.</summary>
    public long ObjectsRead { get; private set; }

    /// <summary>How many bytes those have.</summary>
    public long Bytes { get; private set; }

    /// <summary>How many findings there are in all.</summary>
    public long FindingCount { get; private set; }

    /// <summary>
    /// A sample by size needs to know the size of all before the first object is chosen, and whoever watches what will be read.
    /// </summary>
    public async Task PrepareAsync(CancellationToken cancellationToken)
    {
        if (sample.SizeBytes is not null)
        {
            sample = sample.For(await SizeAsync(_ => true, cancellationToken));
        }

        if (options.Progressed is { } progressed)
        {
            progressed(new WorkProgress("listing") { Item = vault.Location });
            totalBytes = await SizeAsync(IsWhole, cancellationToken);
        }
    }

    async Task<long> SizeAsync(Func<string, bool> isWanted, CancellationToken cancellationToken)
    {
        var total = 0L;
        await foreach (var row in vault.ListAsync("", after: null, cancellationToken))
        {
            total += isWanted(row.Key) ? row.SizeBytes : 0;
        }

        return total;
    }

    /// <summary>Whether an object is read whole.</summary>
    public bool IsWhole(string key) => !options.Quick && sample.Takes(key);

    /// <summary>Whether anything was found about an object.</summary>
    public bool IsNamed(string key) => findings.Any(item => item.Key == key);

    /// <summary>As the other, for each object below a prefix.</summary>
    public IAsyncEnumerable<(ObjectInfo Row, (T? Value, LayerException? Failure) Result)> EachAsync<T>(
        string prefix, Func<ObjectInfo, Task<T>> check, CancellationToken cancellationToken) =>
        EachAsync(vault.ListAsync(prefix, after: null, cancellationToken), check, cancellationToken);

    /// <summary>
    /// Each of these objects with what its check gave, in this order; a few are checked at a time, each on a thread of its own.
    /// </summary>
    public async IAsyncEnumerable<(ObjectInfo Row, (T? Value, LayerException? Failure) Result)> EachAsync<T>(
        IAsyncEnumerable<ObjectInfo> rows, Func<ObjectInfo, Task<T>> check, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ahead = new Queue<(ObjectInfo Row, Task<(T?, LayerException?)> Result)>();
        await foreach (var row in rows.WithCancellation(cancellationToken))
        {
            if (ahead.Count >= options.Parallelism)
            {
                var (done, result) = ahead.Dequeue();
                yield return (done, await result);
            }

            Count(row, IsWhole(row.Key));
            ahead.Enqueue((row, Task.Run(() => CheckAsync(row), cancellationToken)));
        }

        while (ahead.TryDequeue(out var next))
        {
            yield return (next.Row, await next.Result);
        }

        async Task<(T?, LayerException?)> CheckAsync(ObjectInfo row)
        {
            var result = await TryAsync(row.Key, () => check(row));
            Advance(IsWhole(row.Key) ? row.SizeBytes : 0);
            return result;
        }
    }

    void Advance(long bytes)
    {
        var done = Interlocked.Add(ref doneBytes, bytes);
        options.Progressed?.Invoke(
            new WorkProgress("checking", done, totalBytes) { Count = $"{Objects} objects", Item = vault.Location });
    }

    /// <summary>What a check gave, or the damage that it met.</summary>
    public static async Task<(T? Value, LayerException? Failure)> TryAsync<T>(string key, Func<Task<T>> check)
    {
        try
        {
            return (await check(), null);
        }
        catch (LayerException e)
        {
            return (default, e);
        }
        catch (DamagedObjectException e)
        {
            return (default, new LayerException(FindingLayer.Details, e));
        }
        catch (NewerFormatException e)
        {
            return (default, new LayerException(FindingLayer.Envelope, new DamagedObjectException(key, e.Message)));
        }
    }

    /// <summary>Remembers an object that was listed although somebody deleted it.</summary>
    public void NoteHidden(ObjectInfo row)
    {
        if (row.IsHidden)
        {
            Hidden.Add(row.Key);
        }
    }

    /// <summary>Counts an object.</summary>
    public void Count(ObjectInfo row, bool whole)
    {
        Objects++;
        NoteHidden(row);
        if (whole)
        {
            ObjectsRead++;
            Bytes += row.SizeBytes;
        }
    }

    /// <summary>Adds a damage, where there is one.</summary>
    public void Add(string key, LayerException? failure, Func<LostPoints, string> consequence)
    {
        if (failure is not null)
        {
            Add(key, failure.Layer, failure.Damage.What, consequence);
        }
    }

    /// <summary>Adds a damage. What it costs is told when all is known.</summary>
    public void Add(string key, FindingLayer layer, string what, Func<LostPoints, string> consequence)
    {
        FindingCount++;
        if (findings.Count < FindingsMax)
        {
            findings.Add((key, layer, what, consequence));
        }
    }

    /// <summary>What was found, in this order.</summary>
    public IReadOnlyList<Finding> Findings(LostPoints lost) =>
        [.. findings.Select(item => new Finding(vault.Location, item.Key, item.Layer, item.What, item.Consequence(lost))
        {
            IsKept = kept.Contains(item.Key),
        })];

    /// <summary>Says of what is damaged that it was overwritten, where what was there before is kept and good.</summary>
    public async Task LookBeneathAsync(CancellationToken cancellationToken)
    {
        foreach (var (index, item) in findings.Index().ToList())
        {
            if (item.Key.Length > 0 && kept.Contains(item.Key) is false
                && await EarlierVersions.FindAsync(vault, item.Key, cancellationToken) is not null)
            {
                kept.Add(item.Key);
                findings[index] = item with
                {
                    What = $"{item.What}; it was overwritten, and what was there before is kept and whole",
                    Consequence = _ => LostPoints.NothingWhileKept,
                };
            }
        }
    }

    /// <summary>Tells of an object that was deleted and is kept.</summary>
    public void AddHidden(string key)
    {
        kept.Add(key);
        Add(key, FindingLayer.Listing, "somebody deleted it, and the destination keeps it still", _ => LostPoints.NothingWhileKept);
    }
}
