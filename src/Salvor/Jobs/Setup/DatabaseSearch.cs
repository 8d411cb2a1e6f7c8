using Salvor.Platform;

namespace Salvor.Jobs.Setup;

/// <summary>A database that was found.</summary>
/// <param name="Path">Absolute.</param>
/// <param name="SizeBytes">Of the file alone.</param>
/// <param name="IsWal">Whether its journal is a write-ahead log.</param>
/// <param name="ModifiedAt">When it, or its log, last changed.</param>
/// <param name="Owner">The name of the user whose it is.</param>
/// <param name="OpenIn">The programs that have it open, as <c>name (pid)</c>, as far as we may see.</param>
public sealed record FoundDatabase(
    string Path, long SizeBytes, bool IsWal, DateTimeOffset ModifiedAt, string Owner, IReadOnlyList<string> OpenIn);

/// <summary>What a search came to.</summary>
/// <param name="Databases">Those that a program has open first, then the one that changed last.</param>
/// <param name="IsComplete">False where the time was over before everything was looked at.</param>
/// <param name="SkippedCount">Folders that this user may not read.</param>
public sealed record SearchResult(IReadOnlyList<FoundDatabase> Databases, bool IsComplete, int SkippedCount);

/// <summary>
/// Looks for SQLite databases by the first bytes of files, within bounds of depth and time. Passed over: what the kernel shows, what comes
/// over a network, what belongs to the system, and the folders in which programs keep what they can make again.
/// </summary>
public sealed class DatabaseSearch(TimeProvider time)
{
    const int DepthMax = 12;
    const int OpenLookedAtMax = 60;
    const int HeaderBytes = 20;
    const int WalVersionAt = 18;

    static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(20);

    /// <summary>Folders in which nothing is an app's data.</summary>
    static readonly HashSet<string> OfTheSystem =
    [
        "/proc", "/sys", "/dev", "/run", "/boot", "/bin", "/sbin", "/lib", "/lib64", "/usr", "/snap", "/tmp", "/var/tmp", "/var/cache",
        "/var/lib/dpkg", "/var/lib/apt", "/var/lib/rpm", "/var/lib/dnf", "/var/lib/PackageKit", "/var/lib/docker/overlay2",
        "/var/lib/containers/storage/overlay",
    ];

    /// <summary>Names of folders of caches, of browsers, and of our own.</summary>
    static readonly HashSet<string> Passed =
    [
        ".cache", "Cache", "cache", "CacheStorage", "node_modules", ".git", ".mozilla", ".thunderbird", "google-chrome", "chromium",
        "BraveSoftware", ".nuget", ".npm", ".cargo", ".vscode-server", "lost+found", ".salvor", ".snapshots", ".Trash",
    ];

    readonly long started = time.GetTimestamp();
    readonly List<(string Path, FileStat Stat, bool IsWal)> found = [];
    int skippedCount;
    bool isOver;

    /// <summary>Searches a folder; for the whole machine, <c>/</c>.</summary>
    public SearchResult Run(string folder, CancellationToken cancellationToken)
    {
        var root = Path.GetFullPath(folder);
        if (FileStat.Of(root) is not { Kind: FileKind.Directory } stat)
        {
            throw new SalvorException(FailureKind.Usage, $"{root} is not a folder to search in", "Name a folder, or leave it out for all.");
        }

        Search(root, stat.Identity.Device, depth: 0, cancellationToken);
        var databases = found.Select((item, index) => Describe(item.Path, item.Stat, item.IsWal, index < OpenLookedAtMax))
            .OrderBy(item => item.OpenIn.Count == 0).ThenByDescending(item => item.ModifiedAt);
        return new([.. databases], !isOver, skippedCount);
    }

    void Search(string folder, ulong device, int depth, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        isOver = isOver || time.GetElapsedTime(started) > TimeMax;
        if (isOver)
        {
            return;
        }

        foreach (var path in NamesIn(folder))
        {
            if (Look(path) is not { } stat)
            {
                continue;
            }

            if (stat.Kind == FileKind.Regular && IsDatabase(path, stat) is { } isWal)
            {
                found.Add((path, stat, isWal));
            }

            if (stat.Kind == FileKind.Directory && depth < DepthMax
                && !OfTheSystem.Contains(path) && !Passed.Contains(Path.GetFileName(path))
                && (stat.Identity.Device == device || FileSystemType.NetworkName(path) is null))
            {
                Search(path, stat.Identity.Device, depth + 1, cancellationToken);
            }
        }
    }

    string[] NamesIn(string folder)
    {
        try
        {
            return Directory.GetFileSystemEntries(folder);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It is gone, or another user's: counted, and told in the end.
            skippedCount++;
            return [];
        }
    }

    static FileStat? Look(string path)
    {
        try
        {
            return FileStat.Of(path, followLinks: false);
        }
        catch (PosixException)
        {
            // What may not be looked at cannot be protected by this user either.
            return null;
        }
    }

    /// <summary>Whether it is a database in WAL mode; null where it is none.</summary>
    static bool? IsDatabase(string path, FileStat stat)
    {
        const int SizeMin = 512;
        if (stat.SizeBytes < SizeMin)
        {
            return null;
        }

        try
        {
            Span<byte> header = stackalloc byte[HeaderBytes];
            return Posix.Read(path, Posix.ReadOnly | Posix.NonBlocking | Posix.NoFollow, offset: 0, header) == header.Length
                && header.StartsWith("SQLite format 3\0"u8)
                    ? header[WalVersionAt] == 2
                    : null;
        }
        catch (PosixException)
        {
            // Another user's file.
            return null;
        }
    }

    static FoundDatabase Describe(string path, FileStat stat, bool isWal, bool withHolders)
    {
        var log = Look(path + "-wal")?.ModifiedNanoseconds ?? 0;
        var modified = DateTimeOffset.UnixEpoch.AddTicks(Math.Max(stat.ModifiedNanoseconds, log) / 100);
        string[] holders = withHolders
            ? [.. OpenFiles.Find([stat.Identity]).Pids.Select(pid => $"{OpenFiles.ProgramOf(pid)} ({pid})")]
            : [];
        return new(path, stat.SizeBytes, isWal, modified, Accounts.UserName(stat.UserId), holders);
    }
}
