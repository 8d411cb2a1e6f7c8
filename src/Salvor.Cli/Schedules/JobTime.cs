namespace Salvor.Cli.Schedules;

/// <summary>
/// When a job runs: every so many minutes, or once a day or a week at a time of the machine's clock. Kept so plain that every scheduler can
/// say it.
/// </summary>
/// <param name="EveryMinutes">Every so many minutes, a divisor of 60; null where it runs once.</param>
/// <param name="Hour">0 to 23.</param>
/// <param name="Minute">0 to 59.</param>
/// <param name="Weekday">The day of the week; null for every day.</param>
sealed record JobTime(int? EveryMinutes, int Hour, int Minute, DayOfWeek? Weekday)
{
    public static JobTime Every(int minutes) => new(minutes, 0, 0, null);

    public static JobTime Daily(int hour, int minute) => new(null, hour, minute, null);

    public static JobTime Weekly(DayOfWeek day, int hour, int minute) => new(null, hour, minute, day);

    /// <summary>The five fields of <c>crontab(5)</c>.</summary>
    public string Cron => EveryMinutes is { } minutes
        ? $"*/{minutes} * * * *"
        : $"{Minute} {Hour} * * {(Weekday is { } day ? ((int)day).ToString() : "*")}";

    /// <summary>The value of <c>OnCalendar</c>, see <c>systemd.time(7)</c>.</summary>
    public string Calendar => EveryMinutes is { } minutes
        ? $"*:0/{minutes}"
        : $"{(Weekday is { } day ? $"{day.ToString()[..3]} " : "")}*-*-* {Hour:00}:{Minute:00}:00";
}
