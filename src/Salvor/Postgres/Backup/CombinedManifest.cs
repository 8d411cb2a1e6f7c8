using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Salvor.Postgres.Backup;

/// <summary>
/// Makes the manifest of a whole backup of that of an incremental one: line by line, as a server writes it. What is stored as it was sent
/// stays as it is; a file that was sent in part gets its own name and length, and its checksum where that is known.
/// </summary>
sealed class CombinedManifest(IReadOnlyDictionary<string, BackupItem> items) : ManifestRewrite
{
    int replaced;

    protected override bool IsComplete => replaced == items.Values.Count(IsReplaced);

    protected override void Take(ReadOnlySpan<byte> line) => Put(Replacement(line));

    static bool IsReplaced(BackupItem item) => item.SentPath != item.Path || item.SentBytes != item.Entry.SizeBytes;

    ReadOnlySpan<byte> Replacement(ReadOnlySpan<byte> line)
    {
        if (line.IndexOf(Encoding.ASCII.GetBytes(BackupItem.IncrementalPrefix)) < 0 && line.IndexOf("backup_label"u8) < 0)
        {
            return line;
        }

        var end = line.LastIndexOf((byte)'}') + 1;
        using var document = Parse(line[..end]);
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
