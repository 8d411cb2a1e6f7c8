using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Jobs.Doctor;

/// <summary>Judges a database: whether it can be followed, and whether there is room to bring it back.</summary>
static class SourceChecks
{
    /// <summary>A smaller log is nothing to talk about.</summary>
    const long WalBytesNoted = 64 << 20;

    /// <summary>What a restore takes beside the database itself: a journal, a file system's own.</summary>
    const double RestoreFactor = 1.1;

    public static IReadOnlyList<Check> Judge(SourceFacts facts)
    {
        var list = new CheckList("source", facts.Name);
        if (IsReadable(facts, list) && facts.Header is { } header)
        {
            JudgeMode(facts, header, list);
            JudgeLog(facts, header, list);
            JudgeCheckpointers(facts, header, list);
            JudgeTools(facts, list);
        }

        JudgeState(facts, list);
        return list.Checks;
    }

    static bool IsReadable(SourceFacts facts, CheckList list)
    {
        const string Owner = "Run Salvor as the user that owns the database ('User=' of the unit), or as root.";
        if (!facts.Exists)
        {
            list.Warn(
                "the database is not there", $"{facts.Path}: nothing is captured until an app makes it",
                $"salvor restore {facts.Name} --if-db-not-exists   (or correct 'path')");
        }
        else if (facts is { IsEmpty: true, Obstacle: { } empty })
        {
            list.Warn("the database is empty", empty.Message, empty.Hint);
        }
        else if (facts.Obstacle is { } obstacle)
        {
            list.Fail("the database cannot be protected", obstacle);
        }
        else if (!facts.MayRead)
        {
            list.Fail(FailureKind.SourceUnreadable, $"{facts.User} may not read the database", facts.Path, Owner);
        }
        else if (facts.Header is not { } header)
        {
            var e = new NotADatabaseException(facts.Path, inner: null);
            list.Fail(FailureKind.SourceUnreadable, "the file is not a database, or is encrypted", e.Message, e.Hint);
        }
        else if (!facts.MayWrite || !facts.Beside.MayWrite)
        {
            // SQLite's readers map the wal-index for writing, and make it where it is absent.
            list.Fail(
                FailureKind.SourceUnreadable, $"{facts.User} may not write to the database and its folder",
                $"{facts.Path}: SQLite's readers share memory in files beside it", Owner);
        }
        else
        {
            list.Ok(
                $"the database can be read as {facts.User}",
                $"{facts.Path}, {SizeText.Format(facts.SizeBytes)}, pages of {SizeText.Format(header.PageSize)}");
            return true;
        }

        return false;
    }

    static void JudgeMode(SourceFacts facts, DatabaseHeader header, CheckList list)
    {
        if (facts.IsFuse)
        {
            list.Unknown(
                "whether its file system keeps SQLite's locks", "it is served by a program (FUSE)",
                $"Use a local disk where the program talks to the network: 'findmnt -T {facts.Path}' names it.");
        }

        if (facts.HasJournal)
        {
            list.Warn(
                "an app ended in the middle of a transaction", $"{facts.Path}-journal is still there",
                "Start the app, or open the database once with sqlite3: SQLite then rolls the transaction back.");
        }

        if (!header.IsWal)
        {
            list.Warn(
                "it uses a rollback journal",
                "each change is found by reading the file again, and writers may be kept waiting for a moment",
                $"sqlite3 {facts.Path} 'PRAGMA journal_mode=WAL'");
        }
        else if (facts is { HasWalIndex: false, Users.Count: > 0 })
        {
            list.Fail(
                FailureKind.SourceUnreadable, "an app holds it with locking_mode=EXCLUSIVE",
                $"{facts.Users[0]} has it open, and there is no {facts.Path}-shm: nobody else can read it",
                "Remove 'PRAGMA locking_mode=EXCLUSIVE' from the app.");
        }
        else
        {
            list.Ok("it uses a write-ahead log", OpenIn(facts));
        }
    }

    static string OpenIn(SourceFacts facts)
    {
        var open = facts.Users is { Count: > 0 } users ? $"open in {string.Join(", ", users.Take(3))}" : "open in no app that can be seen";
        return facts.HiddenCount == 0 ? open : $"{open}; {facts.HiddenCount} process(es) of other users could not be looked at";
    }

    static void JudgeLog(SourceFacts facts, DatabaseHeader header, CheckList list)
    {
        if (!header.IsWal)
        {
            return;
        }

        var detail = $"{SizeText.Format(facts.WalBytes)} beside {SizeText.Format(facts.SizeBytes)}";
        var isNearLimit = facts.WalBytes > facts.Source.WalMaxBytes / 2;
        if (facts.WalBytes > WalBytesNoted && (isNearLimit || facts.WalBytes > facts.SizeBytes))
        {
            list.Warn(
                "its log has grown very long",
                $"{detail}; at {SizeText.Format(facts.Source.WalMaxBytes)} (max_wal) Salvor lets go of it",
                "Look for a reader that never ends, and for wal_autocheckpoint=0; then "
                    + $"'sqlite3 {facts.Path} \"PRAGMA wal_checkpoint(TRUNCATE)\"'.");
        }
        else
        {
            list.Ok("its log is short", detail);
        }
    }

    /// <summary>
    /// https://www.sqlite.org/wal.html#the_wal_reset_bug: with two who checkpoint, a restart of the log may lose pages. Salvor never does.
    /// </summary>
    static void JudgeCheckpointers(SourceFacts facts, DatabaseHeader header, CheckList list)
    {
        if (!header.IsWal)
        {
            return;
        }

        var library = $"SQLite {facts.SqliteVersion} is installed; an app may bring its own";
        if (!HasResetDefect(facts.SqliteVersion))
        {
            list.Ok("the installed SQLite does not have the WAL-reset defect", library);
        }
        else if (facts.Users is not { Count: > 1 } users)
        {
            list.Ok("Salvor never checkpoints, so it cannot meet the WAL-reset defect", library);
        }
        else
        {
            list.Warn(
                $"{users.Count} processes may checkpoint it, and SQLite before 3.51.3 can lose pages then",
                $"{string.Join(", ", users.Take(3))}; {library}",
                "Update SQLite to 3.51.3 in each app that opens it, or let one process checkpoint: 'PRAGMA wal_autocheckpoint=0' in "
                    + "the others.");
        }
    }

    /// <summary>Whether a version of SQLite, from 3.7.0 to 3.51.2, can corrupt a database where two connections checkpoint it.</summary>
    internal static bool HasResetDefect(string version) =>
        Version.TryParse(version, out var number) && number >= new Version(3, 7, 0) && number < new Version(3, 51, 3);

    static void JudgeTools(SourceFacts facts, CheckList list)
    {
        if (facts.Tools is not { } tools)
        {
            list.Unknown(
                "whether another tool holds its log", "its tables could not be read",
                $"sqlite3 {facts.Path} 'PRAGMA integrity_check'");
        }
        else if (tools.Count > 0)
        {
            var names = string.Join(" and ", tools);
            list.Warn(
                $"{names} follows it, or did", "two tools that hold one log make it grow, and each finds gaps that the other made",
                $"Stop {names} once Salvor has a first copy, and remove what it left: its tables, and the folder "
                    + $".{Path.GetFileName(facts.Path)}-litestream.");
        }
    }

    /// <summary>What is written on this machine: local state while all is well, a whole database when it is not.</summary>
    static void JudgeState(SourceFacts facts, CheckList list)
    {
        if (!facts.State.MayWrite)
        {
            list.Fail(
                FailureKind.SourceUnreadable, $"{facts.User} may not write local state", facts.State.Path,
                "Let Salvor write there, or name another folder with 'state_dir'.");
        }

        var database = facts.SizeBytes + facts.WalBytes;
        var image = facts.Source.Verify is { Every: not null, Deep: true, KeepImage: true } ? database : 0;
        JudgeRoom(
            list, facts.State, image + facts.Source.OutboxBytesMax, CheckLevel.Warn,
            "local state (a kept image, and the outbox while a destination is away)");
        database = Math.Max(database, facts.VaultBytes);
        JudgeRoom(list, facts.Beside, Needed(database), CheckLevel.Warn, "a restore in place");
        if (!facts.Scratch.MayWrite)
        {
            list.Fail(
                FailureKind.Failure, $"{facts.User} may not write where restores go", facts.Scratch.Path,
                "Name another folder: 'restore: { scratch: DIR }', or '--output' of restore.");
        }

        JudgeRoom(list, facts.Scratch, Needed(database), CheckLevel.Fail, "a restore into scratch");
    }

    internal static long Needed(long databaseBytes) => (long)(databaseBytes * RestoreFactor);

    internal static void JudgeRoom(CheckList list, FolderFacts folder, long needed, CheckLevel lacking, string use)
    {
        var free = folder.FreeBytes;
        var room = free is null ? "" : $"{SizeText.Format(free.Value)} free, ";
        var detail = $"{folder.Path}: {room}up to {SizeText.Format(needed)} needed";
        var fix = $"Free some ('df -h {Place.Existing(folder.Path)}' shows the disk), or choose a folder on another disk.";
        if (free is null)
        {
            list.Unknown($"whether there is room for {use}", detail, fix);
        }
        else if (free >= needed)
        {
            list.Ok($"there is room for {use}", detail);
        }
        else if (lacking == CheckLevel.Fail)
        {
            list.Fail(FailureKind.Failure, $"there is no room for {use}", detail, fix);
        }
        else
        {
            list.Warn($"there is not enough room for {use}", detail, fix);
        }
    }
}
