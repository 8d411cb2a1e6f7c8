namespace Salvor.Vault.Compaction;

/// <summary>A log object that nothing coarser covers, from its header.</summary>
/// <param name="Entry">The object.</param>
/// <param name="IsFinal">Whether a change-set ends in it.</param>
/// <param name="PositionLast">Its last position.</param>
/// <param name="TimeFirst">When it begins.</param>
/// <param name="TimeLast">When it ends.</param>
public readonly record struct MergeCandidate(
    LogEntry Entry, bool IsFinal, Position PositionLast, DateTimeOffset TimeFirst, DateTimeOffset TimeLast);

/// <summary>Which small log objects to merge into larger ones that hold every commit of theirs.</summary>
public static class MergePlan
{
    /// <summary>So many fresh objects are worth a larger one.</summary>
    const int FreshMin = 16;

    /// <summary>About the size of a merged object.</summary>
    const long MergedBytes = 8 << 20;

    /// <summary>What is as large as this stays as it is.</summary>
    const long LargeBytes = MergedBytes / 2;

    /// <summary>What is younger stays: a reader or a slow writer may be at work there.</summary>
    static readonly TimeSpan Youngest = TimeSpan.FromSeconds(30);

    /// <summary>An hour that ended so long ago gets no more objects, and is merged once for good.</summary>
    static readonly TimeSpan HourSettles = TimeSpan.FromHours(1);

    /// <param name="chain">The objects of a branch that nothing coarser covers, in order.</param>
    /// <param name="edges">Positions after which an object must end: snapshots stand there, and branches begin.</param>
    /// <param name="now">The time.</param>
    public static IReadOnlyList<CompactionRun> Find(
        IReadOnlyList<MergeCandidate> chain, IReadOnlySet<Position> edges, DateTimeOffset now)
    {
        var runs = new List<CompactionRun>();
        var run = new List<LogEntry>();
        var (bytes, units, place) = (0L, 0, 0L);
        var unit = new List<MergeCandidate>();

        // The last object of a log is never merged: whoever looks for the end of the log finds it by its number.
        foreach (var candidate in chain.SkipLast(1).TakeWhile(item => now - item.TimeLast >= Youngest))
        {
            unit.Add(candidate);
            if (candidate.Entry.IsMissing)
            {
                Close();
                unit.Clear();
            }

            if (!candidate.IsFinal || unit.Count == 0)
            {
                continue;
            }

            var unitBytes = unit.Sum(item => item.Entry.StoredBytes);
            var unitPlace = PlaceOf(unit[0], now);
            if (unitPlace != place || bytes + unitBytes > MergedBytes || unitBytes >= LargeBytes)
            {
                Close();
            }

            place = unitPlace;
            if (unitBytes < LargeBytes && (place != 0 || !candidate.Entry.IsCompacted))
            {
                run.AddRange(unit.Select(item => item.Entry));
                (bytes, units) = (bytes + unitBytes, units + 1);
            }
            else
            {
                Close();
            }

            unit.Clear();
            if (edges.Contains(candidate.PositionLast))
            {
                Close();
            }
        }

        Close();
        return runs;

        void Close()
        {
            if (units >= (place == 0 ? FreshMin : 2))
            {
                runs.Add(new CompactionRun([.. run], Kept: null));
            }

            run.Clear();
            (bytes, units) = (0, 0);
        }
    }

    /// <summary>The hour of an object whose hour has settled; 0 for a fresh one.</summary>
    static long PlaceOf(MergeCandidate candidate, DateTimeOffset now)
    {
        var hour = LadderUnits.IndexOf(Micros.Of(candidate.TimeFirst), Granularity.Hours) + 1;
        return DateTimeOffset.UnixEpoch + TimeSpan.FromHours(hour) + HourSettles <= now ? hour : 0;
    }
}
