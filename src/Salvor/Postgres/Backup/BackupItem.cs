using System.Text;
using Salvor.Vault.Trees;

namespace Salvor.Postgres.Backup;

/// <summary>A file, directory or link of a base backup.</summary>
/// <param name="Path">Below the data directory, each byte as one character: so paths compare as their bytes do.</param>
/// <param name="Entry">What the listing will say.</param>
sealed record BackupItem(string Path, TreeEntry Entry)
{
    /// <summary>Sorts what is in a directory right behind it.</summary>
    public string Order { get; } = Path.Replace('/', '\0');

    /// <summary>The folder that it is in; empty for the data directory.</summary>
    public string Folder => Path.LastIndexOf('/') is >= 0 and var slash ? Path[..slash] : "";

    /// <summary>Of a file: its CRC32C.</summary>
    public uint Crc { get; init; }

    /// <summary>Of a file: which of the chunks that were stored are its.</summary>
    public long FirstChunk { get; init; }

    public long ChunkCount { get; init; }

    /// <summary>The path for people.</summary>
    public string Text => TextOf(Path);

    public static string TextOf(string path) => Encoding.UTF8.GetString(Encoding.Latin1.GetBytes(path));

    /// <summary>Whether each part of a path leads one step down, and nowhere else.</summary>
    public static bool IsPath(string path) => path.Split('/').All(name => TreeEntry.IsName(Encoding.Latin1.GetBytes(name)));

    /// <summary>The last part of a path.</summary>
    public static byte[] NameOf(string path) => Encoding.Latin1.GetBytes(path[(path.LastIndexOf('/') + 1)..]);
}
