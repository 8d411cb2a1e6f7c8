using System.Diagnostics.Metrics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Salvor.Jobs.Health;
using Salvor.Server;
using Salvor.Tests.Jobs.Health;

namespace Salvor.Tests.Server;

/// <summary>The metrics of the daemon for those who do not ask over HTTP.</summary>
public sealed class MetricsExportTests : IDisposable
{
    readonly HealthRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public void The_instruments_tell_what_Prometheus_is_told()
    {
        rig.WriteHealthy();
        var told = new List<string>();
        using var meter = new HealthMeter(() => [rig.Read()], rig.Time);
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, to) =>
        {
            if (instrument.Meter.Name == HealthMeter.Name)
            {
                to.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => told.Add(Line(instrument.Name, value, tags)));
        listener.Start();
        listener.RecordObservableInstruments();

        var printed = MetricsText.Write([rig.Read()]).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Where(line => line[0] != '#' && !line.StartsWith("salvor_build_info", StringComparison.Ordinal));
        Assert.Equal(printed.Order(StringComparer.Ordinal), told.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void All_instruments_of_a_round_tell_of_one_moment()
    {
        rig.WriteHealthy();
        var reads = 0;
        using var meter = new HealthMeter(
            () =>
            {
                reads++;
                return [rig.Read()];
            },
            rig.Time);
        using var listener = new MeterListener { InstrumentPublished = (instrument, to) => to.EnableMeasurementEvents(instrument) };
        listener.SetMeasurementEventCallback<double>((_, _, _, _) => { });
        listener.Start();
        listener.RecordObservableInstruments();
        listener.RecordObservableInstruments();
        Assert.Equal(1, reads);

        rig.Time.Advance(TimeSpan.FromSeconds(60));
        listener.RecordObservableInstruments();
        Assert.Equal(2, reads);
    }

    [Fact]
    public async Task A_collector_is_sent_every_source_at_the_latest_at_the_end()
    {
        rig.WriteHealthy();
        using var collector = new TcpListener(IPAddress.Loopback, 0);
        collector.Start();
        var received = ReceiveAsync(collector);
        using var meter = new HealthMeter(() => [rig.Read()], rig.Time);

        MetricsExport.Start(new Uri($"http://{collector.LocalEndpoint}"), databases: 1).Dispose();

        var request = await received.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        Assert.StartsWith("POST /v1/metrics HTTP/1.1\r\n", request, StringComparison.Ordinal);
        Assert.Contains("application/x-protobuf", request, StringComparison.Ordinal);
        Assert.All(
            ["salvor_replica_lag_seconds", "salvor_backup_total", "service.instance.id", "app", "local"],
            text => Assert.Contains(text, request, StringComparison.Ordinal));
    }

    [Fact]
    public void A_collector_that_is_away_holds_up_nothing_and_nobody()
    {
        rig.WriteHealthy();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        var nobody = taken.LocalEndpoint;
        taken.Stop();
        using var meter = new HealthMeter(() => [rig.Read()], rig.Time);

        MetricsExport.Start(new Uri($"http://{nobody}"), databases: 1).Dispose();
    }

    /// <summary>One request with its body, as letters; it is answered.</summary>
    static async Task<string> ReceiveAsync(TcpListener listener)
    {
        using var client = await listener.AcceptTcpClientAsync(TestContext.Current.CancellationToken);
        var stream = client.GetStream();
        var text = new StringBuilder();
        var buffer = new byte[64 << 10];
        while (!IsWhole(text.ToString()))
        {
            var count = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken);
            Assert.NotEqual(0, count);
            text.Append(Encoding.Latin1.GetString(buffer, 0, count));
        }

        await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"u8.ToArray());
        return text.ToString();
    }

    static bool IsWhole(string request)
    {
        const string length = "Content-Length: ";
        var (begin, end) = (request.IndexOf(length, StringComparison.Ordinal), request.IndexOf("\r\n\r\n", StringComparison.Ordinal));
        return begin > 0 && end > 0
            && request.Length >= end + 4
                + int.Parse(request[(begin + length.Length)..request.IndexOf('\r', begin)], CultureInfo.InvariantCulture);
    }

    /// <summary>A measurement as Prometheus is told it.</summary>
    static string Line(string name, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
    {
        var labels = string.Join(',', tags.ToArray().Select(tag => $"{tag.Key}=\"{tag.Value}\""));
        var number = double.IsPositiveInfinity(value) ? "+Inf" : Math.Round(value, 3).ToString("R", CultureInfo.InvariantCulture);
        return $"{name}{{{labels}}} {number}";
    }
}
