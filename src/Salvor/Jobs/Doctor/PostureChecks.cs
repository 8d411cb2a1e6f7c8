using Salvor.Text;

namespace Salvor.Jobs.Doctor;

/// <summary>
/// Counts 3-2-1-1-0: three copies, on two media, one elsewhere, one that cannot be deleted, no errors. And what else an auditor asks.
/// Nothing of it fails: a backup with less is worth having.
/// </summary>
static class PostureChecks
{
    static readonly TimeSpan ProofMax = TimeSpan.FromDays(31);

    /// <summary>A day, and time for the work.</summary>
    static readonly TimeSpan AgeMax = TimeSpan.FromHours(26);

    public static IReadOnlyList<Check> Judge(PostureFacts facts, DateTimeOffset now)
    {
        var list = new CheckList("posture", facts.Source);
        Count(list, facts.Copies.Count + 1, 3, "copies, with the database", NamesOf(facts), "Add a destination, and name it in 'to'.");
        string[] media =
        [
            .. facts.Copies.Select(PostureFacts.MediumOf)
                .Append(facts.Device is { } device ? $"disk {device >> 32}:{device & 0xffffffff}" : "disk").Distinct(),
        ];
        Count(
            list, media.Length, 2, "media", string.Join(", ", media),
            "Add a destination on another disk, or of another type: 's3', 'sftp', 'azure'.");
        Count(
            list, facts.Copies.Count(copy => copy.IsRemote), 1, "off-site", NamesOf(facts, copy => copy.IsRemote),
            "Add a destination on another machine: 's3', 'sftp', 'azure'.");
        JudgeImmutable(facts, list);
        JudgeErrors(facts, list);
        JudgeHabits(facts, now, list);
        return list.Checks;
    }

    static void Count(CheckList list, int count, int wanted, string what, string detail, string fix)
    {
        if (count >= wanted)
        {
            list.Ok($"{wanted} {what}", $"{count}: {detail}");
        }
        else
        {
            list.Warn($"{wanted} {what}", $"only {count}{(detail.Length == 0 ? "" : ": " + detail)}", fix);
        }
    }

    static string NamesOf(PostureFacts facts, Func<DestinationFacts, bool>? wanted = null) =>
        string.Join(", ", facts.Copies.Where(wanted ?? (_ => true)).Select(copy => copy.Config.Name));

    static void JudgeImmutable(PostureFacts facts, CheckList list)
    {
        const string What = "1 copy that cannot be deleted from here";
        const string Fix =
            "Use credentials that may not delete at one destination, or a bucket with object lock; prunes are reported there.";
        if (facts.Copies.Any(copy => PostureFacts.IsImmutable(copy) == true))
        {
            list.Ok(What, NamesOf(facts, copy => PostureFacts.IsImmutable(copy) == true));
        }
        else if (facts.Copies.Any(copy => PostureFacts.IsImmutable(copy) is null))
        {
            list.Unknown(What, $"{NamesOf(facts, copy => PostureFacts.IsImmutable(copy) is null)} does not say", Fix);
        }
        else
        {
            list.Warn(What, "none: who breaks in here can delete every copy", Fix);
        }
    }

    static void JudgeErrors(PostureFacts facts, CheckList list)
    {
        const string What = "0 errors in the last verification";
        var verify = $"salvor verify {facts.Source} --deep";
        if (facts.Daemon.Verified is not { } verified)
        {
            list.Unknown(What, "it was never verified from here", verify);
        }
        else if (!verified.Ok)
        {
            list.Warn(What, $"{verified.Destinations.Sum(item => item.FindingCount)} found, or it could not be carried out", verify);
        }
        else
        {
            list.Ok(What, verified.Kind);
        }
    }

    static void JudgeHabits(PostureFacts facts, DateTimeOffset now, CheckList list)
    {
        var (restore, finished) = (facts.Daemon.Verified?.Restore, facts.Daemon.Verified?.FinishedAt);

        // When an earlier restore was made is not kept, and it was not before its own point.
        var restored = facts.Daemon.Verified is { Kind: "deep" } deep ? deep.FinishedAt : restore?.Time;
        if (restore is not null && now - restored < ProofMax)
        {
            list.Ok("restored and checked within a month", $"position {restore.Position} of {InstantText.Format(restore.Time)}");
        }
        else if (facts.Daemon.DrilledAt is { } drilled && now - drilled < ProofMax)
        {
            list.Ok("restored and checked within a month", $"a drill passed at {InstantText.Format(drilled)}");
        }
        else
        {
            list.Warn(
                "restored and checked within a month",
                (restored ?? facts.Daemon.DrilledAt) is { } last ? InstantText.Format(last) : "never from here",
                $"salvor verify {facts.Source} --deep   (the daemon does it with 'verify: {{ every: 24h, deep: true }}')");
        }

        if (finished is { } at && now - at < AgeMax)
        {
            list.Ok("verified within 26 hours", InstantText.Format(at));
        }
        else
        {
            list.Warn(
                "verified within 26 hours", finished is { } old ? InstantText.Format(old) : "never from here",
                "Let the daemon do it, and a monitor ask: 'salvor status --check --max-verify-age 26h'.");
        }

        if (facts.IsEncrypted)
        {
            list.Ok("encrypted before it leaves the machine");
        }
        else
        {
            list.Warn(
                "encrypted before it leaves the machine", "no",
                "Add 'encryption: { key_file: FILE }' to a source with a new name: a vault stays what it was made as.");
        }

        if (facts.IsCompressed)
        {
            list.Ok("compressed");
        }
        else
        {
            list.Warn("compressed", "no", "Remove 'compression: none' of the source.");
        }
    }
}
