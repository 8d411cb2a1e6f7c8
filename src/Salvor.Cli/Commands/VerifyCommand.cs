using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Sqlite;
using Salvor.Sqlite.Verify;
using Salvor.Text;
using Salvor.Vault.Verify;

namespace Salvor.Cli.Commands;

static class VerifyCommand
{
    static readonly VaultOptions Vault = new();
    static readonly Option<bool> Quick = new("--quick") { Description = "Listing, headers, details and lineage only." };
    static readonly Option<bool> Deep = new("--deep")
    {
        Description = "Restore into scratch and let SQLite or PostgreSQL check it; with the image of the last time, only what is new.",
    };

    static readonly Option<bool> Full = new("--full")
    {
        Description = "With --deep: read every object, and restore from nothing with the full check.",
    };

    static readonly Option<bool> Live = new("--live")
    {
        Description = "Compare the pages of the running database with the vault, at one commit.",
    };

    static readonly Option<string?> SampleOption = new("--sample")
    {
        Description = "Read only so much: 5% of the objects, 1/7 (the first of seven parts), or about 50M.", HelpName = "HOW-MUCH",
    };

    static readonly Option<string?> Timestamp = new("--timestamp")
    {
        Description = "With --deep: restore the last commit at or before this time.", HelpName = "TIME",
    };

    static readonly Option<string?> PositionOption = new("--position")
    {
        Description = "With --deep or --data-dir: exactly this position.", HelpName = "N",
    };

    static readonly Option<int?> BackupId = TypedOptions.Number(
        "--backup-id", 1, int.MaxValue, "With --deep or --data-dir: the restore point of this backup.");

    static readonly Option<int?> BranchOption = TypedOptions.Number("--branch", 1, 999_999, "The branch (default: the newest).");
    static readonly Option<string?> DataDirectory = new("--data-dir")
    {
        Description = "Compare a restored database with the vault, page by page.", HelpName = "FILE",
    };

    /// <summary>Where vaults are read from; empty where the configuration says that.</summary>
    public static Option<string[]> From => Vault.From;

    public static Command Create()
    {
        var command = new Command("verify", "Check every object at every destination, and prove that it can be restored.")
        {
            Quick, Deep, Full, Live, SampleOption, BackupId, Timestamp, PositionOption, BranchOption, DataDirectory,
        };
        Vault.AddTo(command);
        return command.WithWatchedAction(RunAsync, IsWhole);
    }

    /// <summary>Whether it is what a scheduler runs: one that reads less proves less.</summary>
    static bool IsWhole(Invocation invocation) => !Vault.IsFromGiven(invocation)
        && !((Option[])[Quick, SampleOption, BackupId, Timestamp, PositionOption, BranchOption, DataDirectory]).Any(invocation.Has);

    static async Task<int> RunAsync(Invocation invocation)
    {
        CheckOptions(invocation);
        if (invocation.Get(DataDirectory) is { } file)
        {
            return await DataFileCheck.RunAsync(invocation, Vault, Path.GetFullPath(file), Point(invocation));
        }

        var records = new List<VerifyRecord>();
        foreach (var target in await VerifyTarget.FindAsync(invocation, Vault))
        {
            records.Add(await RunAsync(invocation, target));
        }

        var (ok, isDone) = (records.All(record => record.Ok), records.All(record => record.NotRecovered.Length == 0));
        invocation.PrintJson(new VerifyDocument(records, ok && isDone), () => CliJson.Default.VerifyDocument);
        return !ok ? (int)FailureKind.Integrity : isDone ? 0 : (int)FailureKind.Failure;
    }

    static void CheckOptions(Invocation invocation)
    {
        var deep = invocation.Get(Deep);
        if (invocation.Get(Quick) && (deep || invocation.Get(SampleOption) is not null))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--quick' excludes '--deep' and '--sample'", "Leave '--quick' out: it reads the least.");
        }

        if (invocation.Get(Live) && (deep || invocation.Get(Quick) || invocation.Get(SampleOption) is not null))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--live' compares the source, and reads no objects", "Run 'salvor verify' a second time for the rest.");
        }

        if (invocation.Get(Full) && !deep)
        {
            throw new SalvorException(
                FailureKind.Usage, "'--full' is for a deep verification", "Write 'salvor verify --deep --full'.");
        }

        if (!deep && invocation.Get(DataDirectory) is null && Point(invocation) != new RestoreRequest(null, null, null))
        {
            throw new SalvorException(
                FailureKind.Usage,
                "a point is verified by restoring it",
                "Add '--deep' to '--backup-id', '--position', '--timestamp' or '--branch'.");
        }
    }

    static RestoreRequest Point(Invocation invocation) => RestorePoints.Request(
        invocation, BackupId, BranchOption, Timestamp, PositionOption);

    static async Task<VerifyRecord> RunAsync(Invocation invocation, VerifyTarget target)
    {
        if (invocation.Get(Live))
        {
            var compared = await LiveCheck.RunAsync(
                invocation, target, () => SyncCommand.SyncAsync(invocation, target.Name, target.Path, invocation.Cancellation));
            target.Write(compared);
            Print(invocation, compared);
            return compared;
        }

        using var progress = new ProgressLine(invocation, target.Name);
        var request = new VerifyRequest
        {
            Options = new VerifyOptions
            {
                // A restore reads what it needs; every object is read where that is asked for.
                Quick = invocation.Get(Quick) || (invocation.Get(Deep) && !invocation.Get(Full)),
                Sample = invocation.Get(SampleOption) is { } sample ? Sample.Parse(sample, invocation.Random) : Sample.All,
                Progressed = progress.Reporter,
            },
            Deep = invocation.Get(Deep)
                ? new DeepOptions
                {
                    ImagePath = target.ImagePath(), KeepImage = target.KeepsImage, Full = invocation.Get(Full),
                    Progressed = progress.Reporter,
                }
                : null,
            Point = Point(invocation),
            Role = target.Role,
            ScratchRoot = target.ScratchRoot,
        };
        var record = await new SourceVerification(target.Name, target.Copies, invocation.Time)
            .RunAsync(request, invocation.Cancellation);
        progress.Dispose();
        target.Write(record);
        Print(invocation, record);
        return record;
    }

    static void Print(Invocation invocation, VerifyRecord record)
    {
        foreach (var destination in record.Destinations.Where(item => !item.Ok))
        {
            foreach (var finding in destination.Findings)
            {
                var where = finding.Key.Length == 0 ? "" : $"{finding.Key} at {destination.Destination}: ";
                ErrorStream.WriteLine($"salvor: {where}{finding.Message} ({finding.Layer}); {finding.Consequence}\nhint: {finding.Hint}");
            }

            if (destination.FindingCount > destination.Findings.Count)
            {
                ErrorStream.WriteLine(
                    $"salvor: {destination.FindingCount - destination.Findings.Count} more at {destination.Destination}\n"
                        + $"hint: Run 'salvor verify {record.Source}' again when these are healed.");
            }
        }

        var seconds = Math.Max(0, (record.FinishedAt - record.StartedAt).TotalSeconds);
        if (record is { Kind: "live", Ok: true })
        {
            invocation.Print($"{Symbols.Ok} {record.Source} is position {record.Position} of its vault, page by page");
        }

        foreach (var destination in record.Destinations.Where(_ => record.Kind != "live"))
        {
            invocation.Print(
                $"{(destination.Ok ? Symbols.Ok : "[damaged]")} {record.Source} at {destination.Destination}: "
                    + $"{destination.Objects} object(s), {destination.RestorePoints} restore point(s) "
                    + $"up to position {destination.Position}, "
                    + (destination.Ok ? "no damage found" : $"{destination.FindingCount} finding(s)"));
        }

        PrintCluster(invocation, record);
        if (record.Restore is { Cluster: null } restore)
        {
            var how = restore.FromImage ? "the log since the last time" : "everything";
            invocation.Print(
                $"{Symbols.Ok} position {restore.Position} of {InstantText.Format(restore.Time)} was restored from {how} and passes "
                    + $"{restore.Check} ({SizeText.Format(restore.SizeBytes)}, {restore.Seconds:0.###} s)");
            if (restore.DiscardedImage.Length > 0)
            {
                invocation.Print($"the proven image of the last time was thrown away: {restore.DiscardedImage}");
            }
        }

        invocation.Print($"{record.Kind}: {SizeText.Format(record.Bytes)} read in {seconds:0.###} s");
    }

    static void PrintCluster(Invocation invocation, VerifyRecord record)
    {
        foreach (var destination in record.Destinations)
        {
            foreach (var gap in destination.Gaps)
            {
                invocation.Print($"gap: {gap} is not at {destination.Destination}, and no recovery gets past it");
            }
        }

        foreach (var window in record.Windows ?? [])
        {
            invocation.Print($"can be recovered to: {window}");
        }

        if (record.Windows is { Count: 0 })
        {
            invocation.Print("can be recovered to: nothing");
        }

        if (record.NotRecovered.Length > 0)
        {
            ErrorStream.WriteLine(
                $"salvor: every chunk of a base backup of {record.Source} was read, and it was not recovered, so nothing proves that it "
                    + $"can be: {record.NotRecovered}\nhint: {record.NotRecoveredHint}");
        }

        if (record.Restore is { Cluster: { } cluster } restore)
        {
            var last = cluster.LastCommit is { } time ? $", the last of {InstantText.Format(time)}" : "";
            var check = restore.Check == "pg_amcheck" ? "checked with pg_amcheck"
                : $"all of it read by {restore.Check}, because pg_amcheck and its extension cannot be used here";
            invocation.Print(
                $"{Symbols.Ok} recovered to {cluster.Replayed} of timeline {cluster.Timeline} by PostgreSQL {cluster.Major} from backup "
                    + $"{cluster.BackupId}: {cluster.Transactions} transaction(s) of its log{last}, {check} "
                    + $"({SizeText.Format(restore.SizeBytes)}, {restore.Seconds:0.###} s)");
        }
    }
}
