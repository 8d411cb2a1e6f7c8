using System.Buffers.Binary;
using System.Formats.Tar;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Salvor.Vault.Format;

namespace Salvor.Tests.Support;

/// <summary>What a server of version 17 sends as a base backup of files that a test makes up.</summary>
sealed record ScriptedBackup(IReadOnlyDictionary<string, byte[]> Files)
{
    const uint IncrementalMagic = 0xD3AE1F0D;

    /// <summary>The manifest; null for one that is right.</summary>
    public string? Manifest { get; init; }

    /// <summary>Whether pages have checksums, as the server says it now.</summary>
    public string Checksums { get; init; } = "on";

    /// <summary>The control file of a cluster.</summary>
    public static byte[] Control(int blockBytes, int segmentBlocks)
    {
        var file = new byte[8192];
        BinaryPrimitives.WriteDoubleLittleEndian(file.AsSpan(208), 1234567.0);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(216), blockBytes);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(220), segmentBlocks);
        BinaryPrimitives.WriteInt32LittleEndian(file.AsSpan(252), 1);
        return file;
    }

    /// <summary>What is sent of a file in part: its header, filled up where pages follow, and those.</summary>
    public static byte[] Part(uint keptPages, IReadOnlyList<uint> numbers, IEnumerable<byte[]> pages, int blockBytes)
    {
        byte[] header = [.. ((uint[])[IncrementalMagic, (uint)numbers.Count, keptPages, .. numbers]).SelectMany(BitConverter.GetBytes)];
        var fill = numbers.Count == 0 ? 0 : (blockBytes - (header.Length % blockBytes)) % blockBytes;
        return [.. header, .. new byte[fill], .. pages.SelectMany(page => page)];
    }

    /// <summary>
    /// Answers a client that backs up, from the first statement on. Its log begins at a number of MiB. It compresses nothing.
    /// </summary>
    public async Task ServeAsync(NetworkStream stream, int megabyte)
    {
        await ScriptedPostgres.WelcomeAsync(stream, "17.1");
        while (Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)) is var statement
            && (!statement.StartsWith("BASE_BACKUP", StringComparison.Ordinal) || IsCompressed(statement)))
        {
            if (IsCompressed(statement))
            {
                await stream.WriteAsync((byte[])
                [
                    .. ScriptedPostgres.Message('E', "SERROR\0VERROR\0C0A000\0Mnot supported by this build\0\0"),
                    .. ScriptedPostgres.Ready,
                ]);
                continue;
            }

            if (statement.StartsWith("SHOW", StringComparison.Ordinal))
            {
                await stream.WriteAsync((byte[])[.. ScriptedPostgres.Rows(["value"], [Checksums]), .. ScriptedPostgres.Ready]);
                continue;
            }

            await stream.WriteAsync(ScriptedPostgres.Message('G', "\0", (short)0));
            while ((await ScriptedPostgres.ReadAsync(stream)).Length > 0)
            {
            }

            await stream.WriteAsync((byte[])[.. ScriptedPostgres.Message('C', "UPLOAD_MANIFEST\0"), .. ScriptedPostgres.Ready]);
        }

        await stream.WriteAsync((byte[])
        [
            .. ScriptedPostgres.Rows(["recptr", "tli"], [$"0/{megabyte << 20:X}", "1"]),
            .. ScriptedPostgres.Rows(["spcoid", "spclocation", "size"], [null, null, "34"]),
            .. ScriptedPostgres.Message('H', "\0\0\0"), .. ScriptedPostgres.Message('d', "nbase.tar\0\0"),
            .. Tar().Chunk(7000).SelectMany(piece => ScriptedPostgres.Message('d', "d", piece)),
            .. ScriptedPostgres.Message('d', "m"), .. ScriptedPostgres.Message('d', "d", Manifest ?? ManifestOf(Files)),
            .. ScriptedPostgres.Message('c'),
            .. ScriptedPostgres.Rows(["recptr", "tli"], [$"0/{(megabyte << 20) + 256:X}", "1"]),
            .. ScriptedPostgres.Message('C', "BASE_BACKUP\0"), .. ScriptedPostgres.Ready,
        ]);
    }

    /// <summary>As a server writes it.</summary>
    public static string ManifestOf(IReadOnlyDictionary<string, byte[]> files)
    {
        var rows = files.Select(file =>
            $"{{ \"Path\": \"{file.Key}\", \"Size\": {file.Value.Length}, \"Last-Modified\": \"2026-01-01 00:00:00 GMT\", "
                + $"\"Checksum-Algorithm\": \"CRC32C\", \"Checksum\": \"{CrcOf(file.Value)}\" }}");
        return Signed(
            $"{{ \"PostgreSQL-Backup-Manifest-Version\": 2,\n\"System-Identifier\": 7,\n\"Files\": [\n{string.Join(",\n", rows)}\n],\n"
                + "\"WAL-Ranges\": [\n{ \"Timeline\": 1, \"Start-LSN\": \"0/2000028\", \"End-LSN\": \"0/2000100\" }\n],\n");
    }

    /// <summary>A manifest with its checksum, of what comes before that.</summary>
    public static string Signed(string text) =>
        $"{text}\"Manifest-Checksum\": \"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))}\"}}\n";

    public static string CrcOf(byte[] content) => Convert.ToHexStringLower(BitConverter.GetBytes(Checksum.Crc32C(content)));

    static bool IsCompressed(string statement) => statement.Contains("COMPRESSION", StringComparison.Ordinal);

    byte[] Tar()
    {
        var bytes = new MemoryStream();
        using (var writer = new TarWriter(bytes, TarEntryFormat.Ustar))
        {
            foreach (var (path, content) in Files)
            {
                writer.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, path) { DataStream = new MemoryStream(content) });
            }
        }

        return bytes.ToArray();
    }
}
