using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Health;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Cli.Commands;

/// <summary>How a source fares, for people.</summary>
static class StatusText
{
    public static void Print(Invocation invocation, SourceHealth health)
    {
        var pid = health.Pid is { } known ? $"  pid {known}" : "";
        invocation.Print($"{health.Source}  {HealthJudge.NameOf(health.State)}{pid}");
        if (health.Last is { } last)
        {
            invocation.Print($"  {last.Path} {Symbols.Arrow} {last.Destination}");
            PrintPosition(invocation, health, last);
            PrintWaiting(invocation, last);
            PrintCopies(invocation, health, last.Copies);
            PrintProof(invocation, health);
            PrintBackup(invocation, health, last);
            PrintPruned(invocation, health);
            PrintNext(invocation, health);
            if (last.CopyTotalBytes > 0)
            {
                invocation.Print($"  copied {SizeText.Format(last.CopiedBytes)} of {SizeText.Format(last.CopyTotalBytes)}");
            }
        }
        else if (health.HasSnapshotsOnly)
        {
            PrintSnapshots(invocation, health);
        }
        else if (health.State == HealthState.Unprotected)
        {
            var obstacle = health.Detail.Length > 0 ? $"; {health.Detail}" : "";
            invocation.Print($"  {health.Path}: never replicated from here{obstacle}");
            return;
        }

        if (health.Detail.Length > 0)
        {
            invocation.Print($"  {health.Detail}");
            invocation.Print($"  hint: {health.Hint}");
        }
    }

    static void PrintSnapshots(Invocation invocation, SourceHealth health)
    {
        invocation.Print($"  {health.Path}{(health.Backup is null ? ": never backed up from here" : "")}");
        if (health.Backup is { BackupAt: { } at } backup)
        {
            invocation.Print(
                $"  backup {backup.BackupId} {Age(health, at)} ago: {SizeText.Format(backup.SizeBytes)}, "
                    + $"{SizeText.Format(backup.AddedBytes)} added, in {backup.DurationSeconds:0.###} s"
                    + (backup.PartialFiles > 0 ? $"; without {backup.PartialFiles} name(s) that could not be read" : ""));
        }

        if (health.Backup?.Anomaly is { } anomaly)
        {
            invocation.Print($"  backup {anomaly.BackupId} looks as if ransomware had been there: {anomaly.Text}");
            invocation.Print($"  hint: {anomaly.Hint(health.Source)}");
        }

        PrintFollowed(invocation, health);
        PrintCopies(invocation, health, health.Copies);
        PrintProof(invocation, health);
        PrintPruned(invocation, health);
        PrintNext(invocation, health);
    }

    static void PrintFollowed(Invocation invocation, SourceHealth health)
    {
        if (health.Followed is not { } followed)
        {
            return;
        }

        var lag = health.Lag is { } known ? $", lag {known.TotalSeconds:0.###} s" : "";
        var at = followed.PublishedAt is { } published ? $" {Age(health, published)} ago" : "";
        invocation.Print(
            $"  log of timeline {followed.Timeline} of {followed.Server} is stored up to {followed.Published}{at}; the server has "
                + $"{followed.ServerEnd}{lag}");
        invocation.Print(
            $"  slot {followed.Slot}{(followed.Connected ? "" : ", not connected")}; {SizeText.Format(followed.SpoolBytes)} on this machine"
                + (followed.Synchronous ? "; commits wait until they are there" : ""));
        foreach (var gap in followed.Gaps)
        {
            invocation.Print($"  warning: the log lacks {gap}: no recovery gets past it");
        }

        if (followed is { Problem.Length: > 0, BackupNeeded: { Length: > 0 } lack })
        {
            invocation.Print($"  warning: {lack}");
        }
    }

    static void PrintPosition(Invocation invocation, SourceHealth health, StatusRecord last)
    {
        if (last.PositionTime is { } time)
        {
            invocation.Print(
                $"  position {last.Position} of {InstantText.Format(time)}, branch {last.Branch}"
                    + (health is { IsUp: true, Lag: { } lag } ? $", lag {lag.TotalSeconds:0.###} s" : ""));
        }
    }

    static void PrintWaiting(Invocation invocation, StatusRecord last)
    {
        if (last.OutboxObjects > 0)
        {
            invocation.Print(
                $"  {last.OutboxObjects} object(s) of {SizeText.Format(last.OutboxBytes)} wait on this machine for the destination"
                    + (last.OutboxObstacle.Length > 0 ? $"; no more can: {last.OutboxObstacle}" : ""));
        }
    }

    static void PrintCopies(Invocation invocation, SourceHealth health, IReadOnlyList<CopyStatus> copies)
    {
        foreach (var copy in copies)
        {
            invocation.Print(
                $"  {(copy.Required ? "required copy" : "copy")} at {copy.Destination}: "
                    + (copy.BehindSince is { } since ? $"behind since {InstantText.Format(since)}" : "complete"));
            if (copy.Lack.Length > 0)
            {
                invocation.Print($"    warning: {copy.Lack}; it is being filled up");
            }

            if (copy.Error.Length > 0)
            {
                invocation.Print($"    {copy.Error}");
                invocation.Print($"    hint: {copy.Hint}");
            }
        }

        foreach (var broken in health.Destinations.Where(item => health.Destinations.Count > 1 && item.Verified == false))
        {
            invocation.Print($"  warning: the last verification found damage at {broken.Name}");
        }
    }

    static void PrintProof(Invocation invocation, SourceHealth health)
    {
        if (health.Verified is not { } verified)
        {
            return;
        }

        var result = verified.Ok ? "ok" : "not ok, run 'salvor verify --deep --full'";
        invocation.Print($"  verified ({verified.Kind}) {Age(health, verified.FinishedAt)} ago: {result}");
        if (health.Drill is { } drill)
        {
            invocation.Print(
                $"  drilled {Age(health, drill.FinishedAt)} ago: {drill.Result.ToString().ToUpperInvariant()}"
                    + (drill.RtoSeconds is { } rto ? $", restored in {rto:0.###} s" : ""));
        }

        if (verified.NotRecovered is { Length: > 0 } lack)
        {
            invocation.Print($"  warning: it was not recovered, so nothing new is proved: {lack}\n  hint: {verified.NotRecoveredHint}");
        }

        if (verified is { Ok: true, Restore.Cluster: { } cluster })
        {
            invocation.Print($"  proved restorable up to {cluster.Replayed}, by PostgreSQL {cluster.Major}");
        }
        else if (verified is { Ok: true, Restore: { } restore })
        {
            invocation.Print($"  proved restorable as of {InstantText.Format(restore.Time)}, position {restore.Position}");
        }
    }

    static void PrintBackup(Invocation invocation, SourceHealth health, StatusRecord last)
    {
        if (last.SnapshotFailure.Length > 0)
        {
            invocation.Print($"  no snapshot was made: {last.SnapshotFailure}");
        }

        if (health.Backup is not { } backup)
        {
            return;
        }

        if (backup.LastSuccessAt is { } success)
        {
            var id = backup.BackupId is { } known ? $", last by request {known} of {InstantText.Format(backup.BackupAt!.Value)}" : "";
            invocation.Print($"  backed up {Age(health, success)} ago, {SizeText.Format(backup.SizeBytes)}{id}");
        }

        if (backup is { Failure.Length: > 0, LastFailureAt: { } failed } && backup.Failure != last.SnapshotFailure)
        {
            invocation.Print($"  warning: a backup failed {Age(health, failed)} ago: {backup.Failure}");
        }
    }

    static void PrintPruned(Invocation invocation, SourceHealth health)
    {
        switch (health.Pruned)
        {
            case null:
                return;
            case { WaitingSince: { } since }:
                if (health.Now - since >= PruneRecord.WaitingMax)
                {
                    invocation.Print(
                        $"  warning: nothing was pruned for {Age(health, since)}, because no deep verification found all well since");
                    invocation.Print(
                        "  hint: Run 'salvor verify --deep': the daemon drops only what is older than a point that is proven.");
                }

                return;
            case { Error.Length: > 0 } failed:
                invocation.Print($"  warning: it was not pruned {Age(health, failed.At)} ago: {failed.Error}");
                invocation.Print($"  hint: {failed.Hint}");
                return;
            case var pruned:
                PrintDone(invocation, health, pruned);
                return;
        }
    }

    static void PrintDone(Invocation invocation, SourceHealth health, PruneRecord pruned)
    {
        invocation.Print($"  pruned {Age(health, pruned.At)} ago");
        if (pruned.RefusedObjects > 0)
        {
            invocation.Print(
                $"  {pruned.RefusedObjects} object(s) not deleted: the destination does not allow it. reported, not done");
        }

        if (pruned.ExcessBytes > 0)
        {
            invocation.Print(
                $"  warning: {SizeText.Format(pruned.ExcessBytes)} above max_total_size, and nothing that may go changes that");
            invocation.Print("  hint: Raise max_total_size, or let 'keep' be shorter.");
        }
    }

    /// <summary>Only what a living daemon will do.</summary>
    static void PrintNext(Invocation invocation, SourceHealth health)
    {
        (string What, DateTimeOffset? By)[] runs =
            [("backup", health.Next.Backup), ("verification", health.Next.Verify), ("prune", health.Next.Prune)];
        string[] known = [.. runs.Where(run => run.By is not null).Select(run => $"{run.What} by {Minute(run.By!.Value)}")];
        if (known.Length > 0 && health.IsUp)
        {
            invocation.Print($"  next: {string.Join(", ", known)}");
        }
    }

    /// <summary>As short as three of them fit into a line.</summary>
    static string Minute(DateTimeOffset time) => $"{time.UtcDateTime:yyyy-MM-dd'T'HH:mm'Z'}";

    static string Age(SourceHealth health, DateTimeOffset time) =>
        DurationText.FormatShort(TimeSpan.FromSeconds(Math.Max(0, Math.Round((health.Now - time).TotalSeconds))));
}
