using System.Globalization;
using System.Text;
using Salvor.Jobs.Notify;
using Salvor.Sqlite;

namespace Salvor.Jobs.Health;

/// <summary>
/// The text that Prometheus reads: https://prometheus.io/docs/instrumenting/exposition_formats. The endpoint of a daemon and
/// <c>salvor status --prom</c> print the same.
/// </summary>
static class MetricsText
{
    public const string ContentType = "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>All metrics of these sources, and which release says so.</summary>
    public static string Write(IReadOnlyList<SourceHealth> sources)
    {
        var text = new StringBuilder(1024 + (2048 * sources.Count));
        Head(text, "salvor_build_info", "gauge", "The release; always 1.");
        text.Append("salvor_build_info{version=\"").Append(LocalState.Version).Append("\"} 1\n");
        foreach (var family in MetricFamilies.All)
        {
            var isFirst = true;
            foreach (var source in sources)
            {
                foreach (var sample in family.Samples(source))
                {
                    if (isFirst)
                    {
                        Head(text, family.Name, family.Type, family.Help);
                        isFirst = false;
                    }

                    Write(text, family.Name, source.Source, sample);
                }
            }
        }

        return text.ToString();
    }

    /// <summary>What became of messages to people; nothing where nobody is told.</summary>
    public static string WriteNotifiers(IReadOnlyList<NotifierFigures> notifiers)
    {
        var text = new StringBuilder();
        Each("salvor_notifications_sent_total", "counter", "Messages that arrived.", item => item.Counts.Sent);
        Each("salvor_notifications_failed_total", "counter", "Attempts to tell something that failed.", item => item.Counts.Failed);
        Each("salvor_notifications_dropped_total", "counter", "Messages that were given up.", item => item.Counts.Dropped);
        Each("salvor_notifications_queued", "gauge", "Messages that wait.", item => item.Queued);
        return text.ToString();

        void Each(string name, string type, string help, Func<NotifierFigures, long> value)
        {
            if (notifiers.Count > 0)
            {
                Head(text, name, type, help);
            }

            foreach (var item in notifiers)
            {
                text.Append(name).Append("{notifier=\"");
                Escape(text, item.Name);
                text.Append("\"} ").Append(Number(value(item))).Append('\n');
            }
        }
    }

    /// <summary>What Prometheus shows of every process that it watches.</summary>
    public static string WriteProcess(ProcessFigures process)
    {
        var text = new StringBuilder();
        var started = process.StartedAt.ToUnixTimeMilliseconds() / 1000.0;
        Single("process_start_time_seconds", "gauge", "When the process started, since 1970.", started);
        Single("process_cpu_seconds_total", "counter", "Processor time that the process has used.", process.ProcessorTime.TotalSeconds);
        Single("process_resident_memory_bytes", "gauge", "Resident memory of the process.", process.ResidentBytes);
        return text.ToString();

        void Single(string name, string type, string help, double value)
        {
            Head(text, name, type, help);
            text.Append(name).Append(' ').Append(Number(value)).Append('\n');
        }
    }

    static void Head(StringBuilder text, string name, string type, string help) =>
        text.Append("# HELP ").Append(name).Append(' ').Append(help).Append("\n# TYPE ").Append(name).Append(' ').Append(type).Append('\n');

    static void Write(StringBuilder text, string name, string source, MetricSample sample)
    {
        text.Append(name).Append("{source=\"");
        Escape(text, source);
        foreach (var (label, value) in sample.Labels)
        {
            text.Append("\",").Append(label).Append("=\"");
            Escape(text, value);
        }

        text.Append("\"} ").Append(Number(sample.Value)).Append('\n');
    }

    static void Escape(StringBuilder text, string value)
    {
        foreach (var c in value)
        {
            _ = c switch
            {
                '\\' => text.Append("\\\\"),
                '"' => text.Append("\\\""),
                '\n' => text.Append("\\n"),
                _ => text.Append(c),
            };
        }
    }

    static string Number(double value) =>
        double.IsPositiveInfinity(value) ? "+Inf" : Math.Round(value, 3).ToString("R", CultureInfo.InvariantCulture);
}

/// <summary>What a process has used.</summary>
/// <param name="StartedAt">When it started.</param>
/// <param name="ProcessorTime">The processor time of all its threads.</param>
/// <param name="ResidentBytes">Its memory.</param>
readonly record struct ProcessFigures(DateTimeOffset StartedAt, TimeSpan ProcessorTime, long ResidentBytes);
