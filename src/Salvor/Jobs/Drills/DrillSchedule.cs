using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Sqlite;

namespace Salvor.Jobs.Drills;

/// <summary>Drills the sources of a configuration that ask for it, each as often as it says, and writes down what came out.</summary>
/// <param name="config">The configuration as it is now.</param>
/// <param name="time">The clock.</param>
/// <param name="random">The chance in the times; used by this alone.</param>
/// <param name="logger">Told of each drill that did not pass.</param>
public sealed class DrillSchedule(Func<SalvorConfig> config, TimeProvider time, Random random, ILogger logger)
{
    /// <summary>Told of each drill when it is written down.</summary>
    public Action<DrillRecord>? Finished { get; init; }

    /// <summary>Runs until cancelled.</summary>
    public Task RunAsync(CancellationToken cancellationToken) => new SourceSchedule(config, time, random)
    {
        Every = source => source.Drill.Every,
        LastDone = vault => DrillFile.Read(LocalState.DrillPath(vault.State, vault.Path))?.FinishedAt,
        DoAsync = DrillAsync,
    }.RunAsync(cancellationToken);

    /// <summary>What is to be drilled of what is configured.</summary>
    public static DrillRequest RequestOf(SalvorConfig config, ConfiguredVault vault)
    {
        var state = vault.State;
        var hasState = Directory.Exists(state) || Directory.Exists(Path.GetDirectoryName(state));
        return new DrillRequest
        {
            Source = vault.Name,
            Config = vault.Config.Drill,
            DatabasePath = vault.Path,
            StateDirectory = hasState ? state : null,
            ScratchRoot = config.Restore.Scratch ?? (hasState ? state : null),
            Role = PostgresSourceConfig.RoleOf(vault.Config),
            Database = (vault.Config as PostgresSourceConfig)?.Server?.Database ?? "postgres",
        };
    }

    /// <summary>Writes a drill down, where this machine has a place for it; the record as it is there.</summary>
    public static DrillRecord Write(DrillRequest request, DrillRecord record)
    {
        if (request.StateDirectory is not { } state)
        {
            return record;
        }

        LocalState.EnsureDirectory(state);
        return DrillFile.Write(state, request.DatabasePath, record, request.Config.KeepReports);
    }

    /// <summary>False where nothing is stored yet, or where somebody drills it now.</summary>
    async Task<bool> DrillAsync(SalvorConfig current, ConfiguredVault vault, CancellationToken cancellationToken)
    {
        try
        {
            var request = RequestOf(current, vault);
            var record = await new SourceDrill(request, time).RunAsync(
                cancel => SourceCopies.FindAsync(
                    current, vault.Name, vault.Config.To, ConfiguredSources.KeysOf(vault.Config), cancel),
                cancellationToken);
            if (record.ExitCode == (int)FailureKind.NotRestorable && !WasDrilled(request))
            {
                // A new source. Where there was something once, its absence is the worst of all answers.
                return false;
            }

            Tell(record);
            var written = Write(request, record);
            Finished?.Invoke(written);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Locked)
        {
            return false;
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            logger.DrillNotMade(vault.Name, e.Message);
        }

        return true;
    }

    static bool WasDrilled(DrillRequest request) => request.StateDirectory is { } state
        && DrillFile.Read(LocalState.DrillPath(state, request.DatabasePath)) is not null;

    void Tell(DrillRecord record)
    {
        if (record.Result != DrillResult.Pass)
        {
            logger.DrillNotPassed(
                record.Source, record.Result.ToString().ToUpperInvariant(),
                record.Reason, record.Hint);
        }
    }
}
