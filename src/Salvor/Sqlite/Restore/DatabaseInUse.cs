using Salvor.Platform;

namespace Salvor.Sqlite.Restore;

/// <summary>A process that has a database open.</summary>
/// <param name="Pid">Its id; 0 where it holds a lock and cannot be seen from here, as from inside of a container.</param>
/// <param name="Program">What it runs; empty where that is not known.</param>
/// <param name="IsThisProcess">Whether it is the one that asks.</param>
public sealed record DatabaseUser(int Pid, string Program, bool IsThisProcess)
{
    public override string ToString() =>
        Pid == 0 ? "a process that cannot be seen from here" : Program.Length > 0 ? $"pid {Pid} ({Program})" : $"pid {Pid}";
}

/// <summary>
/// Who has a database open: by the open files of all processes, which also shows those that hold no lock at the moment, and by SQLite's
/// locks, which also shows processes of other users. In WAL mode every open connection holds one.
/// </summary>
/// <param name="Users">Everyone who was found.</param>
/// <param name="HiddenCount">
/// Processes of other users that could not be looked at. One of them may have a database with a rollback journal open without a lock.
/// </param>
public sealed record DatabaseInUse(IReadOnlyList<DatabaseUser> Users, int HiddenCount)
{
    const int NamedMax = 3;

    // https://www.sqlite.org/src/file/src/os.h: pending, reserved and the shared range, at 1 GiB of the database.
    const long LockBytesStart = 0x40000000;
    const long LockBytesLength = 512;

    // https://www.sqlite.org/walformat.html#wal_locks: eight locks at offset 120 of the wal-index, and the dead man's switch after them.
    const long WalIndexLocksStart = 120;
    const long WalIndexLocksLength = 9;

    /// <summary>Looks at the database, its log and its wal-index; any of them may be absent.</summary>
    /// <remarks>
    /// The locks can only be asked for through a handle of our own, whose closing would drop the locks that a SQLite in this process holds.
    /// So they are not asked for where this process has the database open; and while this runs, nothing else here may open it.
    /// </remarks>
    public static DatabaseInUse Find(string path)
    {
        var main = DatabaseFiles.Resolve(path);
        var names = (string[])[main, .. DatabaseFiles.Suffixes.Select(suffix => main + suffix)];
        var files = names.Select(FileIdentity.Of).OfType<FileIdentity>().ToArray();
        if (files.Length == 0)
        {
            return new([], HiddenCount: 0);
        }

        var open = OpenFiles.Find(files);
        var pids = open.Pids.ToList();
        if (!pids.Contains(Environment.ProcessId))
        {
            AddHolder(pids, main, LockBytesStart, LockBytesLength);
            AddHolder(pids, main + DatabaseFiles.WalIndexSuffix, WalIndexLocksStart, WalIndexLocksLength);
        }

        return new([.. pids.Select(User)], open.HiddenCount);
    }

    /// <summary>Throws <see cref="FailureKind.Locked"/> naming who has the database open; one process may.</summary>
    public static void Refuse(string path, int? exceptPid = null) => Refuse(path, path, exceptPid);

    /// <summary>As the other, for a database that had another name a moment ago: the one for messages.</summary>
    internal static void Refuse(string path, string name, int? exceptPid)
    {
        var users = Find(path).Users.Where(user => user.Pid != exceptPid).ToArray();
        if (users.Length > 0)
        {
            throw Refusal(name, users);
        }
    }

    internal static SalvorException Refusal(string name, IReadOnlyList<DatabaseUser> users)
    {
        var named = string.Join(", ", users.Take(NamedMax));
        var more = users.Count > NamedMax ? $" and {users.Count - NamedMax} more" : "";
        return new(
            FailureKind.Locked,
            $"database {name} is open in {named}{more}",
            users.Any(user => user.IsThisProcess)
                ? "Close it in this process, then try again."
                : $"Stop the app, check with 'fuser -v {name}' that nothing is left, then run the same command again.");
    }

    static DatabaseUser User(int pid) =>
        new(pid, pid == 0 ? "" : OpenFiles.ProgramOf(pid), IsThisProcess: pid == Environment.ProcessId);

    static void AddHolder(List<int> pids, string path, long start, long length)
    {
        if (Posix.TryOpen(path, Posix.ReadOnly | Posix.NonBlocking, out var error) is not { } opened)
        {
            // Who may not even read it cannot restore over it, which will be said when that is tried.
            if (error is Errno.NoEntry or Errno.NotDirectory or Errno.AccessDenied)
            {
                return;
            }

            throw new PosixException(error, "open", path, FailureKind.SourceUnreadable);
        }

        using var file = opened;
        if (RecordLocks.HolderOf(file, start, length, path) is { } holder && !pids.Contains(holder))
        {
            pids.Add(holder);
        }
    }
}
