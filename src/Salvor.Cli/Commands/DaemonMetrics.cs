using System.Diagnostics;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Jobs.Notify;
using Salvor.Server;

namespace Salvor.Cli.Commands;

/// <summary>
/// The daemon's metrics, for those who ask over HTTP and for a collector. Only this class knows the web server and the exporter, so that
/// nothing of them is loaded by who does not ask for them.
/// </summary>
sealed class DaemonMetrics : IAsyncDisposable
{
    const string OtlpVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const string OtlpMetricsVariable = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";

    readonly MetricsServer? server;
    readonly HealthMeter meter;
    readonly MetricsExport? export;

    DaemonMetrics(MetricsServer? server, HealthMeter meter, MetricsExport? export) =>
        (this.server, this.meter, this.export) = (server, meter, export);

    /// <summary>Whether the environment names a collector.</summary>
    public static bool IsAskedByEnvironment => Environment.GetEnvironmentVariable(OtlpVariable) is { Length: > 0 }
        || Environment.GetEnvironmentVariable(OtlpMetricsVariable) is { Length: > 0 };

    /// <summary>Begins to answer, and to send, as the configuration and the environment say.</summary>
    public static async Task<DaemonMetrics> StartAsync(
        Invocation invocation, MetricsConfig? config, Func<SalvorConfig> current, ProtectionHost host, NotifyService notifying)
    {
        var reader = new HealthReader(invocation.Time);

        // A folder that cannot be read is told by the daemon itself.
        IReadOnlyList<SourceHealth> Read() => reader.ReadAll(current(), _ => { });
        var server = config?.Listen is null
            ? null
            : await MetricsServer.StartAsync(config, new MetricsSources
            {
                Read = Read, Process = Figures, Notifiers = notifying.Figures, Responds = () => host.Responds,
            });
        if (server is not null)
        {
            invocation.Tell($"metrics: {server.Address}/metrics");
        }

        var meter = new HealthMeter(Read, invocation.Time);
        var export = config?.Otlp is not null || IsAskedByEnvironment
            ? MetricsExport.Start(config?.Otlp, Read().Count)
            : null;
        return new(server, meter, export);
    }

    public async ValueTask DisposeAsync()
    {
        // The last figures are sent while there is something that tells them.
        export?.Dispose();
        meter.Dispose();
        if (server is not null)
        {
            await server.DisposeAsync();
        }
    }

    static ProcessFigures Figures()
    {
        using var process = Process.GetCurrentProcess();
        return new(process.StartTime, process.TotalProcessorTime, process.WorkingSet64);
    }
}
