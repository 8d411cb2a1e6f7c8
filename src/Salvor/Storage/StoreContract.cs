namespace Salvor.Storage;

/// <summary>One promise of a store, as something that can be tried on any of them.</summary>
/// <param name="Name">The promise, in words.</param>
/// <param name="Try">Throws <see cref="StoreContractException"/> where the promise is broken.</param>
public sealed record StoreCase(string Name, Func<StoreTrial, Task> Try)
{
    /// <summary>
    /// Tries the promise on a store, within a folder that nothing else uses and that is empty again afterwards. What a failure
    /// leaves there is evidence, and stays.
    /// </summary>
    public async Task RunAsync(IObjectStore store, string folder, CancellationToken cancellationToken)
    {
        var trial = new StoreTrial(store, folder, cancellationToken);
        try
        {
            await Try(trial);
        }
        catch (StoreContractException e)
        {
            throw new StoreContractException(
                $"{store.Location} breaks a promise that backups rest on: {Name}: {e.Message}", e.Hint, e);
        }

        await trial.RemoveAllAsync();
    }

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>A store does not do what every store must.</summary>
public sealed class StoreContractException(string message, string hint, Exception? inner = null)
    : SalvorException(FailureKind.DestinationUnreachable, message, hint, inner);

/// <summary>
/// What every destination must do, as data: the tests run it on every implementation, and an operator on a destination of their
/// own before it is trusted.
/// </summary>
public static partial class StoreContract
{
    const int ObjectSizeBytesMax = 16 * 1024 * 1024;
    const int RacersCount = 16;

    // Above the 1,000 that object stores return in one answer.
    const int ManyObjectsCount = 1_100;
    const int PageObjectsCount = 300;
    const int RacedBytes = 64 * 1024;
    const int StartsCount = 200;

    /// <summary>More than any object has, as whoever wants all of one asks for.</summary>
    const int EndBytesMax = 2 << 20;
    const int AttemptsMax = 100;

    /// <summary>Every promise.</summary>
    public static IReadOnlyList<StoreCase> Cases { get; } =
    [
        new("an object is read as it was put", ReadsWhatWasPut),
        new("put never replaces an object", NeverReplaces),
        new("of sixteen racing puts exactly one creates the object", OneWinner),
        new("an object of no bytes exists", KeepsEmpty),
        new("an object of 16 MiB is kept whole", KeepsLarge),
        new("a read starts at any offset", ReadsRanges),
        new("a read past the end returns nothing", ReadsPastTheEnd),
        new("the end of an object comes with its size", ReadsEnds),
        new("the beginnings of many objects are read, and what cannot be is told of each", ReadsStarts),
        new("a missing object has no size", MissingHasNoSize),
        new("a read of a missing object fails as not found", MissingIsNotFound),
        new("a deleted object is gone", DeletedIsGone),
        new("deleting what does not exist succeeds", DeletesNothing),
        new("a deleted key can be used again", DeletedKeyIsFree),
        new("a place that was never written to lists as empty", EmptyListsNothing),
        new("a listing has the order of whole keys", ListsInOrder),
        new("a listing has the sizes", ListsSizes),
        new("a prefix may end within a name", ListsByPrefix),
        new("a listing goes on after any key", ListsAfter),
        new("a long listing is complete, page by page", ListsManyInPages),
        new("keys that differ in case are different objects", TellsCases),
        new("unusual keys are legal", TakesUnusualKeys),
        new("illegal keys are refused", RefusesIllegalKeys),
        new("a replaced object has the new content alone", ReplacesWhole),
        new("replacing what does not exist creates it", ReplacesNothing),
        new("who reads an object while it is replaced has one of the two", ReplacesInOneStep),
        new("a call that was cancelled before it began does nothing", ObeysCancellation),
    ];

    static async Task ReadsWhatWasPut(StoreTrial trial)
    {
        byte[] content = [0, 1, 2, 13, 10, 255];
        Expect(await trial.PutAsync("a", content) == PutResult.Created, "a put of a new key did not answer that it created it");
        Expect(await trial.SizeAsync("a") == content.Length, "the size is another");
        Expect(Same(content, await trial.GetAsync("a")), "the content is another");
    }

    static async Task NeverReplaces(StoreTrial trial)
    {
        await trial.PutAsync("a", [1]);
        var second = await trial.PutAsync("a", [2, 2]);
        Expect(second == PutResult.AlreadyExists, "the second put answered that it created the object");
        Expect(await trial.GetAsync("a") is [1], "the first object was replaced");
    }

    static async Task OneWinner(StoreTrial trial)
    {
        var racers = Enumerable.Range(0, RacersCount).Select(i => trial.PutAsync("a", Pattern(64 * 1024, i))).ToList();
        var results = await Task.WhenAll(racers);

        var winners = results.Count(result => result == PutResult.Created);
        Expect(winners == 1, $"{winners} puts answered that they created the object");
        var winner = Array.IndexOf(results, PutResult.Created);
        Expect(Same(Pattern(64 * 1024, winner), await trial.GetAsync("a")), "the content is not the winner's");
    }

    static async Task KeepsEmpty(StoreTrial trial)
    {
        await trial.PutAsync("a", []);
        Expect(await trial.SizeAsync("a") == 0, "the object does not exist with size 0");
        Expect(await trial.ReadAsync("a", 0, 10) is [], "a read returned bytes");
        Expect(await trial.PutAsync("a", [1]) == PutResult.AlreadyExists, "it was replaced");
    }

    static async Task KeepsLarge(StoreTrial trial)
    {
        var content = Pattern(ObjectSizeBytesMax, 7);
        await trial.PutAsync("a", content);
        Expect(Same(content, await trial.GetAsync("a")), "the content is another");
    }

    static async Task ReadsRanges(StoreTrial trial)
    {
        await trial.PutAsync("a", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        Expect(await trial.ReadAsync("a", 3, 4) is [3, 4, 5, 6], "bytes 3 to 6 are others");
        Expect(await trial.ReadAsync("a", 0, 1) is [0], "the first byte is another");
        Expect(await trial.ReadAsync("a", 9, 1) is [9], "the last byte is another");
        Expect(await trial.ReadAsync("a", 7, 100) is [7, 8, 9], "a read over the end did not return what there is");
    }

    static async Task ReadsPastTheEnd(StoreTrial trial)
    {
        await trial.PutAsync("a", [1, 2, 3]);
        Expect(await trial.ReadAsync("a", 3, 10) is [], "a read at the end returned bytes");
        Expect(await trial.ReadAsync("a", 1L << 40, 10) is [], "a read far past the end returned bytes");
    }

    static async Task ReadsEnds(StoreTrial trial)
    {
        await trial.PutAsync("a", [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        await trial.PutAsync("empty", []);
        Expect(await trial.ReadEndAsync("a", 3) is ([7, 8, 9], 10), "the last bytes or the size are others");
        Expect(await trial.ReadEndAsync("a", 10) is ({ Length: 10 }, 10), "all of it is not all of it");
        Expect(await trial.ReadEndAsync("a", EndBytesMax) is ({ Length: 10 }, 10), "less came than there is");
        Expect(await trial.ReadEndAsync("empty", 3) is ([], 0), "an object of no bytes was not read as such");
        Expect(await trial.ReadEndAsync("empty", EndBytesMax) is ([], 0), "an object of no bytes was not read as such");
        Expect(await trial.ReadEndAsync("missing", 3) is null, "a missing key has an end");
        Expect(await trial.ReadEndAsync("missing", EndBytesMax) is null, "a missing key has an end");
    }

    static async Task ReadsStarts(StoreTrial trial)
    {
        string[] present = [.. Enumerable.Range(0, StartsCount).Select(i => $"log/{i:D6}")];
        string[] keys = [.. present, "empty", "missing", "log", ".illegal"];
        await trial.PutAllAsync(present);
        await trial.PutAsync("empty", []);
        var starts = await trial.ReadStartsAsync(keys, length: 7);

        for (var i = 0; i < present.Length; i++)
        {
            Expect(Same(StoreTrial.ContentOf(keys[i])[..7], starts[i].Start), $"the beginning of {keys[i]} is another");
        }

        Expect(starts[StartsCount] is { Start: [], Failure: null }, "an object of no bytes was not read as such");
        Expect(starts[StartsCount + 1].Failure?.Failure == StorageFailure.NotFound, "a missing object was not told as not found");
        Expect(starts[StartsCount + 2].Failure?.Failure == StorageFailure.NotFound, "a folder was not told as not found");
        Expect(starts[StartsCount + 3].Failure?.Failure == StorageFailure.Denied, "an illegal key was not told as denied");
    }

    static async Task MissingHasNoSize(StoreTrial trial)
    {
        await trial.PutAsync("folder/a", [1]);
        Expect(await trial.SizeAsync("b") is null, "a missing key has a size");
        Expect(await trial.SizeAsync("folder") is null, "a folder has a size");
        Expect(await trial.SizeAsync("absent/b") is null, "a missing key in a missing folder has a size");
    }

    static async Task MissingIsNotFound(StoreTrial trial)
    {
        await trial.PutAsync("folder/a", [1]);
        await ExpectFailureAsync(StorageFailure.NotFound, () => trial.ReadAsync("b", 0, 1), "reading a missing key");
        await ExpectFailureAsync(StorageFailure.NotFound, () => trial.ReadAsync("folder", 0, 1), "reading a folder");
        await ExpectFailureAsync(StorageFailure.NotFound, () => trial.ReadAsync("absent/b", 0, 1), "reading in a missing folder");
    }

    static async Task DeletedIsGone(StoreTrial trial)
    {
        await trial.PutAsync("a", [1]);
        await trial.PutAsync("b", [1]);
        await trial.DeleteAsync("a");
        Expect(await trial.SizeAsync("a") is null, "it still has a size");
        await ExpectKeysAsync(trial, "", null, "b");
    }

    static async Task DeletesNothing(StoreTrial trial)
    {
        await trial.DeleteAsync("a");
        await trial.DeleteAsync("absent/b");
        await trial.PutAsync("a", [1]);
        await trial.DeleteAsync("a");
        await trial.DeleteAsync("a");
    }

    static async Task DeletedKeyIsFree(StoreTrial trial)
    {
        await trial.PutAsync("a", [1]);
        await trial.DeleteAsync("a");
        Expect(await trial.PutAsync("a", [2]) == PutResult.Created, "the put answered that the object exists");
        Expect(await trial.GetAsync("a") is [2], "the content is another");
    }

    static async Task ReplacesWhole(StoreTrial trial)
    {
        await trial.PutAsync("folder/a", [1, 2, 3]);
        await trial.ReplaceAsync("folder/a", [4]);
        Expect(await trial.GetAsync("folder/a") is [4], "the content is another");
        Expect(await trial.PutAsync("folder/a", [5]) == PutResult.AlreadyExists, "a put replaced it again");
        await ExpectKeysAsync(trial, "", null, "folder/a");
    }

    static async Task ReplacesNothing(StoreTrial trial)
    {
        await trial.ReplaceAsync("folder/a", [1]);
        Expect(await trial.GetAsync("folder/a") is [1], "the object was not created");
    }

    static async Task ReplacesInOneStep(StoreTrial trial)
    {
        byte[][] contents = [Pattern(RacedBytes, 1), Pattern(RacedBytes, 2)];
        await trial.PutAsync("a", contents[0]);
        var replacing = Task.Run(async () =>
        {
            for (var i = 1; i <= RacersCount; i++)
            {
                await trial.ReplaceAsync("a", contents[i % 2]);
            }
        });
        while (!replacing.IsCompleted)
        {
            var found = await FindAsync(trial, "a");
            Expect(contents.Any(content => Same(content, found)), "a reader got neither the old content nor the new");
        }

        await replacing;
    }

    static async Task<byte[]?> FindAsync(StoreTrial trial, string key)
    {
        for (var attempt = 1; ; attempt++)
        {
            try
            {
                return await trial.GetAsync(key);
            }
            catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
            {
                return null;
            }
            catch (StorageException e) when (e.Failure == StorageFailure.Unreachable && attempt < AttemptsMax)
            {
                // Ceph's gateway answers 500 to a read that meets the replacement of what it reads. No answer is not a wrong one.
                await Task.Yield();
            }
        }
    }

    static async Task ObeysCancellation(StoreTrial trial)
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();
        var late = trial.With(cancelled.Token);
        await ExpectCancelledAsync(() => late.PutAsync("a", [1]));
        await ExpectCancelledAsync(() => late.SizeAsync("a"));
        await ExpectCancelledAsync(() => late.ReadAsync("a", 0, 1));
        await ExpectCancelledAsync(() => late.DeleteAsync("a"));
        await ExpectCancelledAsync(() => late.ReplaceAsync("a", [1]));
        Expect(await trial.SizeAsync("a") is null, "a cancelled put created the object");
    }

    static async Task ExpectCancelledAsync(Func<Task> call)
    {
        try
        {
            await call();
        }
        catch (OperationCanceledException)
        {
            return;
        }

        throw Broken("a cancelled call went on");
    }

    internal static async Task ExpectFailureAsync(StorageFailure failure, Func<Task> call, string what)
    {
        try
        {
            await call();
        }
        catch (StorageException e)
        {
            Expect(e.Failure == failure, $"{what} failed as {e.Failure}, not as {failure}");
            return;
        }

        throw Broken($"{what} succeeded");
    }

    static void Expect(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw Broken(otherwise);
        }
    }

    static StoreContractException Broken(string how) => new(
        how, "Do not keep backups there. Run 'salvor bench destination' again to see whether it stays so, and use another destination.");

    static bool Same(byte[] expected, byte[]? found) => found is not null && expected.AsSpan().SequenceEqual(found);

    static byte[] Pattern(int sizeBytes, int seed)
    {
        var content = new byte[sizeBytes];
        new Random(seed).NextBytes(content);
        return content;
    }
}
