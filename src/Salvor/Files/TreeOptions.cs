using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>What of the file system is kept.</summary>
public sealed record TreeOptions
{
    /// <summary>Absolute paths: directories with all that is in them, or files. Links in a path are followed, those below kept.</summary>
    public required IReadOnlyList<string> Paths { get; init; }

    /// <summary>What is left out.</summary>
    public PathPatterns Exclude { get; init; } = PathPatterns.None;

    /// <summary>Leaves out what is in a directory with a file of one of these names.</summary>
    public IReadOnlyList<string> ExcludeIfPresent { get; init; } = [];

    /// <summary>Leaves out what is in a directory with a file <c>CACHEDIR.TAG</c> that begins as its specification says.</summary>
    public bool ExcludeCaches { get; init; }

    /// <summary>Leaves out what is in a directory that lies on another file system than the path above it.</summary>
    public bool OneFileSystem { get; init; }

    /// <summary>Whether what differs from the backup before is judged: see <see cref="AnomalyScan"/>.</summary>
    public bool WarnsOfAnomalies { get; init; } = true;

    /// <summary>Whether this backup leaves out more than the others of its source: then no restore removes what it lacks.</summary>
    public bool IsNarrowed { get; init; }

    /// <summary>How databases among the files are copied while apps write to them; null where they are files like others.</summary>
    public DatabaseCopying? Databases { get; init; }

    /// <summary>How long a file may be that is read again where it changed while it was read.</summary>
    internal long RereadBytesMax { get; init; } = 1L << 30;

    /// <summary>Directories that are left out whatever else is said: those of the destinations, which would keep themselves.</summary>
    public IReadOnlyList<string> Never { get; init; } = [];
}

/// <summary>How databases among the files are copied.</summary>
/// <param name="Copy">Writes the first, as of one commit, into the second, an empty file. Throws where it cannot.</param>
/// <param name="Scratch">The directory for such copies.</param>
/// <param name="Open">
/// Databases that this process may have open. They are opened by nothing else: closing a second handle drops the locks on the first.
/// </param>
public sealed record DatabaseCopying(Action<string, string> Copy, string Scratch, IReadOnlyList<string> Open)
{
    /// <summary>Whether all others are files like any, even where an app writes to them.</summary>
    public bool IsForOpenAlone { get; init; }
}

/// <summary>A backup of files that was made.</summary>
/// <param name="Record">Its record, with its id.</param>
/// <param name="Totals">What it holds.</param>
public sealed record TreeBackupResult(BackupRecord Record, TreeTotals Totals)
{
    /// <summary>How many of the problems are kept by name; all are counted.</summary>
    public const int ProblemsMax = 1000;

    /// <summary>What could not be read, and why; what changed while it was read. Each a line.</summary>
    public required IReadOnlyList<string> Problems { get; init; }

    /// <summary>How many files were read, and not recognised as unchanged.</summary>
    public required long FilesRead { get; init; }

    /// <summary>How many bytes were read.</summary>
    public required long BytesRead { get; init; }

    /// <summary>Of a cluster: what of it was read, and why; else empty.</summary>
    public string HowRead { get; init; } = "";

    /// <summary>What looks as if ransomware had been there; null where nothing does, or where there was no backup before.</summary>
    public BackupAnomaly? Anomaly { get; init; }

    /// <summary>Whether anything could not be read.</summary>
    public bool IsPartial => Totals.Unreadable + Totals.Changed > 0;
}
