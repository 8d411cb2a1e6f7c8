using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Salvor.Vault.Trees;

namespace Salvor.Postgres.Backup;

/// <summary>A file in a manifest.</summary>
/// <param name="Path">Below the data directory, each byte as one character.</param>
/// <param name="SizeBytes">How long it is said to be; null where that is no number.</param>
/// <param name="Crc">Its CRC32C; null where it has none.</param>
readonly record struct ManifestFile(string Path, long? SizeBytes, uint? Crc);

/// <summary>
/// The manifest that a server sends behind a base backup: a list of all files with their lengths and checksums, and a hash of itself. What
/// came is compared with it, so that between the server's disk and the vault nothing changes unseen.
/// </summary>
sealed class BackupManifest
{
    /// <summary>Where it is in the data directory.</summary>
    public const string Path = "backup_manifest";

    const int BlockBytes = 64 << 10;
    const int LastLineMax = 256;

    readonly Action<ManifestFile> found;
    readonly Dictionary<string, string> fields = new(StringComparer.Ordinal);
    string section = "";
    string field = "";
    string itself = "";

    BackupManifest(Action<ManifestFile> found) => this.found = found;

    /// <summary>Compares all files with the manifest, as they were sent. Throws where one differs, is missing, or is not in it.</summary>
    public static async Task CheckAsync(
        Stream manifest, IReadOnlyDictionary<string, BackupItem> items, CancellationToken cancellationToken)
    {
        var seen = new HashSet<string>(StringComparer.Ordinal);
        await ReadAsync(
            manifest,
            file =>
            {
                var stored = items.GetValueOrDefault(BackupItem.StoredPathOf(file.Path));
                var item = stored?.SentPath == file.Path ? stored : items.GetValueOrDefault(file.Path);
                Compare(file, item);
                seen.Add(item!.Path);
            },
            cancellationToken);
        if (items.Values.FirstOrDefault(item => item.Entry.Kind == TreeEntryKind.File && !seen.Contains(item.Path)) is { } unknown)
        {
            throw BackupErrors.Wrong($"{unknown.Text} is not in its manifest");
        }
    }

    /// <summary>Reads the files of a manifest, whose checksum of itself has to be right.</summary>
    public static async Task ReadAsync(Stream manifest, Action<ManifestFile> found, CancellationToken cancellationToken)
    {
        var hash = await HashAsync(manifest, cancellationToken);
        manifest.Position = 0;
        var reader = new BackupManifest(found);
        await reader.ReadAsync(manifest, cancellationToken);
        if (!string.Equals(reader.itself, Convert.ToHexStringLower(hash), StringComparison.OrdinalIgnoreCase))
        {
            throw BackupErrors.Wrong("its manifest does not have the checksum that it says");
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
                    found(FileOf());
                    fields.Clear();
                    break;
                default:
                    break;
            }
        }

        state = reader.CurrentState;
        return (int)reader.BytesConsumed;
    }

    ManifestFile FileOf()
    {
        var path = fields.TryGetValue("Encoded-Path", out var hex) ? Encoding.Latin1.GetString(Hex(hex))
            : Encoding.Latin1.GetString(Encoding.UTF8.GetBytes(fields.GetValueOrDefault("Path", "")));
        var checksum = Hex(fields.GetValueOrDefault("Checksum", ""));
        return new ManifestFile(
            path,
            long.TryParse(fields.GetValueOrDefault("Size"), NumberStyles.None, CultureInfo.InvariantCulture, out var size) ? size : null,
            fields.GetValueOrDefault("Checksum-Algorithm") == "CRC32C" && checksum.Length == sizeof(uint)
                ? BinaryPrimitives.ReadUInt32LittleEndian(checksum)
                : null);
    }

    static void Compare(ManifestFile file, BackupItem? item)
    {
        if (item?.Entry.Kind != TreeEntryKind.File || item.SentPath != file.Path)
        {
            throw BackupErrors.Wrong($"{BackupItem.TextOf(file.Path)} is in its manifest and was not sent");
        }

        if (file.SizeBytes != item.SentBytes)
        {
            throw BackupErrors.Wrong($"{item.Text} has {item.SentBytes} bytes, and its manifest says {file.SizeBytes}");
        }

        if (file.Crc != item.SentCrc)
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
