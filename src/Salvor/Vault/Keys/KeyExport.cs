using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Salvor.Vault.Format;

namespace Salvor.Vault.Keys;

/// <summary>
/// A data key outside of its vault, as a file or as a form for paper. Both are lines of text: the file has the key in base64, the form
/// in groups of hexadecimal digits with a check for each line, so that a typing mistake is named by its line.
/// </summary>
public sealed class KeyExport
{
    /// <summary>The first line of both.</summary>
    const string Title = "salvor data key";

    const string PaperTitle = Title + ", for paper";
    const int PaperLineBytes = 8;

    readonly byte[] dataKey;

    public KeyExport(Guid vaultId, string source, ReadOnlySpan<byte> dataKey) =>
        (VaultId, Source, this.dataKey) = (vaultId, source, dataKey.ToArray());

    public Guid VaultId { get; }

    /// <summary>The name of the source, for people.</summary>
    public string Source { get; }

    internal ReadOnlySpan<byte> DataKey => dataKey;

    /// <summary>The file: names and values, one in each line.</summary>
    public string ToFile() => string.Join('\n',
        Title,
        $"source: {Source}",
        $"vault: {VaultId}",
        $"key: {Convert.ToBase64String(dataKey)}",
        $"check: {Check(VaultId, dataKey)}",
        "");

    /// <summary>The form: the same with the key in four lines that can be typed.</summary>
    public string ToPaper()
    {
        var lines = new List<string> { PaperTitle, $"source: {Source}", $"vault: {VaultId}" };
        for (var line = 0; line * PaperLineBytes < dataKey.Length; line++)
        {
            var part = dataKey.AsSpan(line * PaperLineBytes, PaperLineBytes);
            var groups = Convert.ToHexStringLower(part).Chunk(4).Select(group => new string(group));
            lines.Add($"{line + 1}: {string.Join(' ', groups)} / {LineCheck(line + 1, part)}");
        }

        lines.Add($"check: {Check(VaultId, dataKey)}");
        lines.Add("");
        return string.Join('\n', lines);
    }

    /// <summary>Reads either; null where the text is neither, an error with the line where it begins like one.</summary>
    public static KeyExport? TryParse(ReadOnlySpan<byte> content, string origin)
    {
        if (!content.StartsWith(Encoding.ASCII.GetBytes(Title)))
        {
            return null;
        }

        var (source, vault, check) = ("", "", "");
        var key = new List<byte>();
        foreach (var line in Encoding.UTF8.GetString(content).Split('\n').Skip(1).Select(line => line.Trim()))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var (name, value) = colon < 0 ? ("", line) : (line[..colon], line[(colon + 1)..].Trim());
            switch (name)
            {
                case "source":
                    source = value;
                    break;
                case "vault":
                    vault = value;
                    break;
                case "check":
                    check = value;
                    break;
                case "key":
                    key.AddRange(FromBase64(value, origin));
                    break;
                case [>= '1' and <= '9']:
                    key.AddRange(FromPaperLine(name[0] - '0', value, origin));
                    break;
                default:
                    // What else is on the page says what to do with it.
                    break;
            }
        }

        return Guid.TryParse(vault, out var id) && key.Count == VaultSecrets.DataKeyBytes && check == Check(id, [.. key])
            ? new KeyExport(id, source, [.. key])
            : throw Wrong(origin, "it is not complete, or its check does not match");
    }

    static byte[] FromBase64(string text, string origin)
    {
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var length) ? bytes[..length] : throw Wrong(origin, "its key is not base64");
    }

    /// <summary>Takes the digits in any grouping and case.</summary>
    static byte[] FromPaperLine(int line, string text, string origin)
    {
        var parts = text.Split('/');
        var digits = parts[0].Replace(" ", "", StringComparison.Ordinal);
        var bytes = new byte[PaperLineBytes];
        return parts.Length == 2 && digits.Length == 2 * PaperLineBytes
            && Convert.FromHexString(digits, bytes, out _, out _) == System.Buffers.OperationStatus.Done
            && parts[1].Trim().Equals(LineCheck(line, bytes), StringComparison.OrdinalIgnoreCase)
            ? bytes
            : throw Wrong(origin, $"line {line} of the key has a mistake");
    }

    static string LineCheck(int line, ReadOnlySpan<byte> part)
    {
        var bytes = new byte[1 + part.Length];
        bytes[0] = (byte)line;
        part.CopyTo(bytes.AsSpan(1));
        return (Checksum.Crc32C(bytes) >> 16).ToString("x4", CultureInfo.InvariantCulture);
    }

    /// <summary>The first bytes of a hash: enough against mistakes, and of no use to find the key by.</summary>
    static string Check(Guid vaultId, ReadOnlySpan<byte> key)
    {
        Span<byte> bytes = stackalloc byte[16 + VaultSecrets.DataKeyBytes], hash = stackalloc byte[32];
        if (key.Length != VaultSecrets.DataKeyBytes)
        {
            return "";
        }

        vaultId.TryWriteBytes(bytes, bigEndian: true, out _);
        key.CopyTo(bytes[16..]);
        SHA256.HashData(bytes, hash);
        return Convert.ToHexStringLower(hash[..4]);
    }

    static KeyException Wrong(string origin, string what) => new(
        $"{origin} is an exported key that cannot be used: {what}", "Compare it with the export, line by line.");
}
