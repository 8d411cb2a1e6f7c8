using System.Diagnostics;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Jobs.Notify;
using Salvor.Server;

namespace Salvor.Cli.Commands;

/// <summary>
/// The HTTP side of the daemon. Only this class knows the web server, so that nothing of it is loaded by who does not ask for it.
/// </summary>
static class DaemonMetrics
{
    /// <summary>Begins to answer where the configuration says.</summary>
    public static async Task<IAsyncDisposable> StartAsync(
        Invocation invocation, MetricsConfig config, Func<SalvorConfig> current, ProtectionHost host, NotifyService notifying)
    {
        var reader = new HealthReader(invocation.Time);
        var server = await MetricsServer.StartAsync(config, new MetricsSources
        {
            // A folder that cannot be read is told by the daemon itself.
            Read = () => [.. HealthReader.Targets(current(), _ => { }).Select(reader.Read)],
            Process = Figures,
            Notifiers = notifying.Figures,
            Responds = () => host.Responds,
        });
        invocation.Tell($"metrics: {server.Address}/metrics");
        return server;
    }

    static ProcessFigures Figures()
    {
        using var process = Process.GetCurrentProcess();
        return new(process.StartTime, process.TotalProcessorTime, process.WorkingSet64);
    }
}
