
namespace Salvor.Storage;

/// <summary>The last bytes of an object, or all of them, in a buffer of the shared pool, which whoever gets it returns.</summary>
/// <param name="Buffer">Rented; longer than what is in it.</param>
/// <param name="Length">How many bytes are in it.</param>
/// <param name="SizeBytes">How many the object has.</param>
public readonly record struct ObjectEnd(byte[] Buffer, int Length, long SizeBytes)
{
    /// <summary>Whether it is the whole object.</summary>
    public bool IsWhole => Length == SizeBytes;

    /// <summary>Reads the end of an object whose size is asked for first, as any store can.</summary>
    internal static async Task<ObjectEnd?> ReadAsync(
        IObjectStore store, string key, int lengthMax, CancellationToken cancellationToken) =>
        await store.SizeAsync(key, cancellationToken) is { } size
            ? await FillAsync(
                (int)Math.Min(size, lengthMax), size, target => store.ReadAsync(key, size - target.Length, target, cancellationToken))
            : null;

    /// <summary>Rents a buffer and fills it; where that fails, nobody has to return it.</summary>
    internal static async Task<ObjectEnd?> FillAsync(int length, long size, Func<Memory<byte>, Task<int>> read)
    {
        var buffer = Buffers.Rent(length);
        try
        {
            var came = length == 0 ? 0 : await read(buffer.AsMemory(0, length));
            return new ObjectEnd(buffer, came, size);
        }
        catch
        {
            Buffers.Return(buffer);
            throw;
        }
    }
}
