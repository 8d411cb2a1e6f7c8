using Salvor.Text;
using Salvor.Vault.Keys;

namespace Salvor.Jobs.Doctor;

/// <summary>Judges a vault: whether its newest restore point can be restored, as far as that shows without doing it.</summary>
static class VaultChecks
{
    /// <summary>What is on its way is no gap.</summary>
    static readonly TimeSpan LagForgiven = TimeSpan.FromMinutes(2);

    /// <param name="facts">The vault.</param>
    /// <param name="source">The database on this machine; null where it is not configured here.</param>
    /// <param name="last">What a daemon wrote of the source on this machine; null where there is nothing.</param>
    /// <param name="isElsewhere">Whether another destination has a vault of the source.</param>
    /// <param name="now">The time now.</param>
    public static IReadOnlyList<Check> Judge(
        VaultFacts facts, SourceFacts? source, StatusRecord? last, bool isElsewhere, DateTimeOffset now)
    {
        var list = new CheckList("vault", facts.Source);
        if (facts.IsLate)
        {
            list.Unknown(
                $"whether {facts.Destination} can restore it", "there was no time to look",
                $"salvor doctor {facts.Source} --destination {facts.Destination}");
        }
        else if (!facts.Exists)
        {
            JudgeAbsent(facts, last, isElsewhere, list);
        }
        else if (facts.Failure is KeyException)
        {
            // The key has a line of its own, and nothing else can be said of what it does not open.
            return [];
        }
        else if (facts.Failure is { } failure)
        {
            list.Fail($"{facts.Destination} cannot restore its newest point", failure);
        }
        else
        {
            JudgeIdentity(facts, source, list);
            JudgeNewest(facts, source, now, list);
        }

        JudgeHoles(facts, list);
        return list.Checks;
    }

    static void JudgeAbsent(VaultFacts facts, StatusRecord? last, bool isElsewhere, CheckList list)
    {
        var wrote = last is { Position: > 0 } && facts.Location.StartsWith(last.Destination.Split('?')[0], StringComparison.Ordinal);
        if (wrote)
        {
            list.Fail(
                FailureKind.DestinationUnreachable, $"the vault that was at {facts.Destination} is gone",
                $"{facts.Location}; a daemon stored position {last!.Position} there",
                "Mount the disk that it is on ('findmnt' shows what is mounted), or correct where the destination points to.");
        }
        else if (isElsewhere)
        {
            list.Warn(
                $"{facts.Destination} has no copy yet", facts.Location,
                $"Let 'salvor daemon' run, or make it now: 'salvor repair {facts.Source}'.");
        }
        else
        {
            list.Warn(
                $"nothing is backed up at {facts.Destination} yet", facts.Location,
                "Start 'salvor daemon', then check with 'salvor status' that its first copy is made.");
        }
    }

    /// <summary>The vault says of what it is; the writer refuses one that is of something else, and so does this.</summary>
    static void JudgeIdentity(VaultFacts facts, SourceFacts? source, CheckList list)
    {
        var identity = facts.Vault!.Identity;
        if (source is not null && (identity.Kind != "sqlite" || identity.Path != source.Path))
        {
            list.Fail(
                FailureKind.Usage,
                $"the vault at {facts.Destination} is of {identity.Kind} {identity.Path}",
                $"{facts.Location}; this source is {source.Path}, so nothing is written there",
                "Correct 'path' of the source, or give it another name.");
        }
    }

    static void JudgeNewest(VaultFacts facts, SourceFacts? source, DateTimeOffset now, CheckList list)
    {
        if (facts is not { Newest: { } newest, Plan: { } plan })
        {
            list.Warn(
                $"{facts.Destination} has no restore point yet", $"{facts.Location}: the first full copy is not finished",
                "Let 'salvor daemon' finish it: 'salvor status' shows how far it is.");
            return;
        }

        var complete = facts.CompleteAsOf ?? newest.Time;
        list.Ok(
            $"{facts.Destination} can restore position {newest.Position} of {InstantText.Format(newest.Time)}",
            $"complete as of {InstantText.Format(complete)}; one snapshot and {plan.LogObjectCount} log object(s), "
                + $"{facts.Backups} backup(s), {SizeText.Format(facts.DatabaseBytes)}");
        if (source is { Exists: true } && source.ChangedAt > complete + LagForgiven && now > complete + LagForgiven)
        {
            list.Warn(
                $"the database changed since {facts.Destination} was complete",
                $"at {InstantText.Format(source.ChangedAt)}, {Age(source.ChangedAt - complete)} later",
                "Start 'salvor daemon': it catches up. 'salvor status' says why it does not, where it runs.");
        }
    }

    static void JudgeHoles(VaultFacts facts, CheckList list)
    {
        foreach (var (branch, number) in facts.Failure is null ? facts.Holes : [])
        {
            list.Fail(
                FailureKind.Integrity, $"branch {branch} at {facts.Destination} misses log object {number}", facts.Location,
                $"salvor repair {facts.Source}   (from another copy), then 'salvor verify {facts.Source}' says what is lost.");
        }
    }

    /// <summary>Whether all copies go equally far.</summary>
    public static IReadOnlyList<Check> JudgeCopies(string source, IReadOnlyList<VaultFacts> copies)
    {
        var list = new CheckList("vault", source);
        VaultFacts[] usable = [.. copies.Where(copy => copy is { Newest: not null, Failure: null })];
        if (copies.Count < 2 || usable.Length == 0)
        {
            return list.Checks;
        }

        var best = usable.MaxBy(copy => (copy.Newest!.Branch, copy.Newest.Position.Value))!;
        foreach (var other in usable.Where(copy => copy.Vault!.Id != best.Vault!.Id))
        {
            list.Fail(
                FailureKind.Usage, $"{other.Destination} and {best.Destination} hold different vaults",
                $"{other.Vault!.Id}, {best.Vault!.Id}",
                $"Move the older one at {other.Location} away, then 'salvor repair {source}' makes a copy.");
        }

        foreach (var behind in usable.Where(copy => copy.Vault!.Id == best.Vault!.Id && copy.Newest!.Position < best.Newest!.Position))
        {
            list.Warn(
                $"{behind.Destination} is behind {best.Destination}",
                $"position {behind.Newest!.Position} of {best.Newest!.Position}, {Age(best.Newest.Time - behind.Newest.Time)}",
                $"Let 'salvor daemon' run, or bring it up to date now: 'salvor repair {source}'.");
        }

        JudgeBeginnings(source, [.. usable.Where(copy => copy.Vault!.Id == best.Vault!.Id && copy.Oldest is not null)], list);
        if (usable.Length == copies.Count && list.Checks.Count == 0)
        {
            list.Ok($"its {copies.Count} copies go equally far", "the content of each is what 'salvor verify' compares");
        }

        return list.Checks;
    }

    static void JudgeBeginnings(string source, IReadOnlyList<VaultFacts> copies, CheckList list)
    {
        var oldest = copies.MinBy(copy => copy.Oldest!.Value.Order);
        foreach (var late in copies.Where(copy => copy.Oldest!.Value.Order.CompareTo(oldest!.Oldest!.Value.Order) > 0))
        {
            list.Warn(
                $"{late.Destination} does not go as far back as {oldest!.Destination}",
                $"its first snapshot is of position {late.Oldest!.Value.Position} of branch {late.Oldest.Value.Branch}, "
                    + $"and there is one of position {oldest.Oldest!.Value.Position} of branch {oldest.Oldest.Value.Branch}",
                $"Fill it up: 'salvor repair {source}'.");
        }
    }

    internal static string Age(TimeSpan span) =>
        DurationText.FormatShort(TimeSpan.FromSeconds(Math.Max(0, Math.Round(span.TotalSeconds))));
}
