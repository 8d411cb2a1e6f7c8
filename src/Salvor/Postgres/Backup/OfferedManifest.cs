using System.Text.Json;

namespace Salvor.Postgres.Backup;

/// <summary>
/// Makes of the manifest of a backup the one that a server is given: without the files of which it is to send all. Of what is not in it
/// a server sends nothing in part.
/// </summary>
/// <param name="isOffered">Whether the server may send a file in part.</param>
sealed class OfferedManifest(Func<string, bool> isOffered) : ManifestRewrite
{
    byte[]? last;

    protected override void Take(ReadOnlySpan<byte> line)
    {
        if (line.StartsWith("{ \"Path\":"u8) || line.StartsWith("{ \"Encoded-Path\":"u8))
        {
            TakeFile(line[..(line.LastIndexOf((byte)'}') + 1)]);
            return;
        }

        PutLast("\n"u8);
        Put(line);
    }

    void TakeFile(ReadOnlySpan<byte> file)
    {
        using var document = Parse(file);
        if (document.RootElement.TryGetProperty("Path", out var path) && path.ValueKind == JsonValueKind.String
            && !isOffered(path.GetString()!))
        {
            return;
        }

        PutLast(",\n"u8);
        last = file.ToArray();
    }

    /// <summary>What stands behind a file is known only when it is known whether another follows.</summary>
    void PutLast(ReadOnlySpan<byte> end)
    {
        if (last is not null)
        {
            Put(last);
            Put(end);
            last = null;
        }
    }
}
