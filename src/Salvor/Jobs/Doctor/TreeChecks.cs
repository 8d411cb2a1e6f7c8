using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Text;

namespace Salvor.Jobs.Doctor;

/// <summary>
/// Judges what is backed up as a tree: whether all files can be read, whether backups are made, and whether there is room to bring it back.
/// </summary>
static class TreeChecks
{
    const int NamedMax = 5;

    public static IReadOnlyList<Check> Judge(TreeFacts facts)
    {
        var list = new CheckList("source", facts.Source.Name);
        if (facts is { Source: FilesSourceConfig source, Look: { } look })
        {
            JudgeReading(facts, source, look, list);
            JudgeContent(facts, source, look, list);
        }

        JudgeState(facts, list);
        var daemon = new CheckList("daemon", facts.Source.Name);
        JudgeRuns(facts, daemon);
        JudgeSchedule(facts, daemon);
        var vaults = new CheckList("vault", facts.Source.Name);
        JudgeVaults(facts, vaults);
        var server = facts.Cluster is { } cluster
            ? ClusterChecks.Judge(cluster, facts.SystemId, isFollowed: facts.Health.OfLog?.Pid is not null)
            : [];
        return [.. server, .. list.Checks, .. daemon.Checks, .. vaults.Checks];
    }

    static void JudgeReading(TreeFacts facts, FilesSourceConfig source, TreeLook look, CheckList list)
    {
        foreach (var missing in facts.Missing)
        {
            list.Fail("a path is not there, so that no backup can be made", missing);
        }

        var size = $"{look.Files} file(s), {SizeText.Format(look.Bytes)}{(look.IsComplete ? "" : ", and more: there was no time for all")}";
        if (look.Unreadable.Count > 0)
        {
            list.Warn(
                $"{facts.User} may not read {look.Unreadable.Count} name(s), which backups lack",
                $"the first is {look.Unreadable.First}; {size}",
                "Let Salvor run as a user who may read them, or leave them out with 'exclude'.");
        }
        else if (facts.Missing.Count < source.Options.Paths.Count)
        {
            list.Ok($"all can be read as {facts.User}", size);
        }
    }

    static void JudgeContent(TreeFacts facts, FilesSourceConfig source, TreeLook look, CheckList list)
    {
        foreach (var destination in look.Destinations)
        {
            list.Warn(
                $"destination {destination} lies in what is backed up",
                "it is left out of backups, and whoever deletes the files deletes the backups",
                "Give it a place of its own, on another disk.");
        }

        if (look.IsComplete && look.IdlePatterns.ToList() is { Count: > 0 } idle)
        {
            list.Warn(
                $"{idle.Count} pattern(s) of exclude match nothing", string.Join(", ", idle.Take(NamedMax)),
                "Correct them: a name matches anywhere, and '/' in front means from the top of the disk.");
        }

        JudgeMounts(source, look, list);
        var databases = look.Databases.Except(facts.Protected).ToList();
        if (databases.Count > 0)
        {
            list.Warn(
                $"{databases[0]} is a SQLite database: a copy of its file may be torn",
                string.Join(", ", databases), $"Add a source: {{ type: sqlite, path: {databases[0]}, to: [{source.To[0]}] }}.");
        }
    }

    static void JudgeMounts(FilesSourceConfig source, TreeLook look, CheckList list)
    {
        if (look.Mounts.Count == 0)
        {
            return;
        }

        var named = string.Join(", ", look.Mounts.Take(NamedMax).Select(mount => mount.Path));
        if (source.Options.OneFileSystem)
        {
            list.Ok("what is mounted below it is left out", named);
        }
        else if (look.Mounts.Any(mount => mount.Network is not null))
        {
            list.Warn(
                "what is mounted below it comes over a network", named,
                "Leave it out with 'one_file_system: true' or 'exclude', or back it up where it is.");
        }
        else
        {
            list.Ok("what is mounted below it is a part of backups", named);
        }
    }

    static void JudgeState(TreeFacts facts, CheckList list)
    {
        if (!facts.State.MayWrite)
        {
            list.Fail(
                FailureKind.SourceUnreadable, $"{facts.User} may not write local state", facts.State.Path,
                "Let Salvor write there, or name another folder with 'state_dir'.");
        }

        if (!facts.Scratch.MayWrite)
        {
            list.Fail(
                FailureKind.Failure, $"{facts.User} may not write where restores go", facts.Scratch.Path,
                "Name another folder: 'restore: { scratch: DIR }', or '--output' of restore.");
        }

        var size = Math.Max(facts.Look?.Bytes ?? 0, facts.Health.Backup?.SizeBytes ?? 0);
        SourceChecks.JudgeRoom(list, facts.Scratch, SourceChecks.Needed(size), CheckLevel.Fail, "a restore into scratch");
    }

    /// <summary>What a check by the policy finds, in its words.</summary>
    static void JudgeRuns(TreeFacts facts, CheckList list)
    {
        var health = facts.Health;
        var problems = HealthCheck.Problems(health, health.Limits).ToList();
        foreach (var problem in problems)
        {
            list.Warn(problem.Message, "", problem.Hint);
        }

        if (problems.Count == 0 && health.Backup?.BackupAt is { } at)
        {
            list.Ok("its last backup is young enough", $"backup {health.Backup.BackupId} of {InstantText.Format(at)}");
        }
    }

    static void JudgeSchedule(TreeFacts facts, CheckList list)
    {
        if (facts.Source.Schedule is not { } schedule)
        {
            list.Warn(
                "the daemon makes no backups of it", "it has no schedule: somebody else has to run 'salvor backup'",
                $"Write 'schedule: every 1h' for {facts.Source.Name}, unless a timer or cron runs it.");
        }
        else if (TimeSpan.FromSeconds(facts.Health.Backup?.DurationSeconds ?? 0) is var took && took * 2 > schedule.Times.LongestGap())
        {
            list.Warn(
                "a backup takes about as long as the time between two", $"the last one took {DurationText.FormatShort(took)}",
                "Make them less often, or leave something out with 'exclude'.");
        }
        else
        {
            var due = facts.Health.Next.Backup is { } next ? $"the next one is due at {InstantText.Format(next)}" : "the first one is due";
            list.Ok($"the daemon backs it up: {schedule.Times.Text}", due);
        }
    }

    static void JudgeVaults(TreeFacts facts, CheckList list)
    {
        foreach (var (destination, backups, failure) in facts.Vaults)
        {
            if (failure is not null)
            {
                list.Fail($"its backups at {destination} cannot be read", failure);
            }
            else if (backups == 0)
            {
                list.Warn($"there is no backup at {destination}", "", $"Run 'salvor backup {facts.Source.Name}'.");
            }
            else
            {
                list.Ok($"there are backups at {destination}", $"{backups} backup(s)");
            }
        }
    }
}
