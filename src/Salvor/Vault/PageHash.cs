using Salvor.Platform;

namespace Salvor.Vault;

/// <summary>
/// The hash of a database page: XXH3 with 64 bits, seeded by the page's number and a random number of the vault, so that nobody who only
/// writes to the database can make two pages that look the same to us. The checksum of a database is the XOR of the hashes of all its
/// pages but the lock-byte page, so one changed page changes it by two XORs.
/// </summary>
public readonly record struct PageHasher(ulong Seed)
{
    public unsafe ulong Hash(uint page, ReadOnlySpan<byte> content)
    {
        fixed (byte* data = content)
        {
            // Zero means "no such page" in tables of hashes.
            return Math.Max(1, LibXxHash.Hash64(data, (nuint)content.Length, Seed ^ page));
        }
    }
}
