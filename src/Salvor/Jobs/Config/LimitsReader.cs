using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>Reads what is allowed before a source counts as unhealthy: each a time, or <c>off</c>.</summary>
static class LimitsReader
{
    public static readonly string[] Keys = ["rpo", "max_backup_age", "max_verify_age", "max_drill_age"];

    static readonly TimeSpan Max = TimeSpan.FromDays(100 * 365);

    /// <summary>Of a source that is backed up whole, now and then.</summary>
    /// <param name="source">Its keys.</param>
    /// <param name="schedule">When the daemon backs it up; null where somebody else does.</param>
    /// <param name="verifyEvery">How often the daemon verifies it; null where it does not.</param>
    /// <param name="hasLog">Whether what happens in between is kept too; else no commit waits.</param>
    public static HealthLimits Read(ConfigMapping source, ScheduleConfig? schedule, TimeSpan? verifyEvery, bool hasLog)
    {
        var verify = HealthLimits.For(TimeSpan.Zero, verifyEvery).VerifyAge!.Value;
        var backup = source.Has("max_backup_age") || schedule is null ? new HealthLimits().BackupAge!.Value : schedule.AgeMax();

        // What somebody else backs up may have no daemon that verifies it: that is to be said.
        var isVerified = verifyEvery is not null && (schedule is not null || source.Has("verify"));
        return HealthLimits.None with
        {
            Lag = hasLog ? Limit(source, "rpo", new HealthLimits().Lag) : null,
            BackupAge = Limit(source, "max_backup_age", backup),
            VerifyAge = isVerified || source.Has("max_verify_age") ? Limit(source, "max_verify_age", verify) : null,
            DrillAge = Limit(source, "max_drill_age", new HealthLimits().DrillAge),
            NeedsDrill = source.Has("max_drill_age"),
        };
    }

    /// <param name="source">Its keys.</param>
    /// <param name="snapshotEvery">How often it is backed up: less often than the limit would never be in time.</param>
    /// <param name="verifyEvery">How often the daemon verifies it; null where it does not.</param>
    public static HealthLimits Read(ConfigMapping source, TimeSpan snapshotEvery, TimeSpan? verifyEvery)
    {
        var otherwise = HealthLimits.For(snapshotEvery, verifyEvery);
        return new()
        {
            Lag = Limit(source, "rpo", otherwise.Lag),
            BackupAge = Limit(source, "max_backup_age", otherwise.BackupAge),
            VerifyAge = Limit(source, "max_verify_age", otherwise.VerifyAge),
            DrillAge = Limit(source, "max_drill_age", otherwise.DrillAge),
            NeedsDrill = source.Has("max_drill_age"),
        };
    }

    static TimeSpan? Limit(ConfigMapping source, string key, TimeSpan? value) => source.Value(key) is YamlScalarNode { Value: "off" }
        ? null
        : source.Duration(key, value!.Value, TimeSpan.FromMilliseconds(1), Max);
}
