using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using Salvor.Jobs.Health;
using Salvor.Sqlite;

namespace Salvor.Server;

/// <summary>
/// Sends the instruments of <see cref="HealthMeter"/> to a collector by OTLP, each minute and at the end. Headers, the interval and the
/// like come from the variables of OpenTelemetry (<c>OTEL_EXPORTER_OTLP_HEADERS</c>, <c>OTEL_METRIC_EXPORT_INTERVAL</c>).
/// </summary>
sealed class MetricsExport : IDisposable
{
    /// <summary>The runtime's own instruments: processor time, memory.</summary>
    const string RuntimeMeter = "System.Runtime";

    const string MetricsPath = "v1/metrics";

    /// <summary>No metric has more series for a database than this at a few destinations.</summary>
    const int SeriesPerDatabaseMax = 16;

    /// <summary>What OpenTelemetry keeps for each metric where nobody says anything. Series beyond it would be lost in silence.</summary>
    const int SeriesMin = 2000;

    static readonly TimeSpan SendTimeMax = TimeSpan.FromSeconds(5);

    readonly MeterProvider provider;

    MetricsExport(MeterProvider provider) => this.provider = provider;

    /// <summary>Begins to send.</summary>
    /// <param name="collector">The collector; null for the one of the environment.</param>
    /// <param name="databases">How many databases there are now.</param>
    public static MetricsExport Start(Uri? collector, int databases)
    {
        var series = Math.Max(SeriesMin, SeriesPerDatabaseMax * databases);
        return new(Sdk.CreateMeterProviderBuilder()
            .ConfigureResource(resource => resource.AddService(
                HealthMeter.Name, serviceVersion: LocalState.Version, autoGenerateServiceInstanceId: false,
                serviceInstanceId: Environment.MachineName))
            .AddMeter(HealthMeter.Name, RuntimeMeter)
            .AddView(_ => new MetricStreamConfiguration { CardinalityLimit = series })
            .AddOtlpExporter(options => Configure(options, collector))
            .Build());
    }

    /// <summary>Sends what there is once more.</summary>
    public void Dispose() => provider.Dispose();

    static void Configure(OtlpExporterOptions options, Uri? collector)
    {
        options.TimeoutMilliseconds = (int)SendTimeMax.TotalMilliseconds;
        if (collector is not null)
        {
            options.Protocol = OtlpExportProtocol.HttpProtobuf;
            options.Endpoint = EndpointOf(collector);
        }
    }

    /// <summary>A collector is named by its address; the path is OTLP's, unless one is given.</summary>
    static Uri EndpointOf(Uri collector) => collector.AbsolutePath == "/" ? new Uri(collector, MetricsPath) : collector;
}
