namespace Salvor.Storage;

/// <summary>The promises about keys and listings.</summary>
public static partial class StoreContract
{
    /// <summary>In the order of whole keys, which is neither that of names within folders nor that of any language.</summary>
    static readonly string[] keysInOrder =
        ["B", "a-b/x", "a.b", "a/a", "a/b-c/d", "a/b.c", "a/b/c", "a/b0", "a/c", "a0", "a_", "ab", "b"];

    static readonly string[] unusualKeys =
    [
        "-", "--help", "_", "0", "a.", "a..b", "a...", "con", "nul.txt", "a.tmp", "tmp-1", "x/-/_/0",
        new('n', 200), string.Join('/', Enumerable.Repeat("deep", 40)), "00000000000000000001-ffffffffffffffff.salvor",
    ];

    static readonly string[] illegalKeys =
    [
        "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "a/../b", "./a", ".a", "a/.b", "a b", "a\\b", "a\0b", "a\nb", "ä", "a:b", "a%2fb",
        "~", "a*", "a?b", new('n', 256), string.Join('/', Enumerable.Repeat(new string('n', 250), 3)),
    ];

    static Task EmptyListsNothing(StoreTrial trial) => ExpectKeysAsync(trial, "", null);

    static async Task ListsInOrder(StoreTrial trial)
    {
        await trial.PutAllAsync(keysInOrder.Reverse());
        await ExpectKeysAsync(trial, "", null, keysInOrder);
    }

    static async Task ListsSizes(StoreTrial trial)
    {
        await trial.PutAsync("a", new byte[3]);
        await trial.PutAsync("b/c", new byte[70_000]);
        var sizes = (await trial.ListAsync("", null)).Select(item => item.SizeBytes);
        Expect(sizes.SequenceEqual([3, 70_000]), "a size is another");
    }

    static async Task ListsByPrefix(StoreTrial trial)
    {
        await trial.PutAllAsync(keysInOrder);
        foreach (var prefix in (string[])["a", "a/", "a/b", "a/b/", "a/b/c", "a.", "b", "c", "a/z/", "absent/folder/"])
        {
            await ExpectKeysAsync(
                trial, prefix, null, [.. keysInOrder.Where(key => key.StartsWith(prefix, StringComparison.Ordinal))]);
        }
    }

    static async Task ListsAfter(StoreTrial trial)
    {
        await trial.PutAllAsync(keysInOrder);
        foreach (var prefix in (string[])["", "a/", "a/b"])
        {
            foreach (var after in (string[])[.. keysInOrder, "a", "a/", "a/b/", "a/b/b", "a/bb", "A", "zz"])
            {
                var expected = keysInOrder.Where(key =>
                    key.StartsWith(prefix, StringComparison.Ordinal) && string.CompareOrdinal(key, after) > 0);
                await ExpectKeysAsync(trial, prefix, after, [.. expected]);
            }
        }
    }

    static async Task ListsManyInPages(StoreTrial trial)
    {
        string[] keys = [.. Enumerable.Range(0, ManyObjectsCount).Select(i => $"{i / 500}/{i:d5}")];
        await trial.PutAllAsync(keys);
        await ExpectKeysAsync(trial, "", null, keys);

        List<string> paged = [];
        while (true)
        {
            var page = await trial.ListAsync("", paged.LastOrDefault(), PageObjectsCount);
            paged.AddRange(page.Select(item => item.Key));
            if (page.Count < PageObjectsCount)
            {
                break;
            }
        }

        Expect(paged.SequenceEqual(keys), "pages that go on where the last one ended do not add up to the listing");
    }

    static async Task TellsCases(StoreTrial trial)
    {
        await trial.PutAsync("Name", [1]);
        Expect(await trial.SizeAsync("name") is null, "a key was found in another case");
        Expect(await trial.PutAsync("name", [2]) == PutResult.Created, "a key exists because it exists in another case");
        Expect(await trial.GetAsync("Name") is [1], "the content is that of the other");
    }

    static async Task TakesUnusualKeys(StoreTrial trial)
    {
        await trial.PutAllAsync(unusualKeys);
        foreach (var key in unusualKeys)
        {
            Expect(Same(StoreTrial.ContentOf(key), await trial.GetAsync(key)), $"the content of '{key}' is another");
        }

        await ExpectKeysAsync(trial, "", null, [.. unusualKeys.Order(StringComparer.Ordinal)]);
    }

    static async Task RefusesIllegalKeys(StoreTrial trial)
    {
        foreach (var key in illegalKeys)
        {
            await ExpectFailureAsync(StorageFailure.Denied, () => trial.PutAsync(key, [1]), $"a put of '{key}'");
            await ExpectFailureAsync(StorageFailure.Denied, () => trial.SizeAsync(key), $"the size of '{key}'");
            await ExpectFailureAsync(StorageFailure.Denied, () => trial.ReadAsync(key, 0, 1), $"a read of '{key}'");
            await ExpectFailureAsync(StorageFailure.Denied, () => trial.DeleteAsync(key), $"a deletion of '{key}'");
        }
    }

    static async Task ExpectKeysAsync(StoreTrial trial, string prefix, string? after, params string[] keys)
    {
        var found = (await trial.ListAsync(prefix, after)).Select(item => item.Key).ToList();
        var firstWrong = keys.Zip(found).TakeWhile(pair => pair.First == pair.Second).Count();
        Expect(
            found.SequenceEqual(keys),
            $"a listing of '{prefix}' after '{after}' has {found.Count} keys instead of {keys.Length}: at number {firstWrong} "
                + $"'{found.ElementAtOrDefault(firstWrong)}' instead of '{keys.ElementAtOrDefault(firstWrong)}'");
    }
}
