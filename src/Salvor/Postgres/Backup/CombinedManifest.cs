using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Salvor.Postgres.Backup;

/// <summary>
/// Makes the manifest of a whole backup of that of an incremental one: line by line, as a server writes it. What is stored as it was sent
/// stays as it is; a file that was sent in part gets its own name and length, and its checksum where that is known.
/// </summary>
sealed class CombinedManifest(IReadOnlyDictionary<string, BackupItem> items) : IDisposable
{
    const int LineBytesMax = 64 << 10;

    readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    int replaced;

    /// <summary>Reads the one, which was checked, and writes the other.</summary>
    public async Task WriteAsync(Stream manifest, Stream target, CancellationToken cancellationToken)
    {
        var (buffer, used) = (new byte[LineBytesMax], 0);
        for (int count; (count = await manifest.ReadAsync(buffer.AsMemory(used), cancellationToken)) > 0;)
        {
            used += count;
            var start = 0;
            for (int length; (length = buffer.AsSpan(start, used - start).IndexOf((byte)'\n') + 1) > 0; start += length)
            {
                Write(buffer.AsSpan(start, length), target);
            }

            buffer.AsSpan(start, used - start).CopyTo(buffer);
            used -= start;
            if (used == buffer.Length)
            {
                break;
            }
        }

        if (used > 0 || replaced != items.Values.Count(IsReplaced))
        {
            throw NoLines();
        }
    }

    public void Dispose() => hash.Dispose();

    static bool IsReplaced(BackupItem item) => item.SentPath != item.Path || item.SentBytes != item.Entry.SizeBytes;

    void Write(ReadOnlySpan<byte> line, Stream target)
    {
        if (line.StartsWith("\"Manifest-Checksum\""u8))
        {
            line = Encoding.ASCII.GetBytes($"\"Manifest-Checksum\": \"{Convert.ToHexStringLower(hash.GetHashAndReset())}\"}}\n");
        }
        else
        {
            line = Replacement(line);
            hash.AppendData(line);
        }

        target.Write(line);
    }

    ReadOnlySpan<byte> Replacement(ReadOnlySpan<byte> line)
    {
        if (line.IndexOf(Encoding.ASCII.GetBytes(BackupItem.IncrementalPrefix)) < 0 && line.IndexOf("backup_label"u8) < 0)
        {
            return line;
        }

        var end = line.LastIndexOf((byte)'}') + 1;
        using var document = Parse(line[..end].ToArray());
        if (!document.RootElement.TryGetProperty("Path", out var path) || path.ValueKind != JsonValueKind.String
            || !document.RootElement.TryGetProperty("Last-Modified", out var time)
            || !items.TryGetValue(BackupItem.StoredPathOf(path.GetString()!), out var item) || !IsReplaced(item))
        {
            return line;
        }

        replaced++;
        var text = $"{{ \"Path\": \"{item.Path}\", \"Size\": {item.Entry.SizeBytes.ToString(CultureInfo.InvariantCulture)}, "
            + $"\"Last-Modified\": {time.GetRawText()}{ChecksumOf(item)} }}";
        return Encoding.ASCII.GetBytes(text + Encoding.ASCII.GetString(line[end..]));
    }

    static JsonDocument Parse(ReadOnlyMemory<byte> line)
    {
        try
        {
            return JsonDocument.Parse(line) is { RootElement.ValueKind: JsonValueKind.Object } document ? document : throw NoLines();
        }
        catch (JsonException)
        {
            throw NoLines();
        }
    }

    static SalvorException NoLines() => BackupErrors.Wrong("its manifest does not have each file on a line");

    static string ChecksumOf(BackupItem item)
    {
        if (item.Crc is not { } crc)
        {
            return "";
        }

        var bytes = new byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, crc);
        return $", \"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{Convert.ToHexStringLower(bytes)}\"";
    }
}
