using System.Security.Cryptography;

namespace Salvor.Vault.Keys;

/// <summary>What an operator opens a vault with. Never printed: messages say where it came from.</summary>
public sealed class VaultSecret
{
    /// <summary>Shorter files cannot be random enough.</summary>
    public const int KeyFileBytesMin = 32;

    readonly byte[] bytes;

    VaultSecret(byte[] bytes, string kind, string origin, KeyExport? export) =>
        (this.bytes, Kind, Origin, Export) = (bytes, kind, origin, export);

    /// <summary><c>passphrase</c> or <c>key_file</c>, as key slots have it.</summary>
    public string Kind { get; }

    /// <summary>What messages call it: <c>key file app.key</c>, <c>variable SALVOR_PASSPHRASE</c>.</summary>
    public string Origin { get; }

    /// <summary>The data key itself, where the key file is an export.</summary>
    public KeyExport? Export { get; }

    internal ReadOnlySpan<byte> Bytes => bytes;

    /// <summary>A passphrase, as UTF-8.</summary>
    public static VaultSecret Passphrase(ReadOnlySpan<byte> passphrase, string origin) => passphrase.IsEmpty
        ? throw new KeyException($"{origin} is empty", "A vault is as secret as its passphrase: use a long one.")
        : new VaultSecret(passphrase.ToArray(), "passphrase", origin, export: null);

    /// <summary>The content of a key file: random bytes in any form, or an export.</summary>
    public static VaultSecret KeyFile(ReadOnlySpan<byte> content, string origin)
    {
        if (KeyExport.TryParse(content, origin) is { } export)
        {
            return new VaultSecret([], "key_file", origin, export);
        }

        return content.Length < KeyFileBytesMin
            ? throw new KeyException(
                $"{origin} has {content.Length} bytes, and a key file has at least {KeyFileBytesMin}",
                "Make one with 'head -c 32 /dev/urandom | base64 > FILE', then 'chmod 600 FILE'; or use a passphrase.")
            : new VaultSecret(SHA256.HashData(content), "key_file", origin, export: null);
    }

    /// <summary>Without one line end, which editors and commands add.</summary>
    public static ReadOnlySpan<byte> WithoutLineEnd(ReadOnlySpan<byte> text) =>
        text.EndsWith("\r\n"u8) ? text[..^2]
        : text.EndsWith("\n"u8) ? text[..^1]
        : text;
}
