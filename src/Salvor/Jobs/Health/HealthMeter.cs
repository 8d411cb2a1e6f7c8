using System.Diagnostics.Metrics;
using Salvor.Sqlite;

namespace Salvor.Jobs.Health;

/// <summary>
/// What <see cref="MetricsText"/> prints, as instruments of the platform, for whoever listens to the meter <c>salvor</c>: an exporter, or a
/// tool that attaches to the process.
/// </summary>
sealed class HealthMeter : IDisposable
{
    public const string Name = "salvor";

    /// <summary>Each instrument is asked by itself, and all of one round are to tell of the same moment.</summary>
    static readonly TimeSpan RoundTime = TimeSpan.FromSeconds(1);

    readonly Meter meter = new(Name, LocalState.Version);
    readonly Func<IReadOnlyList<SourceHealth>> read;
    readonly TimeProvider time;
    readonly Lock gate = new();
    (IReadOnlyList<SourceHealth> Sources, long ReadAt)? round;

    /// <param name="read">How the sources fare now.</param>
    /// <param name="time">Tells when a round is over.</param>
    public HealthMeter(Func<IReadOnlyList<SourceHealth>> read, TimeProvider time)
    {
        (this.read, this.time) = (read, time);
        foreach (var family in MetricFamilies.All)
        {
            _ = family.Type == "counter"
                ? (Instrument)meter.CreateObservableCounter(family.Name, () => Observe(family), unit: null, family.Help)
                : meter.CreateObservableGauge(family.Name, () => Observe(family), unit: null, family.Help);
        }
    }

    public void Dispose() => meter.Dispose();

    IEnumerable<Measurement<double>> Observe(MetricFamily family) =>
        from source in Sources()
        from sample in family.Samples(source)
        select new Measurement<double>(sample.Value, TagsOf(source, sample));

    static KeyValuePair<string, object?>[] TagsOf(SourceHealth source, MetricSample sample) =>
        [new("source", source.Source), .. sample.Labels.Select(label => new KeyValuePair<string, object?>(label.Name, label.Value))];

    IReadOnlyList<SourceHealth> Sources()
    {
        lock (gate)
        {
            if (round is not { } known || time.GetElapsedTime(known.ReadAt) >= RoundTime)
            {
                round = known = (read(), time.GetTimestamp());
            }

            return known.Sources;
        }
    }
}
