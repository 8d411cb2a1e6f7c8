using System.Text;
using Salvor.Vault.Trees;

namespace Salvor.Postgres.Backup;

/// <summary>A file, directory or link of a base backup.</summary>
/// <param name="Path">Below the data directory, each byte as one character: so paths compare as their bytes do.</param>
/// <param name="Entry">What the listing will say.</param>
sealed record BackupItem(string Path, TreeEntry Entry)
{
    /// <summary>What the server puts before the name of a relation that it sends in part.</summary>
    public const string IncrementalPrefix = "INCREMENTAL.";

    /// <summary>Sorts what is in a directory right behind it.</summary>
    public string Order { get; } = Path.Replace('/', '\0');

    /// <summary>The folder that it is in; empty for the data directory.</summary>
    public string Folder => Path.LastIndexOf('/') is >= 0 and var slash ? Path[..slash] : "";

    /// <summary>Under which path the server sent it.</summary>
    public string SentPath => IsIncremental ? Path.Insert(Path.LastIndexOf('/') + 1, IncrementalPrefix) : Path;

    /// <summary>Of a file: whether only a part of it was sent.</summary>
    public bool IsIncremental { get; init; }

    /// <summary>Of a file: how much of it was sent.</summary>
    public long SentBytes { get; init; }

    /// <summary>Of a file: the CRC32C of what was sent.</summary>
    public uint SentCrc { get; init; }

    /// <summary>Of a file: its CRC32C as it is stored; null where nobody knows it.</summary>
    public uint? Crc { get; init; }

    /// <summary>Of a file: which of the chunks that were stored are its.</summary>
    public long FirstChunk { get; init; }

    public long ChunkCount { get; init; }

    /// <summary>The path for people.</summary>
    public string Text => TextOf(Path);

    public static string TextOf(string path) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(path));

    /// <summary>Under which path a relation is stored that was sent in part; any other path is what it is.</summary>
    public static string StoredPathOf(string sent)
    {
        var name = sent.LastIndexOf('/') + 1;
        return string.CompareOrdinal(sent, name, IncrementalPrefix, 0, IncrementalPrefix.Length) == 0
            && sent.Remove(name, IncrementalPrefix.Length) is var stored && BackupIntake.IsRelation(stored)
            ? stored
            : sent;
    }

    /// <summary>Whether each part of a path leads one step down, and nowhere else.</summary>
    public static bool IsPath(string path) => path.Split('/').All(name => TreeEntry.IsName(Encoding.Latin1.GetBytes(name)));

    /// <summary>The last part of a path.</summary>
    public static byte[] NameOf(string path) => Encoding.Latin1.GetBytes(path[(path.LastIndexOf('/') + 1)..]);
}
