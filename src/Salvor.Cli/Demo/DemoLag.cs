using System.Globalization;
using Salvor.Platform;
using Salvor.Vault;

namespace Salvor.Cli.Demo;

/// <summary>
/// Measures from outside when commits become durable: looks every millisecond whether the vault's next log object has its name, flushes
/// its folder itself, and notes the time. Which commits are in it is read from the object afterwards.
/// </summary>
sealed class DemoLag : IDisposable
{
    /// <summary>How this measures, for whoever reads the figures.</summary>
    public const string Method =
        "from when COMMIT returned in the app until the log object that holds it had its name in the vault and the folder was flushed";

    const uint Branch = 1;
    static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(1);

    readonly TimeProvider time;
    readonly string folder;
    readonly Dictionary<ulong, DateTimeOffset> durableAt = [];
    readonly CancellationTokenSource stopping = new();
    readonly Thread looking;
    Exception? failure;

    /// <param name="vault">The folder of the vault.</param>
    /// <param name="firstNumber">The first log object that counts.</param>
    /// <param name="time">The clock that the app's ledger has too.</param>
    public DemoLag(string vault, ulong firstNumber, TimeProvider time)
    {
        this.time = time;
        folder = Path.Combine(vault, VaultKeys.LogsOf(Branch));
        looking = new Thread(() => Look(firstNumber)) { IsBackground = true };
        looking.Start();
    }

    /// <summary>The lags of all commits that were seen to become durable, in increasing order.</summary>
    /// <param name="catalog">The vault, now complete.</param>
    /// <param name="commits">The ledger. Its last commit is the last one in the vault.</param>
    /// <param name="cancellationToken">Stops reading.</param>
    public async Task<IReadOnlyList<TimeSpan>> EndAsync(
        VaultCatalog catalog, IReadOnlyList<DemoCommit> commits, CancellationToken cancellationToken)
    {
        Stop();
        var lags = new List<TimeSpan>();
        var left = commits.Count;
        for (var number = catalog.Logs(Branch).Last; durableAt.TryGetValue(number, out var durable); number--)
        {
            var log = await catalog.ReadLogAsync(Branch, number, cancellationToken);
            if (log.Details.Kind != LogKind.Commits || log.Details.Commits.Count > left)
            {
                // What was lost sight of for a moment has no restore point for each commit, so they cannot be told apart.
                break;
            }

            foreach (var commit in commits.Skip(left - log.Details.Commits.Count).Take(log.Details.Commits.Count))
            {
                var lag = durable - commit.Committed;
                lags.Add(lag > TimeSpan.Zero ? lag : TimeSpan.Zero);
            }

            left -= log.Details.Commits.Count;
        }

        lags.Sort();
        return lags;
    }

    public void Dispose()
    {
        stopping.Cancel();
        looking.Join();
        stopping.Dispose();
    }

    void Stop()
    {
        stopping.Cancel();
        looking.Join();
        if (failure is not null)
        {
            throw new SalvorException(
                FailureKind.Failure, $"the lag could not be measured in {folder}: {failure.Message}", "Run 'salvor demo' again.", failure);
        }
    }

    void Look(ulong number)
    {
        try
        {
            while (!stopping.IsCancellationRequested)
            {
                if (!File.Exists(Path.Combine(folder, number.ToString("D16", CultureInfo.InvariantCulture))))
                {
                    Thread.Sleep(LookInterval);
                    continue;
                }

                DurableFile.FlushDirectory(folder);
                durableAt[number++] = time.GetUtcNow();
            }
        }
        catch (SalvorException e)
        {
            failure = e;
        }
    }
}
