namespace Salvor.Jobs.Config;

/// <summary>What is allowed before a source counts as unhealthy; null where anything is.</summary>
public sealed record HealthLimits
{
    /// <summary>The age of the oldest commit that is not durable.</summary>
    public TimeSpan? Lag { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>The age of the last snapshot or backup that was made, or due and not needed.</summary>
    public TimeSpan? BackupAge { get; init; } = TimeSpan.FromHours(26);

    /// <summary>The age of the last verification that found nothing.</summary>
    public TimeSpan? VerifyAge { get; init; } = TimeSpan.FromHours(36);

    /// <summary>The age of the last drill that passed.</summary>
    public TimeSpan? DrillAge { get; init; } = TimeSpan.FromDays(35);

    /// <summary>Whether a source that was never drilled is too old too. Drills are made on request, so that is asked for.</summary>
    public bool NeedsDrill { get; init; }

    /// <summary>Nothing but that it lives.</summary>
    public static HealthLimits None { get; } = new() { Lag = null, BackupAge = null, VerifyAge = null, DrillAge = null };

    /// <summary>What is allowed where nothing is said, for a source that is backed up and verified this often.</summary>
    public static HealthLimits For(TimeSpan snapshotEvery, TimeSpan? verifyEvery)
    {
        var limits = new HealthLimits();
        return limits with
        {
            BackupAge = Later(limits.BackupAge!.Value, snapshotEvery + TimeSpan.FromHours(2)),
            VerifyAge = Later(limits.VerifyAge!.Value, (verifyEvery ?? TimeSpan.Zero) * 1.5),
        };

        static TimeSpan Later(TimeSpan a, TimeSpan b) => a > b ? a : b;
    }
}
