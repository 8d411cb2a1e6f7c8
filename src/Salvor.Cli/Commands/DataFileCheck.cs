using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Sqlite.Verify;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Cli.Commands;

/// <summary>Compares a restored database with the vault that it came from.</summary>
static class DataFileCheck
{
    const int PagesNamedMax = 20;

    public static async Task<int> RunAsync(Invocation invocation, VaultOptions options, string file, RestoreRequest request)
    {
        var (vault, _) = await options.FindAsync(invocation);
        if (vault is null)
        {
            throw new SalvorException(
                FailureKind.NotRestorable, "nothing is backed up yet of this source", "Name its vault with '--from PATH'.");
        }

        if (!File.Exists(file))
        {
            throw new SalvorException(
                FailureKind.Usage, $"{file} does not exist", "Name the restored database file after '--data-dir'.");
        }

        var (point, pages) = await FreshListing.UseAsync(
            vault, catalog => CompareAsync(catalog, file, request, invocation.Cancellation), invocation.Cancellation);
        if (point is null || pages is null)
        {
            throw new SalvorException(
                FailureKind.Integrity,
                $"{file} is at no restore point of vault {vault.Location}",
                "It was changed since it was restored, or comes from elsewhere. '--position N' names the pages that differ from a point.");
        }

        return Report(invocation, vault, file, point, pages);
    }

    /// <summary>The restore point to compare with, and how the file differs; null where it is at none.</summary>
    static async Task<(RestorePoint? Point, FileDifference? Pages)> CompareAsync(
        VaultCatalog catalog, string file, RestoreRequest request, CancellationToken cancellationToken)
    {
        var planner = new RestorePlanner(catalog);
        var comparison = new FileComparison(catalog, planner);
        request = await RestoreTargets.OfBackupAsync(catalog, request, cancellationToken);
        var point = request == new RestoreRequest(null, null, null)
            ? await comparison.FindAsync(file, cancellationToken)
            : await RestoreTargets.ResolveAsync(catalog, planner, request, cancellationToken);
        return point is null
            ? (null, null)
            : (point, await comparison.CompareAsync(file, request.Branch ?? planner.NewestBranch, point, cancellationToken));
    }

    static int Report(Invocation invocation, VaultAccess vault, string file, RestorePoint point, FileDifference difference)
    {
        var ok = difference.Count == 0;
        invocation.PrintJson(
            new DataFileDocument(
                vault.Identity.Source, file, point.Branch, point.Position.Value, point.Time, ok, difference.PageCount, difference.Pages,
                difference.Count),
            () => CliJson.Default.DataFileDocument);
        if (ok)
        {
            invocation.Print(
                $"{Symbols.Ok} {file} is position {point.Position} of {InstantText.Format(point.Time)}, branch {point.Branch}: "
                    + $"all {difference.PageCount} page(s) match");
            return 0;
        }

        var more = difference.Count > PagesNamedMax ? $" and {difference.Count - PagesNamedMax} more" : "";
        Verb.PrintError(new SalvorException(
            FailureKind.Integrity,
            $"{file} differs from position {point.Position} of vault {vault.Location} in page(s) "
                + string.Join(", ", difference.Pages.Take(PagesNamedMax)) + more,
            "An app that opened it may have changed it; otherwise the disk did: restore it again, and look at 'dmesg'."));
        return (int)FailureKind.Integrity;
    }
}
