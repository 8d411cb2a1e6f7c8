using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault;

namespace Salvor.Jobs.Drills;

/// <summary>What the parts of a drill share: what they found so far, and the way to the destinations, where waiting is measured.</summary>
/// <param name="request">What is drilled.</param>
/// <param name="time">The clock.</param>
sealed class DrillWork(DrillRequest request, TimeProvider time)
{
    /// <summary>What must stay free beside what is restored: the disk may be the one that the app writes to.</summary>
    const int ReservePercent = 10;

    readonly List<DrillCheck> checks = [];
    readonly List<DrillPhase> phases = [];

    public DrillRequest Request => request;

    public TimeProvider Time => time;

    /// <summary>Where it is restored.</summary>
    public string Folder { get; set; } = "";

    /// <summary>The waiting for the destination.</summary>
    public StoreMeter Meter { get; } = new(time);

    public IReadOnlyList<DrillCheck> Checks => checks;

    public IReadOnlyList<DrillPhase> Phases => phases;

    public void Add(DrillCheck check) => checks.Add(check);

    /// <summary>A check whose name is its kind, and which began at a time stamp.</summary>
    public void Add(string kind, CheckOutcome outcome, string expected, string found, long began) =>
        Add(new(kind, kind, outcome, expected, found, SmokeRunner.Seconds(time.GetElapsedTime(began))));

    public void AddPhase(string name, TimeSpan elapsed) => phases.Add(new(name, SmokeRunner.Seconds(elapsed)));

    /// <summary>A part whose time counts by itself.</summary>
    public async Task<T> PhaseAsync<T>(string name, Func<Task<T>> part)
    {
        var began = time.GetTimestamp();
        var result = await part();
        AddPhase(name, time.GetElapsedTime(began));
        return result;
    }

    /// <summary>A step without which there is nothing to check: what goes wrong in it is a check that failed, and ends the drill.</summary>
    public async Task<T> StepAsync<T>(string name, Func<Task<T>> step)
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
            Add(name, CheckOutcome.Fail, "", known.Message, began);
            throw new DrillStoppedException(known);
        }
    }

    /// <summary>The vault as the best of all copies has it.</summary>
    public VaultAccess Join(IReadOnlyList<SourceCopy> copies)
    {
        var measured = copies.Select(copy => copy.Vault is { } vault ? copy with { Vault = vault.At(Meter.Of(vault.Store)) } : copy);
        return SourceCopies.Join(
            [.. measured],
            _ => { },
            (bad, e) => Warn(e.Key, $"damaged at {bad.Location}, and read from another copy: {e.What}"))
            ?? throw new SalvorException(
                FailureKind.NotRestorable, $"nothing is backed up yet of source {request.Source}",
                "Start 'salvor daemon', then try again.");
    }

    /// <summary>What is to be known of the restore, and is no reason to call it failed.</summary>
    public void Warn(string name, string found) => Add(new(name, "restore", CheckOutcome.Warn, "", found, 0));

    /// <summary>Throws where the disk has no room for this much, and a reserve.</summary>
    public void RequireSpace(long sizeBytes)
    {
        var needed = sizeBytes + (sizeBytes / 100 * ReservePercent);
        var expected = $"{SizeText.Format(needed)} free in {Folder}";
        checks.RemoveAll(check => check.Kind == "free_space");
        if (DiskSpace.FreeBytes(Folder) is not { } free)
        {
            Add(new("free_space", "free_space", CheckOutcome.Skipped, expected, "not known here", 0));
            return;
        }

        var isEnough = free >= needed;
        Add(new("free_space", "free_space", isEnough ? CheckOutcome.Pass : CheckOutcome.Fail, expected, SizeText.Format(free), 0));
        if (!isEnough)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"not enough room in {Folder}: the drill needs {SizeText.Format(needed)}, has {SizeText.Format(free)} free",
                "Let 'restore: { scratch: DIR }' in the configuration name a folder on another disk.");
        }
    }

    /// <summary>Compares rows with those of the drill that passed last. An older moment may well have had fewer.</summary>
    /// <param name="record">What was restored.</param>
    /// <param name="rows">The rows of each table.</param>
    /// <param name="uncounted">Tables whose rows could not be counted.</param>
    /// <param name="began">When the counting began.</param>
    public void AddRows(
        DrillRecord record, IReadOnlyDictionary<string, long> rows, IReadOnlyList<string> uncounted, long began)
    {
        var last = request.StateDirectory is { } state
            ? DrillFile.Read(Sqlite.LocalState.DrillPath(state, request.DatabasePath))
            : null;
        var before = last?.BaselineTime <= record.Time ? last?.RowsBaseline : null;
        var (outcome, found) = RowComparison.Judge(rows, before, request.Config.ShrinkPercent, request.AcceptRows);
        if (uncounted.Count > 0)
        {
            outcome = outcome == CheckOutcome.Pass ? CheckOutcome.Warn : outcome;
            found += $"; not counted: {string.Join(", ", uncounted)}";
        }

        AddRows(outcome, found, began);
    }

    /// <summary>The answer about rows where there is nothing to compare.</summary>
    public void AddRows(CheckOutcome outcome, string found, long began) => Add(
        "rows", outcome, request.Config.ShrinkPercent is { } percent ? $"no table loses more than {percent}%" : "", found, began);
}

/// <summary>Ends a drill early.</summary>
sealed class DrillStoppedException(SalvorException cause) : Exception(cause.Message, cause)
{
    public SalvorException Cause { get; } = cause;
}
