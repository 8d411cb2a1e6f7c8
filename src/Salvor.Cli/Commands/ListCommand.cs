using System.CommandLine;
using System.Runtime.CompilerServices;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Cli.Commands;

static class ListCommand
{
    static readonly VaultOptions Vault = new();
    static readonly Option<bool> Verbose = new("--verbose") { Description = "Also print branches, snapshots and log objects." };

    static readonly Argument<string?> Place = new("BACKUP:/PATH")
    {
        Description = "Of files: what is at this path in a backup, named by its id, label, a time, or 'latest'.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    public static Command Create()
    {
        var command = new Command("list", "Print what can be restored: spans of restore points, and backups, in UTC.") { Verbose };
        ListFilter.AddTo(command);
        Vault.AddTo(command);
        command.Add(Place);
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        if (TreeVerbs.IsPlace(invocation.Get(Place) ?? invocation.Get(Vault.Source)) is { } place)
        {
            return await TreeListRun.RunAsync(invocation, Vault, place);
        }

        var (vault, _) = await Vault.FindAsync(invocation);
        if (vault is null)
        {
            throw new SalvorException(
                FailureKind.NotRestorable,
                "nothing is backed up yet at any destination of this source",
                "Start 'salvor daemon', then try again.");
        }

        var head = await Heads.FindAsync(vault, invocation.Cancellation);
        var (catalog, spans) = await FreshListing.UseAsync(vault, FindAsync, invocation.Cancellation);
        var (cluster, newest) = vault.Identity.IsPostgres ? await ClusterListing.OfAsync(invocation, catalog) : default;
        var document = new ListDocument(
            vault.Identity.Source,
            vault.Identity.Path,
            vault.Location,
            newest ?? RestoreTargets.CompleteAsOf(
                spans.Count == 0 ? null : new RestorePoint(spans[^1].Branch, spans[^1].Last, spans[^1].To), head),
            [.. ListFilter.Spans(invocation, spans, span => (span.From, span.To)).Select(Body)],
            [.. catalog.Branches.Select(branch => Body(catalog, branch))],
            await ListFilter.Backups(invocation, BackupsAsync(catalog, invocation.Cancellation)).ToListAsync(invocation.Cancellation))
        {
            Cluster = cluster,
        };
        if (ListFilter.Template(invocation) is { } template)
        {
            document.Backups.ToList().ForEach(backup => invocation.Print(template(backup)));
        }
        else
        {
            Print(invocation, document, catalog, spans.Count);
        }

        invocation.PrintJson(document, () => CliJson.Default.ListDocument);
        return 0;

        // Of files backups alone are restore points.
        async Task<(VaultCatalog Catalog, IReadOnlyList<RestoreSpan> Spans)> FindAsync(VaultCatalog listed) =>
            (listed, listed.Vault.Identity.IsTree ? [] : await RestoreSpans.FindAsync(listed, invocation.Cancellation));
    }

    /// <summary>The newest first.</summary>
    static async IAsyncEnumerable<BackupBody> BackupsAsync(
        VaultCatalog catalog, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var id in catalog.Backups.Reverse())
        {
            var record = await Backups.ReadAsync(catalog, id, cancellationToken);
            yield return new BackupBody(
                record.Id, record.Mode, record.Label, record.Time, record.CreatedAt, record.Branch, record.Position, record.SizeBytes,
                record.AddedBytes, record.RetentionDays);
        }
    }

    static SpanBody Body(RestoreSpan span) =>
        new(span.Branch, span.First.Value, span.Last.Value, span.From, span.To, Name(span.Granularity), span.BeginsWith);

    static string Name(Granularity granularity) => granularity switch
    {
        Granularity.Commits => "commits",
        Granularity.Minutes => "minutes",
        Granularity.Hours => "hours",
        Granularity.Days => "days",
        _ => "longer",
    };

    static string Describe(string granularity) => granularity switch
    {
        "commits" => "every commit",
        "minutes" => "the last of each minute",
        "hours" => "the last of each hour",
        "days" => "the last of each day",
        _ => "more than a day apart",
    };

    static BranchBody Body(VaultCatalog catalog, Branch branch)
    {
        var logs = catalog.Logs(branch.Number);
        return new BranchBody(
            branch.Number, branch.Record.Parent, branch.Record.ForkPosition, branch.Record.Reason, (ulong)logs.Entries.Count,
            [.. catalog.Snapshots.Where(snapshot => snapshot.Branch == branch.Number).Select(snapshot => snapshot.Position.Value)],
            logs.Missing);
    }

    static void Print(Invocation invocation, ListDocument document, VaultCatalog catalog, int spanCount)
    {
        var isTree = catalog.Vault.Identity.IsTree;
        var path = isTree ? "" : $" ({document.Path})";
        invocation.Print($"{document.Source}{path} at {document.Location}");
        if (isTree && catalog.Backups.Count == 0)
        {
            invocation.Print("no backups yet: 'salvor backup' makes one");
        }

        if (!isTree && spanCount == 0)
        {
            invocation.Print("no restore points yet: the first full copy is not complete");
        }

        foreach (var span in document.Spans)
        {
            var after = span.BeginsWith.Length == 0 ? "" : $"  after: {span.BeginsWith}";
            invocation.Print(
                $"  {InstantText.Format(span.From)} {Symbols.Arrow} {InstantText.Format(span.To)}"
                    + $"  positions {span.FromPosition}{Symbols.Dash}{span.ToPosition}"
                    + $"  {Describe(span.Granularity)}  branch {span.Branch}{after}");
        }

        if (document.Cluster is { } cluster)
        {
            ClusterListing.Print(invocation, cluster);
        }

        foreach (var backup in document.Backups)
        {
            var log = document.Cluster?.Backups.FirstOrDefault(item => item.Id == backup.Id);
            invocation.Print(
                $"  backup {backup.Id}  {InstantText.Format(backup.Timestamp)}  {backup.Type}  "
                    + $"{SizeText.Format(backup.SizeBytes)}, {SizeText.Format(backup.AddedBytes)} added  "
                    + (backup.Label.Length == 0 ? "-" : backup.Label)
                    + (backup.RetentionDays is { } days ? $"  for {days} days" : "")
                    + (log is null ? "" : $"  log {log.LogFrom}{Symbols.Dash}{log.LogTo} of timeline {log.Timeline}"));
        }

        if (document.CompleteAsOf is { } complete)
        {
            invocation.Print($"complete as of {InstantText.Format(complete)}");
        }

        if (!invocation.Get(Verbose))
        {
            return;
        }

        foreach (var branch in document.Branches)
        {
            var parent = branch.Parent == 0 ? "" : $", left branch {branch.Parent} after position {branch.ForkPosition}: {branch.Reason}";
            invocation.Print($"branch {branch.Branch}{parent}");
            invocation.Print($"  log objects: {branch.LogObjects}, snapshots at: {string.Join(", ", branch.SnapshotPositions)}");
            foreach (var number in branch.MissingLogObjects)
            {
                invocation.Print($"  missing: log object {number}");
            }
        }
    }
}
