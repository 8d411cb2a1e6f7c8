using System.Text;

namespace Salvor.Storage;

/// <summary>A folder of a store to try promises in; keys are relative to it.</summary>
public sealed class StoreTrial(IObjectStore store, string folder, CancellationToken cancellationToken)
{
    // Enough to hide the time of travel, few enough for any destination.
    const int ConcurrencyMax = 16;

    readonly string root = folder + "/";

    internal static byte[] ContentOf(string key) => Encoding.UTF8.GetBytes(key);

    internal StoreTrial With(CancellationToken other) => new(store, folder, other);

    internal Task<PutResult> PutAsync(string key, byte[] content) => store.PutAsync(root + key, content, cancellationToken);

    /// <summary>Puts objects whose content is their key.</summary>
    internal async Task PutAllAsync(IEnumerable<string> keys)
    {
        foreach (var some in keys.Chunk(ConcurrencyMax))
        {
            await Task.WhenAll(some.Select(key => PutAsync(key, ContentOf(key))));
        }
    }

    internal async Task<byte[]> ReadAsync(string key, long offset, int count)
    {
        var buffer = new byte[count];
        return buffer[..await store.ReadAsync(root + key, offset, buffer, cancellationToken)];
    }

    internal async Task<(byte[] End, long SizeBytes)?> ReadEndAsync(string key, int lengthMax)
    {
        if (await store.ReadEndAsync(root + key, lengthMax, cancellationToken) is not { } end)
        {
            return null;
        }

        var content = end.Buffer[..end.Length];
        Buffers.Return(end.Buffer);
        return (content, end.SizeBytes);
    }

    /// <summary>What each key was answered with; null where none was.</summary>
    internal async Task<(byte[]? Start, StorageException? Failure)[]> ReadStartsAsync(string[] keys, int length)
    {
        var starts = new (byte[]? Start, StorageException? Failure)[keys.Length];
        await store.ReadStartsAsync(
            keys.Length, index => root + keys[index], length, (index, start, failure) => starts[index] = (start.ToArray(), failure),
            cancellationToken);
        return starts;
    }

    internal Task<byte[]?> GetAsync(string key) => store.GetAsync(root + key, sizeMax: long.MaxValue, cancellationToken);

    internal Task<long?> SizeAsync(string key) => store.SizeAsync(root + key, cancellationToken);

    internal Task ReplaceAsync(string key, byte[] content) => store.ReplaceAsync(root + key, content, cancellationToken);

    internal Task DeleteAsync(string key) => store.DeleteAsync(root + key, cancellationToken);

    internal async Task<List<ObjectInfo>> ListAsync(string prefix, string? after, int countMax = int.MaxValue)
    {
        List<ObjectInfo> found = [];
        await foreach (var item in store.ListAsync(root + prefix, after is null ? null : root + after, cancellationToken))
        {
            found.Add(item with { Key = item.Key[root.Length..] });
            if (found.Count == countMax)
            {
                break;
            }
        }

        return found;
    }

    internal async Task RemoveAllAsync()
    {
        foreach (var some in (await ListAsync("", null)).Chunk(ConcurrencyMax))
        {
            await Task.WhenAll(some.Select(item => DeleteAsync(item.Key)));
        }
    }
}
