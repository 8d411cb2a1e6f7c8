namespace Salvor.Cli.Schedules;

/// <summary>
/// What runs by a clock, outside of the daemon: each is one plain command whose exit code says whether all is well, so that whoever runs it
/// can tell. A daemon that is dead cannot.
/// </summary>
/// <param name="Name">Its name, as a part of the names of units.</param>
/// <param name="Purpose">What it does, as units describe it.</param>
/// <param name="Time">When.</param>
/// <param name="Spread">By how much machines that were set up alike are kept from doing it at the same moment.</param>
/// <param name="Arguments">The verb and its options.</param>
sealed record ScheduledJob(string Name, string Purpose, JobTime Time, TimeSpan Spread, IReadOnlyList<string> Arguments)
{
    static readonly TimeSpan Soon = TimeSpan.FromSeconds(30);
    static readonly TimeSpan Minutes = TimeSpan.FromSeconds(300);

    /// <summary>The check is the one that pages; repair comes after the weekly verification, to heal what that found.</summary>
    public static IReadOnlyList<ScheduledJob> All { get; } =
    [
        new(
            "check", "check that backups are made and proved", JobTime.Every(5), Soon,
            ["status", "--check", "--max-lag", "10m", "--max-verify-age", "36h"]),
        new("verify", "verify every stored object", JobTime.Daily(2, 30), Minutes, ["verify"]),
        new(
            "verify-deep", "restore everything to scratch and check it", JobTime.Weekly(DayOfWeek.Sunday, 3, 30), Minutes,
            ["verify", "--deep", "--full"]),
        new("repair", "heal destinations from each other", JobTime.Weekly(DayOfWeek.Sunday, 5, 30), Minutes, ["repair"]),
    ];

    /// <summary>The job that this one follows, because it needs what that one finds out; null for none.</summary>
    public string? After => Name == "repair" ? "verify-deep" : null;
}
