using System.Security;

namespace Salvor.Cli.Schedules;

/// <summary>Property lists for launchd, see <c>launchd.plist(5)</c>.</summary>
static class LaunchAgents
{
    public static IReadOnlyList<ScheduleFile> Make(ScheduleSettings settings) =>
        [.. ScheduledJob.All.Select(job => new ScheduleFile($"salvor.{job.Name}.plist", Agent(settings, job)))];

    static string Agent(ScheduleSettings settings, ScheduledJob job) => $"""
        <?xml version="1.0" encoding="UTF-8"?>
        <!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
        <plist version="1.0">
        <dict>
          <key>Label</key>
          <string>salvor.{job.Name}</string>
          <key>ProgramArguments</key>
          <array>
        {string.Join('\n', settings.CommandOf(job).Select(word => $"    <string>{SecurityElement.Escape(word)}</string>"))}
          </array>
        {Time(job.Time)}
        </dict>
        </plist>

        """;

    static string Time(JobTime time)
    {
        if (time.EveryMinutes is { } minutes)
        {
            return $"  <key>StartInterval</key>\n  <integer>{minutes * 60}</integer>";
        }

        (string Key, int Value)[] parts =
        [
            .. time.Weekday is { } day ? [("Weekday", (int)day)] : ((string, int)[])[], ("Hour", time.Hour), ("Minute", time.Minute),
        ];
        var lines = parts.Select(part => $"    <key>{part.Key}</key>\n    <integer>{part.Value}</integer>\n");
        return $"  <key>StartCalendarInterval</key>\n  <dict>\n{string.Concat(lines)}  </dict>";
    }
}
