using Salvor.Jobs.Drills.Reports;
using Salvor.Sqlite;
using Salvor.Sqlite.Restore;
using Salvor.Text;
using Salvor.Vault.Format;

namespace Salvor.Jobs.Drills;

/// <summary>One drill of one source: restores it into scratch as after a loss, checks what came back, and times every part.</summary>
/// <param name="request">What to do.</param>
/// <param name="time">The clock.</param>
public sealed class SourceDrill(DrillRequest request, TimeProvider time)
{
    readonly List<DrillCheck> checks = [];
    readonly long started = time.GetTimestamp();
    readonly DateTimeOffset startedAt = time.GetUtcNow();

    /// <summary>
    /// The answer, whatever happened; it is written down nowhere yet. Throws <see cref="FailureKind.Locked"/> where another drill of this
    /// source runs.
    /// </summary>
    public async Task<DrillRecord> RunAsync(CopiesFinder find, CancellationToken cancellationToken)
    {
        var record = Begin();
        SalvorException? failure = null;
        try
        {
            using var scratch = DrillScratch.Create(request.ScratchRoot, request.Source, time);
            record = await RestoreAndCheckAsync(record, scratch, find, cancellationToken);
        }
        catch (DrillStoppedException stopped)
        {
            (record, failure) = (stopped.Record, stopped.Cause);
        }

        return DrillJudgement.Judge(record with { FinishedAt = time.GetUtcNow(), Checks = checks }, failure);
    }

    DrillRecord Begin() => new()
    {
        Source = request.Source,
        Result = DrillResult.Fail,
        StartedAt = startedAt,
        FinishedAt = startedAt,
        Host = Environment.MachineName,
        Version = LocalState.Version,
        RequestedTime = request.Point.Time,
        RtoTargetSeconds = request.Config.Rto?.TotalSeconds,
        RpoTargetSeconds = request.Config.Rpo?.TotalSeconds,
        MaxAgeSeconds = request.Config.AgeMax?.TotalSeconds,
    };

    async Task<DrillRecord> RestoreAndCheckAsync(
        DrillRecord record, DrillScratch scratch, CopiesFinder find, CancellationToken cancellationToken)
    {
        var copies = await StepAsync(record, "destination", () => find(cancellationToken));
        var found = time.GetElapsedTime(started);
        checks.AddRange(copies.Where(copy => copy.Vault is not null || copy.Failure is not null)
            .Select(copy => copy.Failure is { } failure
                ? new DrillCheck("destination", "destination", CheckOutcome.Warn, "", failure.Message, 0)
                : new DrillCheck("destination", "destination", CheckOutcome.Pass, "", $"{copy.Location} answers", 0)));
        var restore = new DrillRestore(request, scratch.Path, time);
        if (copies.Any(copy => copy.Vault is { Identity.IsTree: true }))
        {
            return await RestoreFilesAsync(record, scratch, restore, found, copies, cancellationToken);
        }

        var image = await RestoreAsync(record, restore, () => restore.RunAsync(copies, cancellationToken));

        var fetched = found + restore.Meter.Busy;
        record = Restored(record, image, time.GetElapsedTime(started) - fetched, fetched);
        var checking = time.GetTimestamp();
        record = await Task.Run(() => CheckDatabase(record, image, cancellationToken), cancellationToken);
        record = AddPhase(record, "check", time.GetElapsedTime(checking));
        record = await SmokeAsync(record, image.Path, cancellationToken);
        record = Measure(record, image.CompleteAsOf is not null);
        return request.Keep
            ? record with { KeptAt = Path.Combine(scratch.Keep($"{image.Point.Position}"), Path.GetFileName(image.Path)) }
            : record;
    }

    /// <summary>One restore, whose own checks stand after those of the destinations, however it ends.</summary>
    async Task<T> RestoreAsync<T>(DrillRecord record, DrillRestore restore, Func<Task<T>> run)
    {
        try
        {
            return await StepAsync(record, "restore", run);
        }
        finally
        {
            checks.InsertRange(checks.Count(check => check.Kind == "destination"), restore.Checks);
        }
    }

    /// <summary>Files are counted where a database is checked: the content of each was when it was written.</summary>
    async Task<DrillRecord> RestoreFilesAsync(
        DrillRecord record, DrillScratch scratch, DrillRestore restore, TimeSpan found, IReadOnlyList<SourceCopy> copies,
        CancellationToken cancellationToken)
    {
        var tree = await RestoreAsync(record, restore, () => restore.RunFilesAsync(copies, cancellationToken));

        var fetched = found + restore.Meter.Busy;
        record = Restored(record, tree, Later(time.GetElapsedTime(started) - fetched), fetched);
        var checking = time.GetTimestamp();
        var counted = await StepAsync(
            record, "files", () => Task.Run(() => TreeCount.Of(tree.Path, cancellationToken), cancellationToken));
        checks.Add(DrillJudgement.OfFiles(tree.Totals, counted, tree.Restored, SmokeRunner.Seconds(time.GetElapsedTime(checking))));
        record = AddPhase(record, "check", time.GetElapsedTime(checking));
        record = await SmokeAsync(record, tree.Path, cancellationToken);
        record = Measure(record, request.Point.Time is null);
        return request.Keep
            ? record with { KeptAt = Path.Combine(scratch.Keep($"{tree.Record.Id}"), Path.GetFileName(tree.Path)) }
            : record;
    }

    DrillRecord Restored(DrillRecord record, DrilledTree tree, TimeSpan applied, TimeSpan fetched)
    {
        var (backup, age) = (tree.Record, Later(startedAt - tree.Record.Time));
        checks.Add(new DrillCheck(
            "restore", "restore", CheckOutcome.Pass, "",
            $"backup {backup.Id} of {InstantText.Format(backup.Time)}, {tree.Restored.Files} file(s), {SizeText.Format(backup.SizeBytes)}, "
                + "the hash of every chunk as at the source",
            SmokeRunner.Seconds(applied + fetched)));
        if (tree.Restored.Problems is [var first, ..] problems)
        {
            checks.Add(new DrillCheck(
                "attributes", "restore", CheckOutcome.Warn, "", $"{problems.Count} name(s) are not as they were: {first}", 0));
        }

        return record with
        {
            Destination = tree.Location,
            Branch = backup.Branch,
            Position = backup.Position,
            Time = backup.Time,
            BackupAgeSeconds = SmokeRunner.Seconds(age),
            RpoSeconds = request.Point.Time is null ? SmokeRunner.Seconds(age) : null,
            Phases = [new DrillPhase("fetch", SmokeRunner.Seconds(fetched)), new DrillPhase("apply", SmokeRunner.Seconds(applied))],
            SizeBytes = backup.SizeBytes,
            FetchedBytes = tree.Restored.FetchedBytes,
        };
    }

    DrillRecord Restored(DrillRecord record, DrilledImage image, TimeSpan applied, TimeSpan fetched)
    {
        var complete = image.CompleteAsOf is { } known
            ? SourceKnowledge.CompleteAsOf(request, image.Point, known, startedAt)
            : (DateTimeOffset?)null;
        var loss = complete is { } asOf
            ? DrillJudgement.LossOf(startedAt, asOf, SourceKnowledge.WrittenAt(request, image.Point))
            : (TimeSpan?)null;
        checks.Add(new DrillCheck(
            "restore", "restore", CheckOutcome.Pass, "",
            $"position {image.Point.Position} of {InstantText.Format(image.Point.Time)}, {SizeText.Format(image.Image.SizeBytes)}, "
                + $"checksum {image.Image.Checksum:x16} as at the source",
            SmokeRunner.Seconds(applied + fetched)));
        return record with
        {
            Destination = image.Location,
            Branch = image.Point.Branch,
            Position = image.Point.Position.Value,
            Time = image.Point.Time,
            BackupAgeSeconds = SmokeRunner.Seconds(Later(startedAt - (complete ?? image.Point.Time))),
            RpoSeconds = loss is { } lost ? SmokeRunner.Seconds(lost) : null,
            Phases =
            [
                new DrillPhase("fetch", SmokeRunner.Seconds(fetched)),
                new DrillPhase("apply", SmokeRunner.Seconds(Later(applied))),
            ],
            SizeBytes = image.Image.SizeBytes,
            FetchedBytes = image.Image.FetchedBytes,
            ChangeSets = image.Image.ChangeSets,
            Checksum = $"{image.Image.Checksum:x16}",
        };
    }

    DrillRecord CheckDatabase(DrillRecord record, DrilledImage image, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        request.Progressed?.Invoke(new WorkProgress(IntegrityCheck.PhaseOf(IntegrityCheckDepth.Full)));
        var (outcome, found) = (CheckOutcome.Pass, "ok");
        try
        {
            IntegrityCheck.Run(image.Path, IntegrityCheckDepth.Full, cancellationToken);
        }
        catch (UncheckableDatabaseException e)
        {
            // It is what the source had, byte by byte; whether that is sound, the app's own SQLite can say in a check of the operator's.
            (outcome, found) = (CheckOutcome.Warn, e.Message);
        }
        catch (SalvorException e)
        {
            (outcome, found) = (CheckOutcome.Fail, e.Message);
        }

        checks.Add(new DrillCheck(
            "integrity_check", "integrity_check", outcome, "ok", found, SmokeRunner.Seconds(time.GetElapsedTime(began))));
        return CountRows(record, image.Path, cancellationToken);
    }

    DrillRecord CountRows(DrillRecord record, string path, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        request.Progressed?.Invoke(new WorkProgress("counting rows"));
        var last = request.StateDirectory is { } state ? DrillFile.Read(LocalState.DrillPath(state, request.DatabasePath)) : null;
        var (outcome, found) = (CheckOutcome.Fail, "");
        IReadOnlyDictionary<string, long> rows = new Dictionary<string, long>();
        try
        {
            (rows, var uncounted) = RestoredDatabase.CountRows(path, cancellationToken);

            // An older moment may well have had fewer rows.
            var before = last?.BaselineTime <= record.Time ? last?.RowsBaseline : null;
            (outcome, found) = RowComparison.Judge(rows, before, request.Config.ShrinkPercent, request.AcceptRows);
            if (uncounted.Count > 0)
            {
                outcome = outcome == CheckOutcome.Pass ? CheckOutcome.Warn : outcome;
                found += $"; not counted: {string.Join(", ", uncounted)}";
            }
        }
        catch (Sqlite.Native.SqliteException e) when (!e.IsInterrupted)
        {
            found = e.Message;
        }

        cancellationToken.ThrowIfCancellationRequested();
        var most = request.Config.ShrinkPercent is { } percent ? $"no table loses more than {percent}%" : "";
        checks.Add(new DrillCheck("rows", "rows", outcome, most, found, SmokeRunner.Seconds(time.GetElapsedTime(began))));
        return record with { Rows = rows };
    }

    async Task<DrillRecord> SmokeAsync(DrillRecord record, string path, CancellationToken cancellationToken)
    {
        var began = time.GetTimestamp();
        var runner = new SmokeRunner(path, time);
        foreach (var check in request.Config.Checks)
        {
            request.Progressed?.Invoke(new WorkProgress("running the checks") { Item = check.Name });
            checks.Add(await runner.RunAsync(check, cancellationToken));
        }

        return AddPhase(record, "smoke", time.GetElapsedTime(began));
    }

    /// <summary>The figures against their targets.</summary>
    DrillRecord Measure(DrillRecord record, bool isNewest)
    {
        var rto = time.GetElapsedTime(started);
        var age = TimeSpan.FromSeconds(record.BackupAgeSeconds ?? 0);
        var config = request.Config;
        if (isNewest)
        {
            checks.Add(new DrillCheck(
                "freshness", "freshness", config.AgeMax is { } most && age > most ? CheckOutcome.Stale : CheckOutcome.Pass,
                AtMost(config.AgeMax), $"complete as of {DrillWords.Seconds(age.TotalSeconds)} ago", 0));
        }

        checks.Add(new DrillCheck(
            "rto", "rto", DrillJudgement.OfTarget(rto, config.Rto), AtMost(config.Rto), DrillWords.Seconds(rto.TotalSeconds), 0));
        if (record.RpoSeconds is { } seconds)
        {
            var loss = TimeSpan.FromSeconds(seconds);
            var found = loss == TimeSpan.Zero ? "nothing: the source has nothing newer" : $"up to {DrillWords.Seconds(seconds)}";
            checks.Add(new DrillCheck("rpo", "rpo", DrillJudgement.OfTarget(loss, config.Rpo), AtMost(config.Rpo), found, 0));
        }

        return record with { RtoSeconds = SmokeRunner.Seconds(rto) };
    }

    /// <summary>A step without which there is nothing to check.</summary>
    async Task<T> StepAsync<T>(DrillRecord record, string name, Func<Task<T>> step)
    {
        var began = time.GetTimestamp();
        try
        {
            return await step();
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            var known = e as SalvorException ?? new SalvorException(
                FailureKind.Failure, e.Message, "Check the folder of local state and 'restore: { scratch: DIR }'.", e);
            checks.Add(new DrillCheck(
                name, name, CheckOutcome.Fail, "", known.Message, SmokeRunner.Seconds(time.GetElapsedTime(began))));
            throw new DrillStoppedException(record, known);
        }
    }

    static DrillRecord AddPhase(DrillRecord record, string name, TimeSpan elapsed) =>
        record with { Phases = [.. record.Phases, new DrillPhase(name, SmokeRunner.Seconds(elapsed))] };

    static TimeSpan Later(TimeSpan value) => value < TimeSpan.Zero ? TimeSpan.Zero : value;

    static string AtMost(TimeSpan? target) => target is { } most ? $"at most {DurationText.FormatShort(most)}" : "";

    /// <summary>Ends a drill early, with what is known of it.</summary>
    sealed class DrillStoppedException(DrillRecord record, SalvorException cause) : Exception(cause.Message, cause)
    {
        public DrillRecord Record { get; } = record;

        public SalvorException Cause { get; } = cause;
    }
}
