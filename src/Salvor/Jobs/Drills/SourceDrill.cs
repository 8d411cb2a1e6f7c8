using Salvor.Jobs.Drills.Reports;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Jobs.Drills;

/// <summary>One drill of one source: restores it into scratch as after a loss, checks what came back, and times every part.</summary>
/// <param name="request">What to do.</param>
/// <param name="time">The clock.</param>
public sealed class SourceDrill(DrillRequest request, TimeProvider time)
{
    readonly DrillWork work = new(request, time);
    readonly long started = time.GetTimestamp();
    DrillRecord record = Begin(request, time.GetUtcNow());

    /// <summary>
    /// The answer, whatever happened; it is written down nowhere yet. Throws <see cref="FailureKind.Locked"/> where another drill of this
    /// source runs.
    /// </summary>
    public async Task<DrillRecord> RunAsync(CopiesFinder find, CancellationToken cancellationToken)
    {
        SalvorException? failure = null;
        try
        {
            using var scratch = DrillScratch.Create(request.ScratchRoot, request.Source, time);
            work.Folder = scratch.Path;
            await RestoreAndCheckAsync(scratch, find, cancellationToken);
        }
        catch (DrillStoppedException stopped)
        {
            failure = stopped.Cause;
        }

        return DrillJudgement.Judge(
            record with { FinishedAt = time.GetUtcNow(), Checks = work.Checks, Phases = work.Phases }, failure);
    }

    static DrillRecord Begin(DrillRequest request, DateTimeOffset now) => new()
    {
        Source = request.Source,
        Result = DrillResult.Fail,
        StartedAt = now,
        FinishedAt = now,
        Host = Environment.MachineName,
        Version = LocalState.Version,
        RequestedTime = request.Point.Time,
        RtoTargetSeconds = request.Config.Rto?.TotalSeconds,
        RpoTargetSeconds = request.Config.Rpo?.TotalSeconds,
        MaxAgeSeconds = request.Config.AgeMax?.TotalSeconds,
    };

    async Task RestoreAndCheckAsync(DrillScratch scratch, CopiesFinder find, CancellationToken cancellationToken)
    {
        var copies = await work.StepAsync("destination", () => find(cancellationToken));
        var found = time.GetElapsedTime(started);
        foreach (var copy in copies.Where(copy => copy.Vault is not null || copy.Failure is not null))
        {
            var (outcome, answer) = copy.Failure is { } failure
                ? (CheckOutcome.Warn, failure.Message)
                : (CheckOutcome.Pass, $"{copy.Location} answers");
            work.Add(new("destination", "destination", outcome, "", answer, 0));
        }

        await using var kind = KindOf(copies);
        (record, var what) = await work.StepAsync("restore", () => kind.RestoreAsync(record, work.Join(copies), cancellationToken));
        var fetched = found + work.Meter.Busy;
        work.Add("restore", CheckOutcome.Pass, "", what, started);
        work.AddPhase("fetch", fetched);
        work.AddPhase("apply", TimeSpan.FromTicks(Math.Max(0, (time.GetElapsedTime(started) - fetched).Ticks)));

        record = await kind.RecoverAsync(record, cancellationToken);
        record = await work.PhaseAsync("check", () => kind.CheckAsync(record, cancellationToken));
        await work.PhaseAsync("smoke", () => SmokeAsync(kind.Subject, cancellationToken));
        Measure();
        await kind.FinishAsync(cancellationToken);
        if (request.Keep)
        {
            record = record with { KeptAt = kind.Keep(scratch, record) };
        }
    }

    DrillKind KindOf(IReadOnlyList<SourceCopy> copies) =>
        copies.Select(copy => copy.Vault?.Identity).FirstOrDefault(identity => identity is not null) switch
        {
            { IsPostgres: true } => new ClusterDrill(work),
            { IsTree: true } => new FilesDrill(work),
            _ => new DatabaseDrill(work),
        };

    async Task<int> SmokeAsync(SmokeSubject subject, CancellationToken cancellationToken)
    {
        var runner = new SmokeRunner(subject, time);
        foreach (var check in request.Config.Checks)
        {
            request.Progressed?.Invoke(new WorkProgress("running the checks") { Item = check.Name });
            work.Add(await runner.RunAsync(check, cancellationToken));
        }

        return request.Config.Checks.Count;
    }

    /// <summary>The figures against their targets.</summary>
    void Measure()
    {
        var rto = time.GetElapsedTime(started);
        var age = TimeSpan.FromSeconds(record.BackupAgeSeconds ?? 0);
        var config = request.Config;
        if (request.Point.Time is null)
        {
            work.Add(new(
                "freshness", "freshness", config.AgeMax is { } most && age > most ? CheckOutcome.Stale : CheckOutcome.Pass,
                AtMost(config.AgeMax), $"complete as of {DrillWords.Seconds(age.TotalSeconds)} ago", 0));
        }

        work.Add(new(
            "rto", "rto", DrillJudgement.OfTarget(rto, config.Rto), AtMost(config.Rto), DrillWords.Seconds(rto.TotalSeconds), 0));
        if (record.RpoSeconds is { } seconds)
        {
            var loss = TimeSpan.FromSeconds(seconds);
            var isNothing = loss == TimeSpan.Zero && record.Cluster is null;
            var found = isNothing ? "nothing: the source has nothing newer" : $"up to {DrillWords.Seconds(seconds)}";
            work.Add(new("rpo", "rpo", DrillJudgement.OfTarget(loss, config.Rpo), AtMost(config.Rpo), found, 0));
        }

        record = record with { RtoSeconds = SmokeRunner.Seconds(rto) };
    }

    static string AtMost(TimeSpan? target) => target is { } most ? $"at most {DurationText.FormatShort(most)}" : "";
}
