using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Salvor.Postgres.Backup;

/// <summary>Writes a manifest anew, line by line as a server writes it: with other files, and the checksum of what it says then.</summary>
abstract class ManifestRewrite : IDisposable
{
    const int LineBytesMax = 64 << 10;

    readonly IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    Stream target = Stream.Null;

    /// <summary>Whether all that had to be found was.</summary>
    protected virtual bool IsComplete => true;

    /// <summary>Reads the one, which was checked, and writes the other. Once.</summary>
    public async Task WriteAsync(Stream manifest, Stream rewritten, CancellationToken cancellationToken)
    {
        target = rewritten;
        var (buffer, used) = (new byte[LineBytesMax], 0);
        for (int count; (count = await manifest.ReadAsync(buffer.AsMemory(used), cancellationToken)) > 0;)
        {
            used += count;
            var start = 0;
            for (int length; (length = buffer.AsSpan(start, used - start).IndexOf((byte)'\n') + 1) > 0; start += length)
            {
                Write(buffer.AsSpan(start, length));
            }

            buffer.AsSpan(start, used - start).CopyTo(buffer);
            used -= start;
            if (used == buffer.Length)
            {
                break;
            }
        }

        if (used > 0 || !IsComplete)
        {
            throw NoLines();
        }
    }

    public void Dispose() => hash.Dispose();

    /// <summary>Takes a line with its end, of anything but the checksum, and puts what is to stand there.</summary>
    protected abstract void Take(ReadOnlySpan<byte> line);

    protected void Put(ReadOnlySpan<byte> text)
    {
        hash.AppendData(text);
        target.Write(text);
    }

    protected static JsonDocument Parse(ReadOnlySpan<byte> line)
    {
        try
        {
            return JsonDocument.Parse(line.ToArray()) is { RootElement.ValueKind: JsonValueKind.Object } document
                ? document
                : throw NoLines();
        }
        catch (JsonException)
        {
            throw NoLines();
        }
    }

    static SalvorException NoLines() => BackupErrors.Wrong("its manifest does not have each file on a line");

    void Write(ReadOnlySpan<byte> line)
    {
        if (line.StartsWith("\"Manifest-Checksum\""u8))
        {
            target.Write(Encoding.ASCII.GetBytes($"\"Manifest-Checksum\": \"{Convert.ToHexStringLower(hash.GetHashAndReset())}\"}}\n"));
        }
        else
        {
            Take(line);
        }
    }
}
