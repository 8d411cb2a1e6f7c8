using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>Reads what is allowed before a source counts as unhealthy: each a time, or <c>off</c>.</summary>
static class LimitsReader
{
    public static readonly string[] Keys = ["rpo", "max_backup_age", "max_verify_age", "max_drill_age"];

    static readonly TimeSpan Max = TimeSpan.FromDays(100 * 365);

    /// <summary>Of a source of which there are backups and nothing else.</summary>
    public static HealthLimits ReadBackupAge(ConfigMapping source) => HealthLimits.None with
    {
        BackupAge = source.Value("max_backup_age") is YamlScalarNode { Value: "off" }
            ? null
            : source.Duration("max_backup_age", new HealthLimits().BackupAge!.Value, TimeSpan.FromMilliseconds(1), Max),
    };

    /// <param name="source">Its keys.</param>
    /// <param name="snapshotEvery">How often it is backed up: less often than the limit would never be in time.</param>
    /// <param name="verifyEvery">How often the daemon verifies it; null where it does not.</param>
    public static HealthLimits Read(ConfigMapping source, TimeSpan snapshotEvery, TimeSpan? verifyEvery)
    {
        var otherwise = HealthLimits.For(snapshotEvery, verifyEvery);
        return new()
        {
            Lag = Limit("rpo", otherwise.Lag),
            BackupAge = Limit("max_backup_age", otherwise.BackupAge),
            VerifyAge = Limit("max_verify_age", otherwise.VerifyAge),
            DrillAge = Limit("max_drill_age", otherwise.DrillAge),
            NeedsDrill = source.Has("max_drill_age"),
        };

        TimeSpan? Limit(string key, TimeSpan? value) => source.Value(key) is YamlScalarNode { Value: "off" }
            ? null
            : source.Duration(key, value!.Value, TimeSpan.FromMilliseconds(1), Max);
    }
}
