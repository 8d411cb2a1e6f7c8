using Microsoft.Win32.SafeHandles;
using Salvor.Vault;

namespace Salvor.Sqlite.Verify;

/// <summary>The checksum of a database file, from its bytes.</summary>
static class ImageChecksum
{
    const int ReadBytes = 1 << 20;

    /// <summary>Reads the whole file. What is left over after the last page is an error of the caller.</summary>
    /// <param name="page">Called for each page but the lock-byte page with its number and hash.</param>
    public static ulong Of(
        SafeFileHandle file, uint pageSize, PageHasher hasher, CancellationToken cancellationToken, Action<uint, ulong>? page = null)
    {
        var buffer = new byte[ReadBytes];
        var (sum, number) = (0UL, 0u);
        var lockPage = DatabasePages.LockBytePage(pageSize);
        for (var offset = 0L; ; offset += buffer.Length)
        {
            cancellationToken.ThrowIfCancellationRequested();
            var count = Fill(file, offset, buffer);
            for (var at = 0; at + (int)pageSize <= count; at += (int)pageSize)
            {
                if (++number == lockPage)
                {
                    continue;
                }

                var hash = hasher.Hash(number, buffer.AsSpan(at, (int)pageSize));
                sum ^= hash;
                page?.Invoke(number, hash);
            }

            if (count < buffer.Length)
            {
                return sum;
            }
        }
    }

    static int Fill(SafeFileHandle file, long offset, Span<byte> buffer)
    {
        var total = 0;
        while (total < buffer.Length && RandomAccess.Read(file, buffer[total..], offset + total) is var count and > 0)
        {
            total += count;
        }

        return total;
    }
}
