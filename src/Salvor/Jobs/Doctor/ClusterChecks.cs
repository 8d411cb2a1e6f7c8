using Salvor.Postgres;
using Salvor.Text;

namespace Salvor.Jobs.Doctor;

/// <summary>
/// Judges a server: whether its log can be followed and base backups be made, and whether it does something that no backup can mend.
/// </summary>
static class ClusterChecks
{
    /// <summary>Without them a crash leaves pages that nobody can mend.</summary>
    static readonly string[] Safety = ["fsync", "full_page_writes"];

    /// <summary>As much log as a slot should be able to keep: somebody has slept, and then mends it.</summary>
    const int HoursKept = 24;

    /// <param name="facts">The server.</param>
    /// <param name="systemId">The cluster that its vault is of; null where there is no log of any.</param>
    /// <param name="isFollowed">Whether a daemon runs that has to follow it.</param>
    public static IReadOnlyList<Check> Judge(ClusterFacts facts, string? systemId, bool isFollowed)
    {
        var list = new CheckList("source", facts.Source.Name);
        if (facts.Failure is { } failure)
        {
            list.Fail("its server cannot be followed or backed up", failure);
            return list.Checks;
        }

        // With wal_level = minimal a server has no senders, and lets nobody in.
        list.Ok("its server lets a follower in", $"{facts.Server}, wal_level {facts.Shown["wal_level"]}");
        JudgeIdentity(facts, systemId, list);
        JudgeSafety(facts, list);
        JudgeSummaries(facts, list);

        // What a standby is set to counts when it is promoted.
        if (facts is { SqlFailure: null, Standby: null }
            && WalReceiver.IsNamedBy(facts.Shown["synchronous_standby_names"], facts.Source.Server!))
        {
            list.Ok(
                "commits wait until their log is durable on this machine",
                $"synchronous_standby_names {facts.Shown["synchronous_standby_names"]}");
        }

        JudgeLimit(facts, list);
        if (facts.SqlFailure is { } refused)
        {
            list.Unknown(
                "how its slots and its archiver fare", refused.Message,
                $"Let {facts.Source.Server!.User} also into a database, by pg_hba.conf and GRANT CONNECT; 'dbname' of the connection "
                    + "names it.");
            return list.Checks;
        }

        JudgeStandby(facts, list);
        JudgeSenders(facts, list);
        JudgeSlot(facts, isFollowed, list);
        JudgeOthers(facts, list);
        JudgeArchiver(facts, list);
        if (facts.OtherCollations is { Count: > 0 } databases)
        {
            list.Warn(
                $"{databases.Count} database(s) were sorted by another version of their collation: indexes of text may be wrong",
                string.Join(", ", databases),
                "In each, run: REINDEX DATABASE name; ALTER DATABASE name REFRESH COLLATION VERSION;");
        }

        return list.Checks;
    }

    static void JudgeIdentity(ClusterFacts facts, string? systemId, CheckList list)
    {
        if (systemId == facts.SystemId)
        {
            list.Ok("its server is the cluster of its backups", $"system identifier {systemId}");
        }
        else if (systemId is not null)
        {
            list.Fail(
                FailureKind.Usage, "its server is another cluster under the same name",
                $"the vault is of the cluster with system identifier {systemId}, and the server has {facts.SystemId}",
                "After 'initdb' or 'pg_upgrade' a cluster is another one: give it another name, so that neither history hides the other.");
        }
    }

    static void JudgeSafety(ClusterFacts facts, CheckList list)
    {
        string[] off = [.. Safety.Where(setting => facts.Shown[setting] != "on")];
        foreach (var setting in off)
        {
            list.Fail(
                FailureKind.SourceUnreadable, $"{setting} of its server is {facts.Shown[setting]}",
                "a crash of the machine may damage the cluster, and base backups taken then with it",
                $"ALTER SYSTEM SET {setting} = on; SELECT pg_reload_conf();   (then make a full backup)");
        }

        if (facts.Shown["data_checksums"] != "on")
        {
            list.Warn(
                "its pages have no checksums", "a backup cannot see that a page is damaged, and keeps it as it is",
                "Stop the server, and run 'pg_checksums --enable -D DIRECTORY'.");
        }
        else if (off.Length == 0)
        {
            list.Ok("its pages have checksums, and are whole after a crash", "data_checksums, fsync and full_page_writes are on");
        }
    }

    static void JudgeLimit(ClusterFacts facts, CheckList list)
    {
        const string Setting = "max_slot_wal_keep_size";
        var detail = $"{Setting} {facts.Shown[Setting]}{Rate(facts)}";
        if (facts.Shown[Setting] == "-1")
        {
            list.Warn(
                "nothing limits the log that slots keep", $"{detail}: while a follower is away, the disk of the server fills up",
                $"ALTER SYSTEM SET {Setting} = '20GB'; SELECT pg_reload_conf();   (less than what is free for pg_wal)");
        }
        else if (facts.SqlFailure is null && facts.LogBytesPerHour > facts.SlotBytesMax)
        {
            list.Warn(
                "slots keep less than an hour of its log", $"{detail}: a follower that is away for longer loses its slot",
                $"ALTER SYSTEM SET {Setting} = '{(HoursKept * facts.LogBytesPerHour >> 20) + 1}MB'; SELECT pg_reload_conf();   (a day of "
                    + "it; less than what is free for pg_wal)");
        }
        else
        {
            list.Ok("the log that slots keep has a limit", detail);
        }
    }

    static string Rate(ClusterFacts facts) =>
        facts.LogBytesPerHour is { } bytes ? $", and it writes {SizeText.Format(bytes)} of log an hour" : "";

    static void JudgeStandby(ClusterFacts facts, CheckList list)
    {
        if (facts.Standby is not { } standby)
        {
            return;
        }

        var age = standby.LastCommitAge is { } since ? $", and its last transaction is {DurationText.Format(since)} old" : "";
        var detail = $"replayed to {standby.ReplayedTo}, {SizeText.Format(standby.WaitingBytes)} more are received{age}";
        if (standby.IsPaused)
        {
            list.Warn(
                "its server is a standby whose replay is paused", detail,
                "A base backup of it lacks what it does not apply: SELECT pg_wal_replay_resume();");
        }
        else if (!standby.IsFed)
        {
            list.Warn(
                "its server is a standby that receives nothing from its primary", detail,
                "See its primary_conninfo and what its log says: what is backed up here is as old as it is.");
        }
        else
        {
            list.Ok("its server is a standby that receives from its primary", detail);
        }
    }

    /// <summary>Older servers have none, and whoever wants full backups needs none.</summary>
    static void JudgeSummaries(ClusterFacts facts, CheckList list)
    {
        if (facts.Shown.GetValueOrDefault("summarize_wal") == "off" && facts.Source.FullEvery > TimeSpan.Zero)
        {
            list.Warn(
                "each base backup reads the whole cluster", "summarize_wal is off: its server does not note which pages change",
                "ALTER SYSTEM SET summarize_wal = on; SELECT pg_reload_conf();   (then only pages that changed are sent)");
        }
    }

    /// <summary>One for the log, and one for a base backup. The first is taken where somebody follows.</summary>
    static void JudgeSenders(ClusterFacts facts, CheckList list)
    {
        var wanted = facts.Slots.Any(slot => slot.Name == facts.Source.Slot && slot.IsActive) ? 1 : 2;
        if (facts.SendersFree >= wanted)
        {
            list.Ok("its server has room for a follower and a base backup");
            return;
        }

        list.Warn(
            "its server has no room for a follower and a base backup", $"{wanted} more are needed, and {facts.SendersFree} can connect",
            "Raise max_wal_senders, and restart the server.");
    }

    static void JudgeSlot(ClusterFacts facts, bool isFollowed, CheckList list)
    {
        var name = facts.Source.Slot;
        if (facts.Slots.FirstOrDefault(slot => slot.Name == name) is not { } own)
        {
            JudgeNoSlot(facts, isFollowed, list);
            return;
        }

        var detail = Kept(own);
        if (own.Status == "lost")
        {
            list.Fail(
                FailureKind.SourceUnreadable, $"slot {name} is lost: the server removed log that nobody received", detail,
                "Raise max_slot_wal_keep_size. The daemon makes the slot anew, and a full backup after it.");
            return;
        }

        if (own.Status == "unreserved")
        {
            list.Warn(
                $"slot {name} is about to be lost", detail,
                "Let the daemon receive its log now, or raise max_slot_wal_keep_size: a checkpoint removes it.");
        }

        if (own.IsActive)
        {
            list.Ok($"slot {name} is read from", detail);
        }
        else if (isFollowed)
        {
            list.Fail(
                FailureKind.SourceUnreadable, $"slot {name} keeps log that no one receives, although a daemon runs", detail,
                $"See what is in the way: 'salvor status {facts.Source.Name}'.");
        }
        else
        {
            list.Warn(
                $"slot {name} keeps log that no one receives", detail,
                $"Start 'salvor daemon'. If nobody is to follow it any more: SELECT pg_drop_replication_slot('{name}');");
        }
    }

    static void JudgeNoSlot(ClusterFacts facts, bool isFollowed, CheckList list)
    {
        var name = facts.Source.Slot;
        if (facts.SlotsFree < 1)
        {
            list.Warn(
                $"its server has no room for slot {name}", $"all of its max_replication_slots are taken: {facts.Slots.Count}",
                "Raise max_replication_slots, and restart the server; or drop a slot that nobody needs.");
        }
        else if (!isFollowed && facts.Shown["archive_mode"] == "off")
        {
            list.Warn(
                "nobody keeps its log between two base backups",
                $"slot {name} is not there, archive_mode is off, wal_keep_size is {facts.Shown["wal_keep_size"]}{Rate(facts)}",
                "Start 'salvor daemon', which makes the slot. A wal_keep_size would have to last for each time that nobody follows.");
        }
        else
        {
            list.Ok($"slot {name} is not there yet", "the daemon makes it");
        }
    }

    static void JudgeOthers(ClusterFacts facts, CheckList list)
    {
        foreach (var slot in facts.Slots.Where(slot => !slot.IsActive && slot.Name != facts.Source.Slot))
        {
            list.Warn(
                $"slot {slot.Name} of somebody else is not read from", Kept(slot),
                $"Start who reads from it, or drop it: SELECT pg_drop_replication_slot('{slot.Name}');");
        }
    }

    static string Kept(SlotFacts slot) =>
        $"it keeps {SizeText.Format(slot.HeldBytes)}{(slot.Status.Length > 0 ? $", wal_status {slot.Status}" : "")}";

    static void JudgeArchiver(ClusterFacts facts, CheckList list)
    {
        // A standby archives where it always does.
        var mode = facts.Shown["archive_mode"];
        if (facts is not { Archiver: { } archiver } || mode == "off" || (mode == "on" && facts.Standby is not null))
        {
            return;
        }

        var detail = $"{archiver.Archived} archived{Last(archiver.LastArchived)}; {archiver.Failed} failed{Last(archiver.LastFailed)}";
        if (archiver.Fails)
        {
            list.Fail(
                FailureKind.SourceUnreadable, "its archiver fails, and the server keeps all log meanwhile", detail,
                "The log of the server says what archive_command printed. A file that cannot be archived is tried again.");
        }
        else
        {
            list.Ok("its archiver works", detail);
        }

        if (facts.Shown["archive_timeout"] == "0" && !facts.Slots.Any(slot => slot.Name == facts.Source.Slot && slot.IsActive))
        {
            list.Warn(
                "what it wrote last is archived only when a segment is full",
                "archive_timeout 0, and nobody follows its log: on a quiet server that takes hours",
                "Start 'salvor daemon', which stores it in seconds. Or: ALTER SYSTEM SET archive_timeout = 60; SELECT pg_reload_conf();");
        }
    }

    static string Last((string Name, DateTimeOffset At)? last) =>
        last is var (name, at) ? $", the last is {name} at {InstantText.Format(at)}" : "";
}
