using Salvor.Text;

namespace Salvor.Jobs.Notify;

/// <summary>A problem that was seen.</summary>
public sealed record SeenProblem
{
    public required NotifyKind Kind { get; init; }

    public required string Problem { get; init; }

    public required string Source { get; init; }

    public string Destination { get; init; } = "";

    public required string Text { get; init; }

    public string Hint { get; init; } = "";

    /// <summary>When it was seen first.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>When people were told last; null where they were not yet.</summary>
    public DateTimeOffset? ToldAt { get; init; }

    /// <summary>Since when it is not seen any more; null while it is.</summary>
    public DateTimeOffset? GoneSince { get; init; }
}

/// <summary>What is known of a source that nothing need be wrong with.</summary>
/// <param name="FirstSeen">Since when it is watched.</param>
/// <param name="BackedUpAt">The backup that was told of last.</param>
/// <param name="VerifiedAt">The verification.</param>
/// <param name="DrilledAt">The drill.</param>
public sealed record SeenSource(
    DateTimeOffset FirstSeen, DateTimeOffset? BackedUpAt, DateTimeOffset? VerifiedAt, DateTimeOffset? DrilledAt);

/// <summary>What was seen up to now: it survives a restart, so that nothing is told twice.</summary>
public sealed record WatchMemory
{
    public IReadOnlyList<SeenProblem> Open { get; init; } = [];

    public IReadOnlyDictionary<string, SeenSource> Sources { get; init; } = new Dictionary<string, SeenSource>();
}

/// <summary>What a look found: what to tell, and what to remember.</summary>
/// <param name="Told">What is told, one for each source.</param>
/// <param name="Memory">What the next look is compared with.</param>
/// <param name="IsPending">Whether something was seen that is told only if it lasts.</param>
sealed record WatchResult(IReadOnlyList<WatchEvent> Told, WatchMemory Memory, bool IsPending);

/// <summary>Something to tell.</summary>
/// <param name="Kind">What it is about.</param>
/// <param name="Of">What a recovery recovers from; else the same.</param>
/// <param name="Problem">What kind of problem it is or was; empty where there is none.</param>
/// <param name="Source">The source.</param>
/// <param name="Destination">The destination; empty where it is about none.</param>
/// <param name="What">What happened, in words that follow the name of the source.</param>
/// <param name="Text">The same as a sentence without a full stop.</param>
/// <param name="Hint">What to do about it.</param>
/// <param name="Since">Since when; null where nothing is wrong.</param>
sealed record WatchEvent(
    NotifyKind Kind, NotifyKind Of, string Problem, string Source, string Destination, string What, string Text, string Hint,
    DateTimeOffset? Since);

/// <summary>
/// Compares what is wrong now with what was wrong before: a problem is told once when it has lasted, again after some time while it
/// lasts, and once when it has been over for as long. So one that comes and goes does not fill a mailbox.
/// </summary>
/// <param name="After">How long it must last, or be over.</param>
/// <param name="RemindEvery">How often it is told again; null: never.</param>
sealed record ProblemWatch(TimeSpan After, TimeSpan? RemindEvery)
{
    /// <param name="memory">What was seen before.</param>
    /// <param name="problems">What is wrong now.</param>
    /// <param name="isJudged">Whether it was looked whether this is still wrong; where it was not, it stays as it was.</param>
    /// <param name="isThere">Whether a source is still configured.</param>
    /// <param name="now">The time now.</param>
    public WatchResult Look(
        WatchMemory memory, IReadOnlyList<NotifyProblem> problems, Func<SeenProblem, bool> isJudged, Func<string, bool> isThere,
        DateTimeOffset now)
    {
        var told = new List<WatchEvent>();
        var open = new List<SeenProblem>();
        var before = memory.Open.Where(seen => isThere(seen.Source)).ToList();
        foreach (var seen in before)
        {
            var current = problems.FirstOrDefault(problem => IsSame(seen, problem));
            if (current is null && !isJudged(seen))
            {
                open.Add(seen);
            }
            else if ((current is null ? Gone(seen, now, told) : Lasts(seen, current, now, told)) is { } kept)
            {
                open.Add(kept);
            }
        }

        foreach (var problem in problems.Where(problem => !before.Any(seen => IsSame(seen, problem))))
        {
            open.Add(Lasts(First(problem, now), problem, now, told));
        }

        var isPending = open.Any(seen => seen.ToldAt is null || seen.GoneSince is not null);
        return new(told, memory with { Open = open }, isPending);
    }

    SeenProblem Lasts(SeenProblem seen, NotifyProblem current, DateTimeOffset now, List<WatchEvent> told)
    {
        // A clock that was set back must not silence anything.
        seen = seen with { Text = current.Text, Hint = current.Hint, GoneSince = null, Since = Earlier(seen.Since, now) };
        var isDue = seen.ToldAt is { } last ? now - Earlier(last, now) >= RemindEvery : now - seen.Since >= After;
        if (!isDue)
        {
            return seen with { ToldAt = seen.ToldAt is { } known ? Earlier(known, now) : null };
        }

        var still = seen.ToldAt is null ? "" : "still ";
        told.Add(new(
            seen.Kind, seen.Kind, seen.Problem, seen.Source, seen.Destination, still + NotifyProblems.What(seen.Problem), seen.Text,
            seen.Hint, seen.Since));
        return seen with { ToldAt = now };
    }

    SeenProblem? Gone(SeenProblem seen, DateTimeOffset now, List<WatchEvent> told)
    {
        var since = Earlier(seen.GoneSince ?? now, now);
        if (now - since < After)
        {
            // Also where nobody was told yet: what comes and goes faster than it may last is wrong all the time.
            return seen with { GoneSince = since };
        }

        if (seen.ToldAt is null)
        {
            return null;
        }

        var time = DurationText.FormatShort(TimeSpan.FromSeconds(Math.Max(0, Math.Round((since - seen.Since).TotalSeconds))));
        told.Add(new(
            NotifyKind.Recovery, seen.Kind, seen.Problem, seen.Source, seen.Destination,
            $"is well again ({seen.Problem.Replace('_', ' ')})",
            $"over after {time}: {seen.Text}", "", seen.Since));
        return null;
    }

    static SeenProblem First(NotifyProblem problem, DateTimeOffset now) => new()
    {
        Kind = problem.Kind,
        Problem = problem.Problem,
        Source = problem.Source,
        Destination = problem.Destination,
        Text = problem.Text,
        Hint = problem.Hint,
        Since = now,
    };

    static DateTimeOffset Earlier(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;

    static bool IsSame(SeenProblem seen, NotifyProblem problem) =>
        seen.Problem == problem.Problem && seen.Source == problem.Source && seen.Destination == problem.Destination;
}
