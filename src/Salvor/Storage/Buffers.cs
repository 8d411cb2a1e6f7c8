using System.Buffers;
using System.Numerics;

namespace Salvor.Storage;

/// <summary>
/// Rented buffers, also large ones. The pool of the runtime keeps one of each size for every thread that returned one: with objects of
/// 16 MiB and a dozen threads that is most of the memory of a restore. Large ones are kept here for whoever comes next, and only until the
/// collector wants them: what a daemon needed for a snapshot does not stay.
/// </summary>
static class Buffers
{
    /// <summary>Above this they are large.</summary>
    const int SmallBytesMax = 4 << 20;

    const int KeptMax = 16;

    static readonly Lock Gate = new();
    static readonly List<WeakReference<byte[]>> Kept = [];

    /// <summary>A buffer of at least so many bytes, with any content.</summary>
    public static byte[] Rent(int length)
    {
        if (length <= SmallBytesMax)
        {
            return ArrayPool<byte>.Shared.Rent(length);
        }

        var size = (int)Math.Min(BitOperations.RoundUpToPowerOf2((uint)length), (uint)Array.MaxLength);
        lock (Gate)
        {
            for (var i = Kept.Count - 1; i >= 0; i--)
            {
                if (!Kept[i].TryGetTarget(out var kept))
                {
                    Kept.RemoveAt(i);
                }
                else if (kept.Length == size)
                {
                    Kept.RemoveAt(i);
                    return kept;
                }
            }
        }

        return GC.AllocateUninitializedArray<byte>(size);
    }

    /// <summary>Gives back what was rented; the caller does not touch it any more.</summary>
    public static void Return(byte[] buffer)
    {
        if (buffer.Length <= SmallBytesMax)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            return;
        }

        lock (Gate)
        {
            if (Kept.Count < KeptMax)
            {
                Kept.Add(new WeakReference<byte[]>(buffer));
            }
        }
    }
}
