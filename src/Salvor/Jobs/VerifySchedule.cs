using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Sqlite.Verify;
using Salvor.Vault.Verify;

namespace Salvor.Jobs;

/// <summary>
/// Verifies the sources of a configuration one after the other, each as often as it says, and writes down what was found. The times
/// are spread by chance, so that many daemons do not begin at once.
/// </summary>
/// <param name="config">The configuration as it is now.</param>
/// <param name="time">The clock.</param>
/// <param name="random">The chance in the times; used by this alone.</param>
/// <param name="logger">Told of everything that was found.</param>
public sealed class VerifySchedule(Func<SalvorConfig> config, TimeProvider time, Random random, ILogger logger)
{
    const int FindingsLogged = 5;

    /// <summary>How long a change of the configuration may wait, and a source that nothing is stored of.</summary>
    static readonly TimeSpan Step = TimeSpan.FromMinutes(1);

    /// <summary>Without a verification before, the first comes within this time.</summary>
    static readonly TimeSpan FirstWithin = TimeSpan.FromHours(1);

    readonly Dictionary<string, DateTimeOffset> due = [];

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var current = config();
            var next = Plan(current).OrderBy(item => item.Due).FirstOrDefault();
            var wait = next.Member is null ? Step : next.Due - time.GetUtcNow();
            if (wait > TimeSpan.Zero)
            {
                await Task.Delay(wait < Step ? wait : Step, time, cancellationToken);
                continue;
            }

            due[next.Member!.Name] = time.GetUtcNow() + (await VerifyAsync(current, next.Source!, next.Member, cancellationToken)
                ? Spread(next.Source!.Verify.Every!.Value)
                : Step);
        }
    }

    /// <summary>When each source is due.</summary>
    IEnumerable<(DateTimeOffset Due, SqliteSourceConfig? Source, SourceMember? Member)> Plan(SalvorConfig current)
    {
        foreach (var source in current.Sources.Values.Where(source => source.Verify.Every is not null))
        {
            // A folder that cannot be read is told by the daemon.
            foreach (var member in ConfiguredSources.Members(source, _ => { }))
            {
                if (!due.TryGetValue(member.Name, out var when))
                {
                    when = due[member.Name] = FirstOf(source, member);
                }

                yield return (when, source, member);
            }
        }
    }

    DateTimeOffset FirstOf(SqliteSourceConfig source, SourceMember member)
    {
        var state = ConfiguredSources.OptionsOf(source, member).StateDirectory;
        var every = source.Verify.Every!.Value;
        return VerifyFile.Read(LocalState.VerifyPath(state, member.Path)) is { } last
            ? last.FinishedAt + Spread(every)
            : time.GetUtcNow() + ((every < FirstWithin ? every : FirstWithin) * random.NextDouble());
    }

    /// <summary>Up to a tenth earlier, never later.</summary>
    TimeSpan Spread(TimeSpan every) => every * (0.9 + (random.NextDouble() / 10));

    /// <summary>False where there was nothing to verify yet.</summary>
    async Task<bool> VerifyAsync(
        SalvorConfig current, SqliteSourceConfig source, SourceMember member, CancellationToken cancellationToken)
    {
        var state = ConfiguredSources.OptionsOf(source, member).StateDirectory;
        var started = time.GetUtcNow();
        VerifyRecord record;
        try
        {
            record = await RunAsync(current, source, member, state, cancellationToken);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable)
        {
            return false;
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            record = Failed(member, started, e);
        }

        Tell(record);
        try
        {
            LocalState.EnsureDirectory(state);
            VerifyFile.Write(LocalState.VerifyPath(state, member.Path), record);
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            logger.LogWarning("{Source}: when it was verified cannot be written: {Message}", member.Name, e.Message);
        }

        return true;
    }

    async Task<VerifyRecord> RunAsync(
        SalvorConfig current, SqliteSourceConfig source, SourceMember member, string state, CancellationToken cancellationToken)
    {
        var copies = await SourceCopies.FindAsync(
            current, member.Name, source.To, ConfiguredSources.KeysOf(source), cancellationToken);
        LocalState.EnsureDirectory(state);

        // One object at a time: an app that needs the processor or the disk has more right to it.
        var request = new VerifyRequest
        {
            Options = new VerifyOptions { Parallelism = 1 },
            Deep = source.Verify.Deep
                ? new DeepOptions
                {
                    ImagePath = LocalState.ProvenPath(state, member.Path), KeepImage = source.Verify.KeepImage,
                }
                : null,
        };
        return await new SourceVerification(member.Name, copies, time).RunAsync(request, cancellationToken);
    }

    VerifyRecord Failed(SourceMember member, DateTimeOffset started, Exception e) => new()
    {
        Source = member.Name,
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
            logger.LogError(
                "{Source}: {Key} at {Destination}: {Message}; {Consequence}. hint: {Hint}", record.Source, finding.Finding.Key,
                finding.Destination, finding.Finding.Message, finding.Finding.Consequence, finding.Finding.Hint);
        }

        if (record.Error.Length > 0)
        {
            logger.LogError("{Source}: it could not be verified: {Message}", record.Source, record.Error);
        }
    }
}
