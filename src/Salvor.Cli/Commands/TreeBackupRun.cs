using Salvor.Cli.Terminal;
using Salvor.Files;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

/// <summary>A backup of a source of files or of a command, as <c>salvor backup</c> makes it.</summary>
static class TreeBackupRun
{
    /// <summary>How many problems are printed; <c>--json</c> has more.</summary>
    const int ProblemsPrinted = 20;

    /// <param name="invocation">The command line.</param>
    /// <param name="config">The configuration.</param>
    /// <param name="tree">The source.</param>
    /// <param name="wanted">What is asked for.</param>
    /// <param name="verifies">Whether the backup is read back.</param>
    /// <param name="producer">What is kept instead of what the source's command prints.</param>
    public static async Task<int> RunAsync(
        Invocation invocation, SalvorConfig config, TreeSourceConfig tree, BackupRequest wanted, bool verifies,
        StreamProducer? producer = null)
    {
        var started = invocation.Time.GetTimestamp();
        var keys = KeyOptions.Find(invocation, tree);
        using var progress = new ProgressLine(invocation, tree.Name);
        var source = new TreeSource(config, tree, invocation.Time)
        {
            Trigger = StartedBy.Timer() ? RunTrigger.Timer : RunTrigger.Manual,
            Progressed = progress.Reporter,
            Producer = producer,
            Warned = line => invocation.Tell($"warning: {line}"),
        };
        var (result, copies, hook) = await source.BackUpAsync(wanted, keys, invocation.Cancellation);
        if (hook is not null)
        {
            // Now: reading it back may fail, too.
            Verb.PrintError(hook);
        }

        if (verifies)
        {
            progress.Report(new WorkProgress("reading back"));
            var vault = (await Destinations.FindVaultAsync(config, tree.Name, tree.To.Take(1), keys, invocation.Cancellation))!;
            var snapshot = await TreeBackups.OpenAsync(vault, result.Record, invocation.Cancellation);
            await snapshot.ReadAllAsync(invocation.Cancellation);
        }

        progress.Dispose();
        var seconds = Math.Round(invocation.Time.GetElapsedTime(started).TotalSeconds, 3);
        Print(invocation, tree, result, verifies, seconds);
        var failure = FailureOf(tree, result, copies, invocation);
        if (failure is not null)
        {
            Verb.PrintError(failure);
        }

        invocation.PrintJson(DocumentOf(tree, result, verifies, seconds), () => CliJson.Default.BackupDocument);
        var worst = hook is null || failure is { Kind: not FailureKind.Partial } ? failure : hook;
        return worst is null ? 0 : (int)worst.Kind;
    }

    static BackupDocument DocumentOf(TreeSourceConfig tree, TreeBackupResult result, bool verified, double seconds)
    {
        var (backup, totals) = (result.Record, result.Totals);
        return new BackupDocument(
            tree.Name, backup.Id, backup.Label, backup.Mode, backup.Branch, backup.Position, backup.Time, backup.CreatedAt,
            backup.SizeBytes, backup.AddedBytes, backup.Checksum, verified, seconds, backup.RetentionDays)
        {
            Files = new TreeBackupBody(
                totals.Files, totals.Directories, totals.Others, result.FilesRead, result.BytesRead, totals.Unreadable, totals.Changed,
                result.Problems, AnomalyBody.Of(result.Anomaly, tree.Name)),
        };
    }

    static void Print(Invocation invocation, TreeSourceConfig tree, TreeBackupResult result, bool verified, double seconds)
    {
        var (backup, totals) = (result.Record, result.Totals);
        foreach (var problem in result.Problems.Take(ProblemsPrinted))
        {
            invocation.Tell($"warning: {problem}");
        }

        if (result.Problems.Count > ProblemsPrinted)
        {
            invocation.Tell($"warning: and {result.Problems.Count - ProblemsPrinted} more; '--json' has them");
        }

        if (result.Anomaly is { } anomaly)
        {
            invocation.Tell($"warning: backup {backup.Id} of {tree.Name} looks as if ransomware had been there: {anomaly.Text}");
            invocation.Tell($"  hint: {anomaly.Hint(tree.Name)}");
        }

        invocation.Print($"Backup ID: {backup.Id}");
        if (backup.Label.Length > 0)
        {
            invocation.Print($"Label: {backup.Label}");
        }

        if (backup.RetentionDays is { } days)
        {
            invocation.Print($"Kept: for {days} days, until {InstantText.Format(backup.CreatedAt.AddDays(days))}");
        }

        invocation.Print($"Of: {InstantText.Format(backup.Time)}");
        if (tree is FilesSourceConfig)
        {
            invocation.Print($"Names: {totals.Files} file(s), {totals.Directories} directories, {totals.Others} other(s)");
            var others = result.FilesRead < totals.Files ? "; the others are unchanged" : "";
            invocation.Print($"Read: {result.FilesRead} file(s), {SizeText.Format(result.BytesRead)}{others}");
        }

        if (result.HowRead.Length > 0)
        {
            invocation.Print($"Read: {SizeText.Format(result.BytesRead)}, {result.HowRead}");
        }

        invocation.Print($"Size: {SizeText.Format(backup.SizeBytes)}, {SizeText.Format(backup.AddedBytes)} added to the vault");
        if (verified)
        {
            invocation.Print($"{Symbols.Ok} read back and checked: every chunk of it");
        }

        invocation.Print($"Duration: {seconds:0.###}s");
        invocation.Print(result.IsPartial ? "Backup completed, without what is named above" : "Backup completed successfully");
    }

    static SalvorException? FailureOf(
        TreeSourceConfig tree, TreeBackupResult result, IReadOnlyList<TreeCopyFailure> copies, Invocation invocation)
    {
        foreach (var copy in copies.Where(copy => !copy.IsRequired))
        {
            invocation.Tell($"warning: the copy at {copy.Destination} waits for the next backup: {copy.Failure.Message}");
            invocation.Tell($"  hint: {copy.Failure.Hint}");
        }

        if (copies.FirstOrDefault(copy => copy.IsRequired) is { } required)
        {
            return new SalvorException(
                required.Failure.Kind,
                $"backup {result.Record.Id} of {tree.Name} is not at {required.Destination}, which is required: {required.Failure.Message}",
                required.Failure.Hint);
        }

        return result.IsPartial
            ? new SalvorException(
                FailureKind.Partial,
                $"backup {result.Record.Id} of {tree.Name} lacks {result.Totals.Unreadable} name(s) that could not be read, and has "
                    + $"{result.Totals.Changed} file(s) that changed while they were read",
                "Let salvor run as a user who may read them, or leave them out with 'exclude'.")
            : null;
    }
}
