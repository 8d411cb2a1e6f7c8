using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Sqlite.Native;
using Salvor.Sqlite.Restore;

namespace Salvor.Jobs.Doctor;

/// <summary>A folder that something will be written to.</summary>
/// <param name="Path">The folder; it need not be there yet.</param>
/// <param name="FreeBytes">The room on its disk; null where that cannot be said.</param>
/// <param name="MayWrite">Whether this user may write there, or make it.</param>
sealed record FolderFacts(string Path, long? FreeBytes, bool MayWrite)
{
    public static FolderFacts Of(string path)
    {
        var existing = Place.Existing(path);
        return new(path, DiskSpace.FreeBytes(existing), Posix.MayAccess(existing, Posix.MayWrite | Posix.MayEnter));
    }
}

/// <summary>What is known of a database and of all that lies beside it, gathered without opening it for SQLite's locks.</summary>
sealed record SourceFacts
{
    public required string Name { get; init; }

    public required string Path { get; init; }

    /// <summary>Who asks.</summary>
    public required string User { get; init; }

    /// <summary>The version of the SQLite that is installed.</summary>
    public required string SqliteVersion { get; init; }

    /// <summary>Why it cannot be protected now; null where nothing is against it.</summary>
    public SalvorException? Obstacle { get; init; }

    public bool Exists { get; init; }

    /// <summary>Whether it is a file that an app has not written to yet.</summary>
    public bool IsEmpty { get; init; }

    public long SizeBytes { get; init; }

    public long WalBytes { get; init; }

    public bool HasWalIndex { get; init; }

    /// <summary>Whether a rollback journal lies beside it that an app which ended left.</summary>
    public bool HasJournal { get; init; }

    /// <summary>When the database or its log last changed.</summary>
    public DateTimeOffset ChangedAt { get; init; }

    public bool MayRead { get; init; }

    public bool MayWrite { get; init; }

    public DatabaseHeader? Header { get; init; }

    public bool IsFuse { get; init; }

    /// <summary>Who has it open, without Salvor; null where that could not be found out.</summary>
    public IReadOnlyList<DatabaseUser>? Users { get; init; }

    /// <summary>How many processes of others could not be looked at.</summary>
    public int HiddenCount { get; init; }

    /// <summary>Other tools that hold its log, by name; null where it could not be told.</summary>
    public IReadOnlyList<string>? Tools { get; init; }

    /// <summary>How large the database is at the newest restore point of a vault; 0 where that is not known.</summary>
    public long VaultBytes { get; init; }

    /// <summary>Where local state is kept.</summary>
    public required FolderFacts State { get; init; }

    /// <summary>The folder of the database.</summary>
    public required FolderFacts Beside { get; init; }

    /// <summary>Where restores go.</summary>
    public required FolderFacts Scratch { get; init; }

    public required SqliteSourceConfig Source { get; init; }

    /// <param name="source">How it is configured.</param>
    /// <param name="member">The database.</param>
    /// <param name="scratch">Where restores go.</param>
    public static SourceFacts Gather(SqliteSourceConfig source, SourceMember member, string scratch)
    {
        var path = member.Path;
        var state = ConfiguredSources.OptionsOf(source, member).StateDirectory;
        var facts = new SourceFacts
        {
            Name = member.Name,
            Path = path,
            User = Environment.UserName,
            SqliteVersion = SqliteConnection.LibraryVersion,
            State = FolderFacts.Of(state),
            Beside = FolderFacts.Of(System.IO.Path.GetDirectoryName(path)!),
            Scratch = FolderFacts.Of(scratch),
            Source = source,
        };
        try
        {
            return Look(facts, LockFile.HolderOf(LocalState.LockPath(state, path))?.Pid);
        }
        catch (SalvorException e)
        {
            return facts with { Exists = true, Obstacle = e };
        }
    }

    static SourceFacts Look(SourceFacts facts, int? daemon)
    {
        var path = facts.Path;
        facts = facts with { Obstacle = SqliteDatabase.Obstacle(path) };
        if (FileStat.Of(path) is not { } stat)
        {
            return facts;
        }

        var wal = FileStat.Of(path + "-wal");
        var journal = FileStat.Of(path + "-journal");
        facts = facts with
        {
            Exists = true,
            IsEmpty = stat is { Kind: FileKind.Regular, SizeBytes: 0 },
            SizeBytes = stat.SizeBytes,
            WalBytes = wal?.SizeBytes ?? 0,
            HasWalIndex = FileStat.Of(path + DatabaseFiles.WalIndexSuffix) is not null,
            ChangedAt = DateTimeOffset.UnixEpoch.AddTicks(
                Math.Max(stat.ModifiedNanoseconds, wal?.ModifiedNanoseconds ?? 0) / TimeSpan.NanosecondsPerTick),
            MayRead = Posix.MayAccess(path, Posix.MayRead),
            MayWrite = Posix.MayAccess(path, Posix.MayWrite),
        };
        if (facts.Obstacle is not null || !facts.MayRead)
        {
            return facts;
        }

        var users = DatabaseInUse.Find(path);
        return facts with
        {
            Header = DatabaseLook.ReadHeader(path),
            IsFuse = FileSystemType.IsFuse(path),
            Users = [.. users.Users.Where(user => !user.IsThisProcess && user.Pid != daemon)],
            HiddenCount = users.HiddenCount,
            HasJournal = journal is { SizeBytes: > 0 } && users.Users.Count == 0,
            Tools = FindTools(path),
        };
    }

    /// <summary>By what other tools leave: tables in the database, a folder beside it.</summary>
    static IReadOnlyList<string>? FindTools(string path)
    {
        var folder = System.IO.Path.Combine(
            System.IO.Path.GetDirectoryName(path)!, $".{System.IO.Path.GetFileName(path)}-litestream");
        if (Directory.Exists(folder))
        {
            return ["Litestream"];
        }

        try
        {
            return DatabaseLook.FindTools(path);
        }
        catch (SqliteException)
        {
            // Encrypted, damaged, or just being checkpointed: the judgement says that it could not be told.
            return null;
        }
    }
}
