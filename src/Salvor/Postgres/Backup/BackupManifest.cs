using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Salvor.Vault.Trees;

namespace Salvor.Postgres.Backup;

/// <summary>
/// The manifest that a server sends behind a base backup: a list of all files with their lengths and checksums, and a hash of itself. What
/// came is compared with it, so that between the server's disk and the vault nothing changes unseen.
/// </summary>
sealed class BackupManifest(IReadOnlyDictionary<string, BackupItem> items)
{
    /// <summary>Where it is in the data directory.</summary>
    public const string Path = "backup_manifest";

    const int BlockBytes = 64 << 10;
    const int LastLineMax = 256;

    readonly HashSet<string> seen = new(StringComparer.Ordinal);
    readonly Dictionary<string, string> fields = new(StringComparer.Ordinal);
    string section = "";
    string field = "";
    string itself = "";

    /// <summary>Compares all files with the manifest. Throws where one differs, is missing, or is not in it.</summary>
    public async Task CheckAsync(Stream manifest, CancellationToken cancellationToken)
    {
        var hash = await HashAsync(manifest, cancellationToken);
        manifest.Position = 0;
        await ReadAsync(manifest, cancellationToken);
        if (!string.Equals(itself, Convert.ToHexStringLower(hash), StringComparison.OrdinalIgnoreCase))
        {
            throw BackupErrors.Wrong("its manifest does not have the checksum that it says");
        }

        if (items.Values.FirstOrDefault(item => item.Entry.Kind == TreeEntryKind.File && !seen.Contains(item.Path)) is { } unknown)
        {
            throw BackupErrors.Wrong($"{unknown.Text} is not in its manifest");
        }
    }

    /// <summary>Of all but the last line, which has it.</summary>
    static async Task<byte[]> HashAsync(Stream manifest, CancellationToken cancellationToken)
    {
        var tail = new byte[Math.Min(LastLineMax, manifest.Length)];
        manifest.Position = manifest.Length - tail.Length;
        await manifest.ReadExactlyAsync(tail, cancellationToken);
        var lastLine = tail.AsSpan(0, Math.Max(0, tail.Length - 1)).LastIndexOf((byte)'\n') + 1;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = new byte[BlockBytes];
        manifest.Position = 0;
        for (var left = manifest.Length - tail.Length + lastLine; left > 0;)
        {
            var count = await manifest.ReadAsync(buffer.AsMemory(0, (int)Math.Min(buffer.Length, left)), cancellationToken);
            hash.AppendData(buffer, 0, count);
            left -= count > 0 ? count : throw new EndOfStreamException();
        }

        return hash.GetHashAndReset();
    }

    async Task ReadAsync(Stream manifest, CancellationToken cancellationToken)
    {
        var buffer = new byte[BlockBytes];
        var (used, state) = (0, default(JsonReaderState));
        try
        {
            for (var isEnd = false; !isEnd;)
            {
                var count = await manifest.ReadAsync(buffer.AsMemory(used), cancellationToken);
                isEnd = count == 0;
                used += count;
                var taken = Read(buffer.AsSpan(0, used), isEnd, ref state);
                if (taken == 0 && used == buffer.Length)
                {
                    throw BackupErrors.Wrong("its manifest has a value that is too long");
                }

                buffer.AsSpan(taken, used - taken).CopyTo(buffer);
                used -= taken;
            }
        }
        catch (JsonException e)
        {
            throw BackupErrors.Wrong($"its manifest is no JSON: {e.Message}");
        }
    }

    int Read(ReadOnlySpan<byte> bytes, bool isEnd, ref JsonReaderState state)
    {
        var reader = new Utf8JsonReader(bytes, isEnd, state);
        while (reader.Read())
        {
            switch (reader.TokenType)
            {
                case JsonTokenType.PropertyName when reader.CurrentDepth == 1:
                    section = reader.GetString()!;
                    break;
                case JsonTokenType.String when reader.CurrentDepth == 1 && section == "Manifest-Checksum":
                    itself = reader.GetString()!;
                    break;
                case JsonTokenType.PropertyName when reader.CurrentDepth == 3 && section == "Files":
                    field = reader.GetString()!;
                    break;
                case JsonTokenType.String or JsonTokenType.Number when reader.CurrentDepth == 3 && section == "Files":
                    fields[field] = reader.TokenType == JsonTokenType.String
                        ? reader.GetString()!
                        : Encoding.ASCII.GetString(reader.ValueSpan);
                    break;
                case JsonTokenType.EndObject when reader.CurrentDepth == 2 && section == "Files":
                    Compare();
                    fields.Clear();
                    break;
                default:
                    break;
            }
        }

        state = reader.CurrentState;
        return (int)reader.BytesConsumed;
    }

    void Compare()
    {
        var path = fields.TryGetValue("Encoded-Path", out var hex) ? Encoding.Latin1.GetString(Hex(hex))
            : Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(fields.GetValueOrDefault("Path", "")));
        if (!items.TryGetValue(path, out var item) || item.Entry.Kind != TreeEntryKind.File)
        {
            throw BackupErrors.Wrong($"{BackupItem.TextOf(path)} is in its manifest and was not sent");
        }

        seen.Add(path);
        var size = fields.GetValueOrDefault("Size", "");
        if (!long.TryParse(size, NumberStyles.None, CultureInfo.InvariantCulture, out var length) || length != item.Entry.SizeBytes)
        {
            throw BackupErrors.Wrong($"{item.Text} has {item.Entry.SizeBytes} bytes, and its manifest says {size}");
        }

        var expected = Hex(fields.GetValueOrDefault("Checksum", ""));
        if (fields.GetValueOrDefault("Checksum-Algorithm") != "CRC32C" || expected.Length != sizeof(uint)
            || BinaryPrimitives.ReadUInt32LittleEndian(expected) != item.Crc)
        {
            throw BackupErrors.Wrong($"{item.Text} does not have the checksum that its manifest says");
        }
    }

    static byte[] Hex(string text)
    {
        try
        {
            return Convert.FromHexString(text);
        }
        catch (FormatException)
        {
            throw BackupErrors.Wrong("its manifest has a name or a checksum that is no hexadecimal number");
        }
    }
}
