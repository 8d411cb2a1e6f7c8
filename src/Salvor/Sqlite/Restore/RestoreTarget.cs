using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Sqlite.Restore;

/// <summary>What a restore does with a file that has the name already.</summary>
public enum RestoreMode
{
    /// <summary>Refuses.</summary>
    NewFile,

    /// <summary>Replaces it.</summary>
    Overwrite,

    /// <summary>Moves it aside, keeps it there, and gives the new file its owner and permissions.</summary>
    InPlace,
}

/// <summary>What else there is to say about where a restore goes.</summary>
public sealed record RestoreTargetOptions
{
    public static readonly RestoreTargetOptions Default = new();

    /// <summary>Makes the directory, for its owner only, instead of refusing where there is none.</summary>
    public bool MakesDirectory { get; init; }

    /// <summary>A process that may have the database open until the commit, such as a daemon that is asked to let go by then.</summary>
    public int? PidUntilCommit { get; init; }

    /// <summary>Told what is done after the file was written.</summary>
    public Action<WorkProgress>? Progressed { get; init; }
}

/// <summary>A restored database at its place.</summary>
/// <param name="Path">Where it is, without symbolic links.</param>
/// <param name="MovedAside">What was there and beside it before, under the names that it has now.</param>
public sealed record RestoredFile(string Path, IReadOnlyList<string> MovedAside);

/// <summary>
/// Where a restored database goes: a hidden file until its content is proved, flushed and checked, then the real name in one step. What
/// SQLite keeps beside a database is moved aside first, also where the database itself is absent: SQLite would replay an old log into the
/// new file without a word.
/// </summary>
public sealed class RestoreTarget : IDisposable
{
    const int NameBytesMax = 255;

    readonly RestoreMode mode;
    readonly TimeProvider time;
    readonly UnfinishedFile unfinished;
    readonly FileStat? replaced;
    readonly IReadOnlyList<string> madeDirectories;

    RestoreTarget(
        string path,
        RestoreMode mode,
        TimeProvider time,
        UnfinishedFile unfinished,
        FileStat? replaced,
        IReadOnlyList<string> madeDirectories)
    {
        (Path, this.mode, this.time, this.unfinished) = (path, mode, time, unfinished);
        (this.replaced, this.madeDirectories) = (replaced, madeDirectories);
    }

    /// <summary>Where the database will be, without symbolic links.</summary>
    public string Path { get; }

    /// <summary>The file to write to.</summary>
    public SafeFileHandle File => unfinished.Handle;

    Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Called after each change that a kill would leave on the disk, with what it was.</summary>
    internal Action<string>? Stepped { get; set; }

    /// <summary>See <see cref="MoveAside.Link"/>.</summary>
    internal Func<string, string, int> Link { get; set; } = Posix.TryLink;

    /// <summary>Refuses early whatever would be refused at the end, and makes the file to write to.</summary>
    public static RestoreTarget Prepare(string output, RestoreMode mode, RestoreTargetOptions options, TimeProvider time)
    {
        var (path, replaced) = Inspect(output, mode);
        DatabaseInUse.Refuse(path, options.PidUntilCommit);
        var directory = System.IO.Path.GetDirectoryName(path)!;
        var made = EnsureDirectory(directory, options.MakesDirectory);
        UnfinishedFile.Sweep(directory);
        var unfinished = UnfinishedFile.Create(path);
        var target = new RestoreTarget(path, mode, time, unfinished, replaced, made) { Progressed = options.Progressed };
        try
        {
            target.TakeOwner();
            return target;
        }
        catch (SalvorException)
        {
            target.Dispose();
            throw;
        }
    }

    /// <summary>Throws, naming both figures, where the disk has less room than this.</summary>
    public void RequireSpace(long sizeBytes)
    {
        var directory = System.IO.Path.GetDirectoryName(Path)!;
        var freeBytes = FreeBytes(directory);
        if (freeBytes < sizeBytes)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"not enough room in {directory}: the restore needs {SizeText.Format(sizeBytes)}, has {SizeText.Format(freeBytes)} free",
                $"Free some ('df -h {directory}' shows how much is left), or choose another disk with '--output'.");
        }
    }

    /// <summary>
    /// Checks the written file unless told otherwise, makes it durable and gives it its name. After a failure all is as it was before.
    /// </summary>
    public RestoredFile Commit(IntegrityCheckDepth? check, CancellationToken cancellationToken)
    {
        if (check is { } depth)
        {
            Progressed?.Invoke(new WorkProgress(IntegrityCheck.PhaseOf(depth)));
            IntegrityCheck.Run(unfinished.Path, Path, depth, cancellationToken);
        }

        Progressed?.Invoke(new WorkProgress("flushing to the disk"));

        Posix.ChangeMode(File, replaced?.Permissions ?? Posix.OwnerOnlyFile, unfinished.Path);
        DurableFile.FlushFile(File, unfinished.Path);
        cancellationToken.ThrowIfCancellationRequested();
        DatabaseInUse.Refuse(Path);
        return Publish();
    }

    public void Dispose()
    {
        unfinished.Dispose();
        if (!unfinished.IsFinished)
        {
            RemoveMadeDirectories();
        }
    }

    RestoredFile Publish()
    {
        var hadDatabase = FileStat.Of(Path) is not null;
        if (hadDatabase && mode == RestoreMode.NewFile)
        {
            throw Exists(Path);
        }

        var aside = MoveAside.FreeName(Path, time.GetUtcNow());
        var move = new MoveAside(Path, aside) { Stepped = Stepped, Link = Link };
        try
        {
            move.Run();

            // Nobody can open it by its name any more, so who is not seen now had not opened it either.
            DatabaseInUse.Refuse(aside, Path, exceptPid: null);
            if (!DurableFile.RenameNoReplace(unfinished.Path, Path))
            {
                throw MoveAside.Appeared(Path);
            }
        }
        catch (SalvorException e)
        {
            PutBack(move, aside, e);
            throw;
        }

        unfinished.IsFinished = true;
        Stepped?.Invoke($"published {Path}");
        DurableFile.FlushDirectory(System.IO.Path.GetDirectoryName(Path)!);
        if (hadDatabase && mode == RestoreMode.Overwrite)
        {
            Delete(move);
        }

        return new RestoredFile(Path, move.Moved());
    }

    static void PutBack(MoveAside move, string aside, SalvorException cause)
    {
        try
        {
            move.PutBack();
        }
        catch (SalvorException e)
        {
            throw new SalvorException(
                cause.Kind,
                $"{cause.Message}; and the old database could not be put back: {e.Message}",
                $"Nothing is lost: it is {aside}, with its log beside it. {cause.Hint}",
                cause);
        }
    }

    static void Delete(MoveAside move)
    {
        try
        {
            move.Delete();
        }
        catch (PosixException)
        {
            // The restore is done and must not be called failed; the answer names what is still there.
        }
    }

    static (string Path, FileStat? Replaced) Inspect(string output, RestoreMode mode)
    {
        var path = DatabaseFiles.Resolve(output);
        var name = System.IO.Path.GetFileName(path);
        var stat = FileStat.Of(path);
        if (name.Length == 0 || stat is { Kind: FileKind.Directory })
        {
            throw new SalvorException(
                FailureKind.Usage, $"{output} is a directory", "Name the file to write, for example '--output restored.db'.");
        }

        if (stat is { Kind: not FileKind.Regular })
        {
            throw new SalvorException(
                FailureKind.Usage, $"{output} is not a regular file", "Choose another file with '--output'.");
        }

        if (Encoding.UTF8.GetByteCount(name) > NameBytesMax - UnfinishedFile.NameBytesMore)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"the name {name} is too long to restore to: a temporary one needs {UnfinishedFile.NameBytesMore} bytes more",
                "Choose a shorter one with '--output'.");
        }

        if (stat is not null && mode == RestoreMode.NewFile)
        {
            throw Exists(path);
        }

        return (path, mode == RestoreMode.InPlace ? OwnerToTake(path) : stat);
    }

    /// <summary>Whose the new file will be: as the old one, or where there is none, as its log or its directory is.</summary>
    static FileStat? OwnerToTake(string path)
    {
        if ((FileStat.Of(path) ?? FileStat.Of(path + DatabaseFiles.Suffixes[0])) is { } file)
        {
            return file;
        }

        return Environment.IsPrivilegedProcess && FileStat.Of(System.IO.Path.GetDirectoryName(path)!) is { } directory
            ? directory with { Permissions = Posix.OwnerOnlyFile }
            : null;
    }

    /// <summary>Before the work and not after it: an app that cannot open its database any more is no restore.</summary>
    void TakeOwner()
    {
        const uint groupReadWrite = 0b110_000;
        var own = FileStat.Of(File, unfinished.Path);
        if (replaced is not { } wanted || (wanted.UserId == own.UserId && wanted.GroupId == own.GroupId))
        {
            return;
        }

        var error = Posix.ChangeOwner(File, wanted.UserId, wanted.GroupId);
        if (error != 0 && (wanted.Permissions & groupReadWrite) == groupReadWrite)
        {
            // Whoever shares a database through its group goes on doing so.
            error = Posix.ChangeOwner(File, Posix.SameUser, wanted.GroupId);
        }

        if (error != 0)
        {
            throw new SalvorException(
                FailureKind.Failure,
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"the restored {Path} cannot belong to user {wanted.UserId} and group {wanted.GroupId}: {Errno.Describe(error)}"),
                "Run the same command as that user or as root.");
        }
    }

    static List<string> EnsureDirectory(string directory, bool make)
    {
        if (FileStat.Of(directory) is { } stat)
        {
            return stat.Kind == FileKind.Directory
                ? []
                : throw new SalvorException(FailureKind.Usage, $"{directory} is not a directory", "Choose another file with '--output'.");
        }

        if (!make)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"directory {directory} does not exist",
                $"Make it with 'mkdir -p {directory}', or choose another file with '--output'.");
        }

        var above = System.IO.Path.GetDirectoryName(directory)!;
        var made = EnsureDirectory(above, make);
        if (Posix.MakeDirectory(directory))
        {
            made.Add(directory);
            DurableFile.FlushDirectory(above);
        }

        return made;
    }

    static long FreeBytes(string directory)
    {
        try
        {
            return new DriveInfo(directory).AvailableFreeSpace;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new PosixException(Errno.Of(e), "ask for the free space of", directory);
        }
    }

    void RemoveMadeDirectories()
    {
        foreach (var directory in madeDirectories.Reverse())
        {
            try
            {
                Directory.Delete(directory);
            }
            catch (IOException)
            {
                // Someone has put something into it, so it is theirs now.
                return;
            }
        }
    }

    static SalvorException Exists(string path) => new(
        FailureKind.Usage,
        $"{path} exists already",
        "Choose another file with '--output', replace it with '--force', or restore over the configured database with '--in-place'.");
}
