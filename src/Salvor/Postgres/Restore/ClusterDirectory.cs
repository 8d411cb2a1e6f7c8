using System.Globalization;
using Salvor.Platform;

namespace Salvor.Postgres.Restore;

/// <summary>The data directory of a cluster, as it lies on the disk.</summary>
/// <param name="path">Where it is.</param>
public sealed class ClusterDirectory(string path)
{
    const string PidFile = "postmaster.pid";

    public string Path { get; } = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));

    /// <summary>Whether a cluster is there.</summary>
    public bool Exists => File.Exists(At("PG_VERSION"));

    /// <summary>The major version of the server that it is of, from 10 on. Throws where that is not said.</summary>
    public int MajorVersion
    {
        get
        {
            const int BytesMax = 16;
            using var file = new StreamReader(File.OpenRead(At("PG_VERSION")));
            var text = new char[BytesMax];
            var said = text.AsSpan(0, file.ReadBlock(text)).Trim();
            return int.TryParse(said, NumberStyles.None, CultureInfo.InvariantCulture, out var major)
                ? major
                : throw new SalvorException(
                    FailureKind.SourceUnreadable, $"{At("PG_VERSION")} does not name a version of PostgreSQL from 10 on",
                    "Choose the data directory of a cluster.");
        }
    }

    /// <summary>Whether there is anything but what restores put there for themselves.</summary>
    internal bool HasContent =>
        Directory.Exists(Path) && Directory.EnumerateFileSystemEntries(Path).Any(item => !Own.Contains(System.IO.Path.GetFileName(item)));

    /// <summary>What restores put there for themselves.</summary>
    internal static string[] Own => [RestoreMark.Name, RecoveryFolder.Name, RecoveryFolder.NewName];

    /// <summary>
    /// Throws where something may not be put here: a server runs in it, or there is something already, which a restore would mix with
    /// what it writes.
    /// </summary>
    /// <param name="isOurs">Whether the restore has begun here: what it put there for itself may be there.</param>
    public void ExpectFree(bool isOurs = false)
    {
        ExpectNoServer();
        if (!isOurs && RestoreMark.IsIn(Path))
        {
            throw new SalvorException(
                FailureKind.Usage, $"an earlier restore into {Path} did not end",
                "Add '--delta' to go on with it: what is there already is kept. Or choose another directory.");
        }

        if (HasContent || (!isOurs && Directory.Exists(Path) && Directory.EnumerateFileSystemEntries(Path).Any()))
        {
            throw new SalvorException(
                FailureKind.Usage, Exists ? $"there is a cluster in {Path} already" : $"directory {Path} is not empty",
                "Choose a directory that is new or empty, or move what is there aside: it may hold log that was not stored yet.");
        }
    }

    /// <summary>
    /// Throws where a server runs here, or may: of one in a container or on another machine no process is seen, or another one has its
    /// number.
    /// </summary>
    void ExpectStopped()
    {
        ExpectNoServer();
        if (FileStat.Of(At(PidFile), followLinks: false) is not null)
        {
            throw new SalvorException(
                FailureKind.Locked, $"a server may run in {Path}: {PidFile} is there, which one that is stopped in order removes",
                "Start and stop that server in order, where it runs, or remove the file if it is certain that none does.");
        }
    }

    void ExpectNoServer()
    {
        if (RunningServer() is { } pid)
        {
            throw new SalvorException(
                FailureKind.Locked, $"a server runs in {Path}: process {pid}",
                $"Stop it first: pg_ctl -D {Path} stop. Or restore elsewhere.");
        }
    }

    /// <summary>
    /// Throws where a cluster may not be put here over what there is: a server runs in it, or may, it is no data directory, or that of
    /// another cluster, or nobody can tell of which. What a restore of the same cluster left unfinished is one of it.
    /// </summary>
    /// <param name="systemId">The cluster.</param>
    /// <param name="major">Its version.</param>
    public void ExpectSame(ulong systemId, int major)
    {
        ExpectStopped();
        if (!HasContent)
        {
            return;
        }

        const string Aside = "Choose a directory that is new or empty, or move what is there aside.";
        if (!Exists && !RestoreMark.IsIn(Path))
        {
            throw new SalvorException(FailureKind.Usage, $"{Path} is not empty, and no data directory: it has no PG_VERSION", Aside);
        }

        var there = SystemId ?? RestoreMark.SystemIdIn(Path) ?? throw new SalvorException(
            FailureKind.Usage, $"nothing says of which cluster {Path} is: it has no global/pg_control", Aside);
        if (there != systemId)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"{Path} is of the cluster with system identifier {there}, and the backup of that with {systemId}", Aside);
        }

        if (Exists && MajorVersion != major)
        {
            throw new SalvorException(
                FailureKind.Usage, $"{Path} is of PostgreSQL {MajorVersion}, and the backup of PostgreSQL {major}", Aside);
        }
    }

    /// <summary>Whether it has what a server cannot start without.</summary>
    internal bool IsArmed => FileStat.Of(At(ControlFile.Path), followLinks: false) is not null;

    /// <summary>The cluster that it is of, as its control file says; null where that is not there.</summary>
    ulong? SystemId
    {
        get
        {
            Span<byte> begin = stackalloc byte[sizeof(ulong)];
            return FileStat.Of(At(ControlFile.Path), followLinks: false) is { Kind: FileKind.Regular }
                ? ControlFile.SystemId(begin[..Posix.Read(At(ControlFile.Path), Posix.NoFollow, 0, begin)])
                : null;
        }
    }

    /// <summary>
    /// Takes away what a server cannot start without, durably. Throws, and it is as it was, where one started just now.
    /// </summary>
    public void Disarm()
    {
        var aside = At(ControlFile.Path + ".salvor");
        if (!IsArmed)
        {
            return;
        }

        Posix.Rename(At(ControlFile.Path), aside);
        try
        {
            ExpectStopped();
        }
        catch (SalvorException)
        {
            Posix.Rename(aside, At(ControlFile.Path));
            throw;
        }

        Posix.Unlink(aside);
        DurableFile.FlushDirectory(System.IO.Path.GetDirectoryName(aside)!);
    }

    /// <summary>The process of the server that runs here; null where none is seen to.</summary>
    public int? RunningServer()
    {
        if (!File.Exists(At(PidFile)))
        {
            return null;
        }

        var first = File.ReadLines(At(PidFile)).FirstOrDefault();
        if (!int.TryParse(first, NumberStyles.None, CultureInfo.InvariantCulture, out var pid) || pid == 0)
        {
            return null;
        }

        try
        {
            // After a crash another process may have the number. A server works in its data directory.
            var working = FileIdentity.Of(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/cwd"));
            return working is not null && working == FileIdentity.Of(Path) ? pid : null;
        }
        catch (PosixException e) when (e.Error is Errno.AccessDenied or Errno.NotPermitted)
        {
            // Of another user's process that is not told.
            return null;
        }
    }

    /// <summary>A process of a server that has a tablespace in a directory; null where none is seen that has.</summary>
    internal static int? ServerWith(string place)
    {
        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            try
            {
                var links = Directory.Exists($"{process}/cwd/pg_tblspc") && File.Exists($"{process}/cwd/PG_VERSION")
                    ? Directory.EnumerateFileSystemEntries($"{process}/cwd/pg_tblspc")
                    : [];
                if (int.TryParse(System.IO.Path.GetFileName(process), CultureInfo.InvariantCulture, out var pid)
                    && links.Any(link => FileIdentity.Of(link) is { } there && there == FileIdentity.Of(place)))
                {
                    return pid;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or SalvorException)
            {
                // It has ended, or is somebody else's, whose tablespaces are not ours to write either.
                continue;
            }
        }

        return null;
    }

    string At(string name) => System.IO.Path.Combine(Path, name);
}
