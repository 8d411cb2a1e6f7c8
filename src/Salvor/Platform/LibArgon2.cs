using System.Runtime.InteropServices;

namespace Salvor.Platform;

/// <summary>The part of libargon2 (https://github.com/P-H-C/phc-winner-argon2, RFC 9106) that is used.</summary>
static unsafe partial class LibArgon2
{
    const string Library = "libargon2.so.1";

    /// <summary>Whether the library is installed.</summary>
    public static bool IsAvailable { get; } = NativeLibrary.TryLoad(Library, out _);

    /// <summary>Argon2id, version 0x13. Throws where the library cannot get the memory.</summary>
    public static void DeriveId(
        ReadOnlySpan<byte> secret, ReadOnlySpan<byte> salt, uint memoryKiB, uint iterations, uint parallelism, Span<byte> key)
    {
        fixed (byte* secretBytes = secret, saltBytes = salt, keyBytes = key)
        {
            var result = HashId(
                iterations, memoryKiB, parallelism, secretBytes, (nuint)secret.Length, saltBytes, (nuint)salt.Length,
                keyBytes, (nuint)key.Length);
            if (result != 0)
            {
                throw new SalvorException(
                    FailureKind.Failure,
                    $"argon2id with {memoryKiB} KiB of memory failed with code {result}",
                    "Free some memory: 'free -m' shows how much there is.");
            }
        }
    }

    [LibraryImport(Library, EntryPoint = "argon2id_hash_raw")]
    private static partial int HashId(
        uint iterations, uint memoryKiB, uint parallelism, byte* secret, nuint secretLength, byte* salt, nuint saltLength,
        byte* key, nuint keyLength);
}
