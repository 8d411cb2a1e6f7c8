namespace Salvor.Cli.Schedules;

/// <summary>Tables for cron. Each job prints nothing when all is well, so that what cron mails is what is wrong.</summary>
static class CronTables
{
    const string Header = """
        # Salvor: checks from outside of the daemon, which cannot tell by itself that it is dead. What fails is mailed to MAILTO.
        SHELL=/bin/sh
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
        MAILTO=root

        """;

    /// <summary>A file for <c>/etc/cron.d</c>: with variables and a column for the user.</summary>
    public static string Directory(ScheduleSettings settings) => Header + System(settings);

    /// <summary>Lines to append to <c>/etc/crontab</c>, which has variables of its own and a column for the user.</summary>
    public static string System(ScheduleSettings settings) => Lines(settings, $"{settings.User} ");

    /// <summary>Lines for the table of one user (<c>crontab -e</c>), without that column.</summary>
    public static string OfUser(ScheduleSettings settings) => Lines(settings, "");

    static string Lines(ScheduleSettings settings, string user) =>
        string.Concat(ScheduledJob.All.Select(job => $"{job.Time.Cron} {user}{settings.LineOf(job)} --quiet\n"));
}
