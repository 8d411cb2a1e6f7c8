using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Jobs.Doctor;

/// <summary>Judges whether a database is served, verified and pruned on this machine.</summary>
static class DaemonChecks
{
    /// <summary>A verification that is due now has not failed yet.</summary>
    const int VerifyPeriodsMax = 2;

    public static IReadOnlyList<Check> Judge(DaemonFacts facts, DateTimeOffset now)
    {
        var list = new CheckList("daemon", facts.Source);
        if (facts.Failure is { } failure)
        {
            list.Unknown("whether a daemon serves it", failure.Message, failure.Hint);
            return list.Checks;
        }

        JudgeHolder(facts, list);
        JudgeState(facts, list);
        JudgeCopies(facts, list);
        JudgeVerified(facts, now, list);
        JudgePruned(facts, now, list);
        return list.Checks;
    }

    static void JudgeHolder(DaemonFacts facts, CheckList list)
    {
        const string Start = "Start 'salvor daemon' (before a restore in place it may stay stopped).";
        if (facts.Holder is not { } holder)
        {
            list.Warn(
                facts.IsFromTheDead ? "its daemon ended without saying so" : "no daemon serves it",
                facts.Last is { } last
                    ? $"pid {last.Pid} wrote last at {InstantText.Format(last.UpdatedAt)}: {last.State}"
                    : "none ever did on this machine, or its state is elsewhere",
                facts.IsFromTheDead ? $"{Start} Its log, or 'journalctl -u salvor', says why." : Start);
            return;
        }

        var who = $"pid {holder.Pid} of {holder.User} on {holder.Host} since {InstantText.Format(holder.Since)}, version {holder.Version}";
        if (!facts.Responds)
        {
            list.Fail(
                FailureKind.Unhealthy, "its daemon does not respond", who,
                $"kill -CONT {holder.Pid}   (or 'kill -KILL {holder.Pid}' and start it again: it catches up)");
        }
        else if (holder.Version != LocalState.Version)
        {
            list.Warn(
                "its daemon runs another version", $"{who}; this is {LocalState.Version}", "Restart the daemon after an update.");
        }
        else
        {
            list.Ok("a daemon serves it", who);
        }
    }

    static void JudgeState(DaemonFacts facts, CheckList list)
    {
        if (facts is { Holder: not null, Last: { State: "behind" or "backing_off" or "failing" or "awaiting_export" } last })
        {
            list.Warn($"its daemon is {last.State.Replace('_', ' ')}", last.Detail, last.Hint);
        }

        if (facts.Last is { OutboxObstacle.Length: > 0 } full)
        {
            list.Warn(
                "nothing more can wait for its destination", full.OutboxObstacle,
                "Make room in the folder of local state, or raise 'max_outbox'.");
        }
    }

    static void JudgeCopies(DaemonFacts facts, CheckList list)
    {
        foreach (var copy in facts.Holder is null ? [] : facts.Last?.Copies ?? [])
        {
            var name = copy.Name.Length > 0 ? copy.Name : copy.Destination;
            if (copy.Error.Length > 0)
            {
                list.Warn($"its daemon cannot copy to {name}", copy.Error, copy.Hint);
            }
            else if (copy.Lack.Length > 0)
            {
                list.Warn($"its daemon fills {name} up", copy.Lack, "Let it run: 'salvor status' says when that is done.");
            }
        }
    }

    static void JudgeVerified(DaemonFacts facts, DateTimeOffset now, CheckList list)
    {
        var verify = $"salvor verify {facts.Source} --deep";
        if (facts.Verified is not { } verified)
        {
            list.Warn("it was never verified from here", "nothing proves that a restore works", verify);
            return;
        }

        var age = now - verified.FinishedAt;
        var detail = $"{verified.Kind}, {VaultChecks.Age(age)} ago"
            + (verified.Restore is { } restore ? $"; restored and checked position {restore.Position} of {InstantText.Format(restore.Time)}"
                : facts.DrilledAt is { } drilled ? $"; a drill passed {VaultChecks.Age(now - drilled)} ago"
                : "; nothing was ever restored")
            + (verified.NotRecovered is { Length: > 0 } lack ? $": {lack}" : "");
        if (!verified.Ok)
        {
            list.Fail(
                FailureKind.Integrity, "its last verification found damage or failed",
                verified.Error.Length > 0 ? $"{detail}: {verified.Error}" : detail,
                $"salvor verify {facts.Source}   (names what is damaged), then 'salvor repair {facts.Source}'");
        }
        else if (age > VerifyPeriodsMax * (facts.VerifyEvery ?? Config.VerifyConfig.EveryDefault))
        {
            list.Warn("its last verification is old", detail, verify);
        }
        else if (verified.Restore is null && facts.DrilledAt is null)
        {
            list.Warn("it was verified, and never restored", detail, verify);
        }
        else
        {
            list.Ok("its last verification found all well", detail);
        }
    }

    static void JudgePruned(DaemonFacts facts, DateTimeOffset now, CheckList list)
    {
        if (facts.Pruned is not { } pruned)
        {
            return;
        }

        if (pruned.WaitingSince is { } since && now - since >= PruneRecord.WaitingMax)
        {
            list.Warn(
                "nothing is pruned, because nothing is proven", $"for {VaultChecks.Age(now - since)}",
                $"salvor verify {facts.Source} --deep");
        }
        else if (pruned.Error.Length > 0)
        {
            list.Warn("its last prune failed", pruned.Error, pruned.Hint);
        }
        else if (pruned.ExcessBytes > 0)
        {
            list.Warn(
                "its vault is above max_total_size", SizeText.Format(pruned.ExcessBytes),
                "Raise max_total_size, or let 'keep' be shorter.");
        }
        else
        {
            list.Ok(
                "it is pruned", $"{VaultChecks.Age(now - pruned.At)} ago"
                    + (pruned.RefusedObjects > 0 ? $"; {pruned.RefusedObjects} object(s) may not be deleted: reported, not done" : ""));
        }
    }
}
