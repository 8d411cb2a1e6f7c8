using Salvor.Cli.Terminal;
using Salvor.Postgres.Restore;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Cli.Commands;

/// <summary>What a cluster can be recovered to, as <c>salvor list</c> prints it.</summary>
static class ClusterListing
{
    /// <summary>The windows that are asked for, with the names in them; and the time of the newest transaction of all.</summary>
    public static async Task<(ClusterListBody? Body, DateTimeOffset? CompleteAsOf)> OfAsync(
        Invocation invocation, VaultCatalog listed)
    {
        var catalog = await WalCatalog.LoadAsync(listed.Vault, invocation.Cancellation);
        var backups = await ClusterBackup.AllAsync(
            listed, e => invocation.Tell($"warning: {e.Message}. hint: Run 'salvor repair' where another destination has it."),
            invocation.Cancellation);
        var all = await RecoveryWindows.FindAsync(catalog, backups, invocation.Cancellation);
        List<RecoveryWindow> windows = [.. ListFilter.Spans(invocation, all, window => (window.Since, window.Until))];
        var points = new List<RestorePointBody>();
        foreach (var window in windows)
        {
            var names = await RecoveryWindows.NamesAsync(catalog, window, invocation.Cancellation);
            points.AddRange(names.Select(name => new RestorePointBody(
                name.Name, window.Timeline, name.Point.End.ToString(), Micros.ToTime(name.Point.TimeMicros))));
        }

        var timelines = catalog.Branches.ToDictionary(branch => branch.Number, branch => WalBranches.HistoryOf(branch).Timeline);
        var body = new ClusterListBody(
            [.. windows.Select(window => new WindowBody(
                window.Timeline, window.From.ToString(), window.To.ToString(), window.Since, window.Until, window.Backups))],
            points,
            [.. backups.Where(backup => timelines.ContainsKey(backup.Branch)).Select(backup => new BackupLogBody(
                backup.Id, timelines[backup.Branch], backup.Log.First.ToString(), backup.Log.End.ToString()))]);
        return (body, all.Count == 0 ? null : all[^1].Until);
    }

    public static void Print(Invocation invocation, ClusterListBody cluster)
    {
        WindowBody? before = null;
        foreach (var window in cluster.Windows)
        {
            if (before?.Timeline == window.Timeline)
            {
                invocation.Print($"  missing: log of timeline {window.Timeline} from {before.ToAddress} on; no moment up to the next line");
            }

            invocation.Print(
                $"  {InstantText.Format(window.From)} {Symbols.Arrow} {InstantText.Format(window.To)}  timeline {window.Timeline}  "
                    + $"{window.FromAddress}{Symbols.Dash}{window.ToAddress}  "
                    + $"{(window.Backups.Count == 1 ? "backup" : "backups")} {string.Join(", ", window.Backups)}");
            before = window;
        }

        foreach (var point in cluster.RestorePoints)
        {
            invocation.Print(
                $"  restore point '{point.Name}'  {InstantText.Format(point.Time)}  timeline {point.Timeline}  {point.Address}");
        }
    }
}
