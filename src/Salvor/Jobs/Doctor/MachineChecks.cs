using Salvor.Text;

namespace Salvor.Jobs.Doctor;

/// <summary>Judges the machine: its clock, its limits and its libraries.</summary>
static class MachineChecks
{
    /// <summary>The database, its log and its wal-index, the lock, a file of local state; and what all of them share.</summary>
    const int FilesPerDatabase = 6;
    const int FilesShared = 256;

    /// <summary>What a restore of any size may take.</summary>
    const long MemoryBytesMin = 256 << 20;

    const long TemporaryBytesMin = 64 << 20;

    public static IReadOnlyList<Check> Judge(MachineFacts facts)
    {
        var list = new CheckList("machine");
        JudgeClock(facts, list);
        JudgeWatches(facts, list);
        JudgeFiles(facts, list);
        JudgeMemory(facts, list);
        JudgeLibraries(facts, list);
        SourceChecks.JudgeRoom(list, facts.Temporary, TemporaryBytesMin, CheckLevel.Warn, "temporary files");
        return list.Checks;
    }

    static void JudgeClock(MachineFacts facts, CheckList list)
    {
        const string Fix = "timedatectl set-ntp true";
        switch (facts.IsClockSynchronized)
        {
            case true:
                list.Ok("its clock is synchronised");
                break;
            case false:
                list.Warn(
                    "nothing keeps its clock right", "restore points bear its time, and services refuse a clock that is far off", Fix);
                break;
            default:
                list.Unknown("whether something keeps its clock right", "the kernel does not say", Fix);
                break;
        }
    }

    static void JudgeWatches(MachineFacts facts, CheckList list)
    {
        var fix = $"sysctl -w fs.inotify.max_user_watches={Math.Max(524_288, 4L * facts.Folders)} fs.inotify.max_user_instances=512";
        var folders = $"{facts.Databases} database(s) lie in {facts.Folders} folder(s)";
        if (facts is not { InotifyWatches: { } watches, InotifyInstances: { } instances })
        {
            list.Unknown("whether changes can be watched", "/proc/sys/fs/inotify cannot be read", fix);
        }
        else if (watches <= facts.Folders || instances < 1)
        {
            list.Fail(
                FailureKind.Failure, "the kernel lets too few folders be watched",
                $"{watches} watches and {instances} descriptors for each user; {folders}", fix);
        }
        else if (watches < 4L * facts.Folders || instances < 16)
        {
            list.Warn(
                "few folders can be watched, and other programs watch too",
                $"{watches} watches and {instances} descriptors for each user; {folders}", fix);
        }
        else
        {
            list.Ok("changes can be watched", $"{watches} watches and {instances} descriptors for each user; {folders}");
        }
    }

    static void JudgeFiles(MachineFacts facts, CheckList list)
    {
        var needed = FilesShared + ((long)FilesPerDatabase * facts.Databases);
        var fix = $"Set 'LimitNOFILE={2 * needed}' in the unit, or 'ulimit -Hn {2 * needed}' in the shell that starts it.";
        if (facts.OpenFiles is not { } limit)
        {
            list.Unknown("how many files may be open", "/proc/self/limits cannot be read", fix);
        }
        else if (limit < needed)
        {
            list.Fail(
                FailureKind.Failure, "too few files may be open", $"{limit}; {facts.Databases} database(s) take about {needed}", fix);
        }
        else
        {
            list.Ok("enough files may be open", limit == long.MaxValue ? "no limit" : $"{limit} for about {needed}");
        }
    }

    static void JudgeMemory(MachineFacts facts, CheckList list)
    {
        var detail = SizeText.Format(facts.MemoryBytes);
        if (facts.MemoryBytes < MemoryBytesMin)
        {
            list.Warn(
                "there is little memory", $"{detail}; a restore may take {SizeText.Format(MemoryBytesMin)}",
                "Raise the limit of the container or the unit ('MemoryMax=').");
        }
        else
        {
            list.Ok("there is enough memory", detail);
        }
    }

    static void JudgeLibraries(MachineFacts facts, CheckList list)
    {
        if (facts is { UsesLz4: true, HasLz4: false })
        {
            list.Fail(
                FailureKind.Failure, "liblz4 is not installed, and a source is compressed by it", "nothing can be stored or restored",
                "apt-get install liblz4-1");
        }

        if (facts is { UsesPassphrase: true, HasArgon2: false })
        {
            list.Warn(
                "libargon2 is not installed, and a source is opened by a passphrase",
                "key slots that were made elsewhere do not open here; those made here are weaker (PBKDF2)", "apt-get install libargon2-1");
        }

        if ((facts.HasLz4 || !facts.UsesLz4) && (facts.HasArgon2 || !facts.UsesPassphrase))
        {
            string[] known = [facts.HasLz4 ? "" : "liblz4", facts.HasArgon2 ? "" : "libargon2"];
            string[] absent = [.. known.Where(name => name.Length > 0)];
            list.Ok(
                "the libraries that it takes are installed",
                absent.Length == 0 ? "" : $"not {string.Join(" and ", absent)}, which nothing that is configured needs");
        }
    }
}
