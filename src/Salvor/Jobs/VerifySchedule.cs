using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Sqlite.Verify;
using Salvor.Vault.Verify;

namespace Salvor.Jobs;

/// <summary>
/// Verifies the sources of a configuration one after the other, each as often as it says, and writes down what was found.
/// </summary>
/// <param name="config">The configuration as it is now.</param>
/// <param name="time">The clock.</param>
/// <param name="random">The chance in the times; used by this alone.</param>
/// <param name="logger">Told of everything that was found.</param>
public sealed class VerifySchedule(Func<SalvorConfig> config, TimeProvider time, Random random, ILogger logger)
{
    const int FindingsLogged = 5;

    /// <summary>Runs until cancelled.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => new SourceSchedule(config, time, random)
    {
        Every = source => source.Verify.Every,
        LastDone = vault => VerifyFile.Read(LocalState.VerifyPath(vault.State, vault.Path))?.FinishedAt,
        DoAsync = VerifyAsync,
    }.RunAsync(cancellationToken);

    /// <summary>False where there was nothing to verify yet.</summary>
    async Task<bool> VerifyAsync(SalvorConfig current, ConfiguredVault vault, CancellationToken cancellationToken)
    {
        var started = time.GetUtcNow();
        VerifyRecord record;
        try
        {
            record = await RunAsync(current, vault, cancellationToken);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable)
        {
            return false;
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            record = Failed(vault, started, e);
        }

        Tell(record);
        try
        {
            LocalState.EnsureDirectory(vault.State);
            VerifyFile.Write(LocalState.VerifyPath(vault.State, vault.Path), record);
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            logger.VerifyNotWritten(vault.Name, e.Message);
        }

        return true;
    }

    async Task<VerifyRecord> RunAsync(SalvorConfig current, ConfiguredVault vault, CancellationToken cancellationToken)
    {
        var source = vault.Config;
        var copies = await SourceCopies.FindAsync(current, vault.Name, source.To, ConfiguredSources.KeysOf(source), cancellationToken);
        LocalState.EnsureDirectory(vault.State);

        // One object at a time: an app that needs the processor or the disk has more right to it.
        var request = new VerifyRequest
        {
            Options = new VerifyOptions { Parallelism = 1 },
            Role = PostgresSourceConfig.RoleOf(source),
            ScratchRoot = current.Restore.Scratch,
            Deep = source.Verify.Deep
                ? new DeepOptions
                {
                    ImagePath = LocalState.ProvenPath(vault.State, vault.Path), KeepImage = source.Verify.KeepImage,
                }
                : null,
        };
        return await new SourceVerification(vault.Name, copies, time).RunAsync(request, cancellationToken);
    }

    VerifyRecord Failed(ConfiguredVault vault, DateTimeOffset started, Exception e) => new()
    {
        Source = vault.Name,
        Kind = "deep",
        StartedAt = started,
        FinishedAt = time.GetUtcNow(),
        Ok = false,
        Branch = 0,
        Position = 0,
        Objects = 0,
        Bytes = 0,
        RestorePoints = 0,
        Destinations = [],
        Error = e.Message,
    };

    void Tell(VerifyRecord record)
    {
        foreach (var finding in record.Destinations.SelectMany(destination => destination.Findings
            .Select(item => (destination.Destination, Finding: item))).Take(FindingsLogged))
        {
            logger.VerifyFound(
                record.Source, finding.Finding.Key, finding.Destination, finding.Finding.Message, finding.Finding.Consequence,
                finding.Finding.Hint);
        }

        if (record.NotRecovered.Length > 0)
        {
            logger.VerifyNotRecovered(record.Source, record.NotRecovered, record.NotRecoveredHint);
        }

        if (record.Error.Length > 0)
        {
            logger.VerifyFailed(record.Source, record.Error);
        }
    }
}
