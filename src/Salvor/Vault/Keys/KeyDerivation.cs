using System.Security.Cryptography;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Vault.Format;

namespace Salvor.Vault.Keys;

/// <summary>How the key that wraps a data key is made from a secret. Part of a key slot, as JSON.</summary>
public sealed record KeyDerivation
{
    const string Argon2Id = "argon2id";
    const string Pbkdf2 = "pbkdf2-sha256";
    const string Hkdf = "hkdf-sha256";

    /// <summary>A slot comes from the vault and is not believed: these bound what reading it may cost (about a second).</summary>
    const uint MemoryKiBMax = 512 << 10;
    const ulong MemoryPassesKiBMax = 2 << 20;
    const uint Pbkdf2IterationsMax = 5_000_000;
    const uint ParallelismMax = 16;

    const int SaltBytes = 32;

    /// <summary>One of <c>argon2id</c>, <c>pbkdf2-sha256</c> and, for key files, <c>hkdf-sha256</c>.</summary>
    public required string Name { get; init; }

    /// <summary>32 random bytes, in hexadecimal.</summary>
    public required string Salt { get; init; }

    /// <summary>Of argon2id.</summary>
    public uint MemoryKib { get; init; }

    /// <summary>Of argon2id and pbkdf2.</summary>
    public uint Iterations { get; init; }

    /// <summary>Of argon2id.</summary>
    public uint Parallelism { get; init; }

    /// <summary>What a new slot for a passphrase uses: RFC 9106's second choice, or PBKDF2 where the library is absent.</summary>
    public static KeyDerivation ForPassphrase() => LibArgon2.IsAvailable
        ? new() { Name = Argon2Id, Salt = NewSalt(), MemoryKib = 64 << 10, Iterations = 3, Parallelism = 4 }
        : ForPassphraseWithoutArgon2();

    /// <summary>As <see cref="ForPassphrase"/>, on a system without libargon2.</summary>
    internal static KeyDerivation ForPassphraseWithoutArgon2() => new() { Name = Pbkdf2, Salt = NewSalt(), Iterations = 600_000 };

    /// <summary>A key file is random already and long enough: nothing needs to be slow, and a daemon opens thousands of vaults.</summary>
    public static KeyDerivation ForKeyFile() => new() { Name = Hkdf, Salt = NewSalt() };

    /// <summary>The key, of 32 bytes. Throws where the parameters are none that a slot may have.</summary>
    /// <param name="secret">The passphrase or the content of the key file.</param>
    /// <param name="slotKey">The slot's key in the vault, for messages.</param>
    public byte[] Derive(ReadOnlySpan<byte> secret, string slotKey)
    {
        var salt = SaltOf(slotKey);
        var key = new byte[VaultSecrets.DataKeyBytes];
        switch (Name)
        {
            case Argon2Id:
                DeriveArgon2Id(secret, salt, key, slotKey);
                break;
            case Pbkdf2:
                Expect(Iterations is > 0 and <= Pbkdf2IterationsMax, slotKey);
                Rfc2898DeriveBytes.Pbkdf2(secret, salt, key, (int)Iterations, HashAlgorithmName.SHA256);
                break;
            case Hkdf:
                HKDF.DeriveKey(HashAlgorithmName.SHA256, secret, key, salt, "salvor key file"u8);
                break;
            default:
                throw new DamagedObjectException(slotKey, "it names a key derivation that this program does not know");
        }

        return key;
    }

    /// <summary>All parameters as one text, which the wrapped key is bound to.</summary>
    internal string Describe() => $"{Name}|{Salt}|{MemoryKib}|{Iterations}|{Parallelism}";

    static string NewSalt() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(SaltBytes));

    static void Expect(bool isPossible, string slotKey)
    {
        if (!isPossible)
        {
            throw new DamagedObjectException(slotKey, "its key derivation asks for more memory or time than any slot does");
        }
    }

    void DeriveArgon2Id(ReadOnlySpan<byte> secret, byte[] salt, byte[] key, string slotKey)
    {
        Expect(
            Parallelism is > 0 and <= ParallelismMax && MemoryKib >= 8 * Parallelism && MemoryKib <= MemoryKiBMax
                && Iterations > 0 && (ulong)MemoryKib * Iterations <= MemoryPassesKiBMax,
            slotKey);
        if (!LibArgon2.IsAvailable)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"key slot {slotKey} needs libargon2, which is not installed",
                "Install it: 'apt-get install libargon2-1', or what your system calls it.");
        }

        LibArgon2.DeriveId(secret, salt, MemoryKib, Iterations, Parallelism, key);
    }

    byte[] SaltOf(string slotKey)
    {
        var salt = new byte[SaltBytes];
        return Salt.Length == 2 * SaltBytes
            && Convert.FromHexString(Salt, salt, out _, out _) == System.Buffers.OperationStatus.Done
            ? salt
            : throw new DamagedObjectException(slotKey, "its salt is not 32 bytes in hexadecimal");
    }
}

/// <summary>A data key that a secret can unwrap. The details of a key object, as JSON.</summary>
public sealed record KeySlotRecord
{
    /// <summary><c>passphrase</c> or <c>key_file</c>.</summary>
    public required string Kind { get; init; }

    /// <summary>For people: whose it is.</summary>
    public required string Label { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required KeyDerivation Kdf { get; init; }

    /// <summary>The data key under AES-256-GCM: 32 bytes and the tag of 16, in hexadecimal.</summary>
    public required string Wrapped { get; init; }
}

/// <summary>The note that somebody has the key elsewhere. The details of the object <c>keys/exported</c>, as JSON.</summary>
public sealed record KeyExportedRecord
{
    public required DateTimeOffset At { get; init; }

    public required string Host { get; init; }

    /// <summary>Nobody exported it; somebody said that it is safe.</summary>
    public required bool Waived { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, RespectNullableAnnotations = true)]
[JsonSerializable(typeof(KeySlotRecord))]
[JsonSerializable(typeof(KeyExportedRecord))]
sealed partial class KeyJson : JsonSerializerContext;
