using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Sqlite.Verify;
using Salvor.Vault;

namespace Salvor.Cli.Commands;

/// <summary>Compares a running database with its vault.</summary>
static class LiveCheck
{
    const int PagesNamedMax = 20;

    /// <param name="invocation">The command.</param>
    /// <param name="target">The source.</param>
    /// <param name="syncAsync">Makes everything that is committed durable.</param>
    public static async Task<VerifyRecord> RunAsync(Invocation invocation, VerifyTarget target, Func<Task> syncAsync)
    {
        var started = invocation.Time.GetUtcNow();
        var first = SourceCopies.Join(target.Copies, _ => { }, (_, _) => { })
            ?? throw new SalvorException(
                FailureKind.NotRestorable, $"nothing is backed up yet of source {target.Name}", "Start 'salvor daemon', then try again.");
        var comparison = new LiveComparison(
            target.Path,
            async () =>
            {
                await syncAsync();
                return await VaultCatalog.LoadAsync(first, invocation.Cancellation);
            },
            time => invocation.Cancellation.WaitHandle.WaitOne(time));
        var difference = await comparison.RunAsync(invocation.Cancellation);
        VerifiedFinding[] findings = difference.IsEqual ? [] :
        [
            new VerifiedFinding(
                "", "database", Message(target.Path, first.Location, difference),
                "the database and its vault do not say the same, and one of them is wrong",
                "Run 'PRAGMA integrity_check' in the database, and 'salvor verify --deep': the one that fails is damaged. "
                    + "Restore the database, or restart the daemon, which compares both and stores the difference."),
        ];
        return new VerifyRecord
        {
            Source = target.Name,
            Kind = "live",
            StartedAt = started,
            FinishedAt = invocation.Time.GetUtcNow(),
            Ok = difference.IsEqual,
            Branch = 0,
            Position = difference.Position.Value,
            Objects = 0,
            Bytes = 0,
            RestorePoints = 0,
            Destinations =
            [
                new VerifiedDestination(
                    first.Location, difference.IsEqual, 0, 0, 0, difference.Position.Value, findings.Length, findings),
            ],
        };
    }

    static string Message(string path, string location, LiveDifference difference)
    {
        var more = difference.Count > PagesNamedMax ? $" and {difference.Count - PagesNamedMax} more" : "";
        return difference.Count == 0
            ? $"{path} is at no restore point of {location}, although each of its pages is as it was before or after"
            : $"{path} differs from position {difference.Position} of {location} in page(s) "
                + string.Join(", ", difference.Pages.Take(PagesNamedMax)) + more;
    }
}
