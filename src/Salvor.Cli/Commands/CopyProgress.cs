using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Sqlite;

namespace Salvor.Cli.Commands;

/// <summary>How far the first copies of databases are, and the comparisons that catch up with them.</summary>
static class CopyProgress
{
    /// <summary>Shows it for as long as any is under way.</summary>
    public static ProgressLine Of(Invocation invocation, ProtectionHost host) => new(invocation, "salvor", () => Read(host.Statuses));

    static WorkProgress? Read(IReadOnlyList<SourceStatus> statuses)
    {
        var copying = statuses.Where(status => status is { State: SourceState.Copying, CopyTotalBytes: > 0 }).ToList();
        return copying.Count == 0
            ? null
            : new WorkProgress("copying", copying.Sum(status => status.CopiedBytes), copying.Sum(status => status.CopyTotalBytes))
            {
                Item = string.Join(", ", copying.Select(status => status.Source)),
            };
    }
}
