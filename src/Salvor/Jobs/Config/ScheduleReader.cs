using Salvor.Text;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>Reads when the daemon backs up a source.</summary>
static class ScheduleReader
{
    const string CronExample = "\"30 2 * * *\"";

    static readonly TimeSpan EveryMin = TimeSpan.FromMinutes(1);
    static readonly TimeSpan EveryMax = TimeSpan.FromDays(365);

    /// <summary><c>every 15m</c>, five fields of cron in UTC, <c>off</c>, or a mapping. Null where it says nothing.</summary>
    public static ScheduleConfig? Read(ConfigDocument document, ConfigMapping source, string name, string owner)
    {
        switch (source.Value("schedule"))
        {
            case null or YamlScalarNode { Value: "off" }:
                return null;
            case YamlMappingNode node:
                return ReadMapping(document, new ConfigMapping(document, node, $"schedule of {owner}"), name);
            default:
                var text = source.Text("schedule", "every 15m");
                return Timetable.TryParse(text, TimeZoneInfo.Utc, out var times)
                    ? new ScheduleConfig(name, times)
                    : throw source.Error("schedule", $"schedule of {owner} is \"{text}\", which names no times", Timetable.Hint);
        }
    }

    static ScheduleConfig ReadMapping(ConfigDocument document, ConfigMapping schedule, string name)
    {
        schedule.CheckKeys(ConfigKeys.Schedule);
        var jitter = schedule.Duration("jitter", TimeSpan.Zero, TimeSpan.Zero, ScheduleConfig.JitterMax);
        var times = ReadTimes(document, schedule);
        return jitter < times.Every || times.Every is null
            ? new ScheduleConfig(name, times)
            {
                Jitter = jitter, CatchesUp = schedule.Choice("catch_up", true, ("true", true), ("false", false)),
            }
            : throw schedule.Error(
                "jitter", $"jitter of {schedule.Owner} is as long as the time between two", "Write a shorter one, for example jitter: 1m.");
    }

    static Timetable ReadTimes(ConfigDocument document, ConfigMapping schedule)
    {
        var cron = schedule.OptionalText("cron", CronExample);
        if (cron is null == !schedule.Has("every"))
        {
            throw document.Error(
                schedule.Node, $"{schedule.Owner} has {(cron is null ? "neither cron nor every" : "both cron and every")}",
                $"Write schedule: {{ cron: {CronExample} }}, or {{ every: 15m }}.");
        }

        var zone = ReadZone(schedule);
        if (cron is not null)
        {
            return Timetable.TryParse(cron, zone, out var table)
                ? table
                : throw schedule.Error("cron", $"cron of {schedule.Owner} is \"{cron}\", which names no times", Timetable.Hint);
        }

        var every = $"every {DurationText.Format(schedule.Duration("every", TimeSpan.FromMinutes(15), EveryMin, EveryMax))}";
        return Timetable.TryParse(every, zone, out var times) ? times : throw new InvalidOperationException($"'{every}' was read");
    }

    static TimeZoneInfo ReadZone(ConfigMapping schedule)
    {
        if (schedule.OptionalText("time_zone", "Europe/Berlin") is not { } id)
        {
            return TimeZoneInfo.Utc;
        }

        return TimeZoneInfo.TryFindSystemTimeZoneById(id, out var zone)
            ? zone
            : throw schedule.Error(
                "time_zone", $"time_zone of {schedule.Owner} is \"{id}\", which this machine does not know",
                "Write a name of the tz database, for example Europe/Berlin; it is the package tzdata that has them.");
    }
}
