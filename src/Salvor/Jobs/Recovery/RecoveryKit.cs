using System.Formats.Tar;
using System.IO.Compression;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Jobs.Recovery;

/// <summary>What a kit says of one source.</summary>
/// <param name="Source">Its name.</param>
/// <param name="Path">The database.</param>
/// <param name="Encrypted">Whether a key is needed.</param>
/// <param name="KeyPlace">Where the key was; null where none is needed.</param>
/// <param name="Vaults">Where its copies are.</param>
public sealed record KitSource(string Source, string Path, bool Encrypted, string? KeyPlace, IReadOnlyList<KitVault> Vaults);

/// <summary>A copy.</summary>
/// <param name="Destination">The name of the destination.</param>
/// <param name="Location">Where it is; 'salvor restore --from' takes this.</param>
/// <param name="VaultId">Its id; null where it could not be read when the kit was made.</param>
/// <param name="KeySlots">The key slots that open it: number, kind and label.</param>
public sealed record KitVault(string Destination, string Location, Guid? VaultId, IReadOnlyList<string> KeySlots);

/// <summary>What a kit is: the file <c>kit.json</c> in it.</summary>
public sealed record KitFacts(
    DateTimeOffset MadeAt, string MadeOn, string Version, IReadOnlyList<KitSource> Sources, IReadOnlyList<string> Variables,
    IReadOnlyList<string> LeftOut);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true, Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(KitFacts))]
sealed partial class KitJson : JsonSerializerContext;

/// <summary>
/// One file with all that a recovery on a bare machine needs beside the key and the credentials: an ordinary <c>.tar.gz</c>, which
/// <c>--config</c> takes as it is.
/// </summary>
public static class RecoveryKit
{
    /// <summary>The configuration in it.</summary>
    public const string ConfigName = "salvor.yaml";

    /// <summary>Only the beginning of a file is looked at for this.</summary>
    static ReadOnlySpan<byte> GzipMark => [0x1f, 0x8b];

    /// <summary>Writes the file, for its owner only.</summary>
    /// <param name="path">Where to.</param>
    /// <param name="facts">What it is.</param>
    /// <param name="config">The configuration without secrets.</param>
    /// <param name="runbook">The steps, for all sources.</param>
    public static void Write(string path, KitFacts facts, string config, string runbook)
    {
        using var bytes = new MemoryStream();
        using (var zip = new GZipStream(bytes, CompressionLevel.Optimal, leaveOpen: true))
        using (var tar = new TarWriter(zip, TarEntryFormat.Ustar, leaveOpen: true))
        {
            Add(tar, "README.md", KitReadme.Write(facts), facts.MadeAt);
            Add(tar, ConfigName, config, facts.MadeAt);
            Add(tar, "runbook.md", runbook, facts.MadeAt);
            Add(tar, "kit.json", JsonSerializer.Serialize(facts, KitJson.Default.KitFacts) + "\n", facts.MadeAt);
        }

        DurableFile.Replace(path, bytes.GetBuffer().AsSpan(0, (int)bytes.Length));
    }

    /// <summary>Whether a file is one of these, and not the text of a configuration.</summary>
    public static bool IsKit(ReadOnlySpan<byte> start) => start.StartsWith(GzipMark);

    /// <summary>The configuration in a kit. At most <paramref name="sizeMax"/> bytes of it are taken, and one more.</summary>
    public static byte[] ReadConfig(byte[] kit, string path, int sizeMax)
    {
        try
        {
            using var zip = new GZipStream(new MemoryStream(kit), CompressionMode.Decompress);
            using var tar = new TarReader(zip);
            while (tar.GetNextEntry() is { } entry)
            {
                if (entry.Name == ConfigName && entry.DataStream is { } data)
                {
                    var content = new byte[sizeMax + 1];
                    return content[..data.ReadAtLeast(content, content.Length, throwOnEndOfStream: false)];
                }
            }
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException or FormatException)
        {
            throw NoKit(path, $"cannot be unpacked: {e.Message}", e);
        }

        throw NoKit(path, $"has no {ConfigName}", inner: null);
    }

    static SalvorException NoKit(string path, string what, Exception? inner) => new(
        FailureKind.Usage, $"the recovery kit {path} {what}", "Take another copy of it, or restore with '--from PATH-or-URL'.", inner);

    static void Add(TarWriter tar, string name, string text, DateTimeOffset time)
    {
        using var content = new MemoryStream(Encoding.UTF8.GetBytes(text));
        tar.WriteEntry(new UstarTarEntry(TarEntryType.RegularFile, name)
        {
            Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite, ModificationTime = time, DataStream = content,
        });
    }
}
