using Salvor.Jobs.Drills;

namespace Salvor.Jobs.Config;

/// <summary>How a source is drilled: how often, what is checked then, and what counts as good.</summary>
public sealed record DrillConfig
{
    public static readonly TimeSpan EveryMin = TimeSpan.FromSeconds(1);
    public static readonly TimeSpan EveryMax = TimeSpan.FromDays(365);
    public static readonly TimeSpan Monthly = TimeSpan.FromDays(30);

    public const int KeepReportsDefault = 12;
    public const int KeepReportsMax = 1_000;
    public const int ShrinkPercentMax = 100;

    /// <summary>The time between two drills of the daemon; null: it makes none.</summary>
    public TimeSpan? Every { get; init; }

    /// <summary>What is asked of the restored database, in this order.</summary>
    public IReadOnlyList<SmokeCheck> Checks { get; init; } = [];

    /// <summary>How long a recovery may take; null where there is no target.</summary>
    public TimeSpan? Rto { get; init; }

    /// <summary>How much of the newest work may be lost; null where there is no target.</summary>
    public TimeSpan? Rpo { get; init; }

    /// <summary>A destination that was complete longer ago than this is STALE; null where any age will do.</summary>
    public TimeSpan? AgeMax { get; init; }

    /// <summary>
    /// By how many per cent a table may shrink since the drill that passed last. Null: by half, and more than that is worth a warning and
    /// no failure.
    /// </summary>
    public int? ShrinkPercent { get; init; }

    /// <summary>How many drills the history keeps.</summary>
    public int KeepReports { get; init; } = KeepReportsDefault;
}
