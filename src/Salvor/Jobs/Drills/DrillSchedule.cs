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
        LastDone = (source, member) => DrillFile.Read(
            LocalState.DrillPath(ConfiguredSources.OptionsOf(source, member).StateDirectory, member.Path))?.FinishedAt,
        DoAsync = DrillAsync,
    }.RunAsync(cancellationToken);

    /// <summary>What is to be drilled of a configured database.</summary>
    public static DrillRequest RequestOf(SalvorConfig config, SqliteSourceConfig source, SourceMember member)
    {
        var state = ConfiguredSources.OptionsOf(source, member).StateDirectory;
        var hasState = Directory.Exists(state) || Directory.Exists(Path.GetDirectoryName(state));
        return new DrillRequest
        {
            Source = member.Name,
            Config = source.Drill,
            DatabasePath = member.Path,
            StateDirectory = hasState ? state : null,
            ScratchRoot = config.Restore.Scratch ?? (hasState ? state : null),
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
    async Task<bool> DrillAsync(
        SalvorConfig current, SqliteSourceConfig source, SourceMember member, CancellationToken cancellationToken)
    {
        try
        {
            var request = RequestOf(current, source, member);
            var record = await new SourceDrill(request, time).RunAsync(
                cancel => SourceCopies.FindAsync(current, member.Name, source.To, ConfiguredSources.KeysOf(source), cancel),
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
            logger.DrillNotMade(member.Name, e.Message);
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
