using System.Net;
using Salvor.Jobs.Keys;

namespace Salvor.Jobs.Config;

/// <summary>Reads <c>metrics</c>: where the daemon answers, what others than this machine must know, and who is sent all.</summary>
static class MetricsReader
{
    const string Example = "127.0.0.1:9188";
    const string OtlpExample = "http://127.0.0.1:4318";
    const int TokenLengthMin = 16;

    /// <summary>Null where the configuration has none: nothing listens then.</summary>
    public static MetricsConfig? Read(ConfigDocument document, ConfigMapping root)
    {
        if (root.Value("metrics") is not { } node)
        {
            return null;
        }

        var metrics = new ConfigMapping(document, node, "metrics");
        metrics.CheckKeys(ConfigKeys.Metrics);
        var otlp = ReadOtlp(metrics);
        var listen = otlp is null || metrics.Has("listen") ? ReadListen(metrics) : null;
        var config = new MetricsConfig(
            listen,
            metrics.OptionalSecret("token", "${SALVOR_METRICS_TOKEN}") is { } token ? new SecretText(token) : null,
            metrics.OptionalPath("token_file", "/etc/salvor/metrics.token"), otlp);
        if (config is { Token: not null, TokenFile: not null })
        {
            throw metrics.Error("token_file", "metrics has both token and token_file", "Keep one of them.");
        }

        if (config.Token is { Value.Length: < TokenLengthMin })
        {
            throw metrics.Error(
                "token", $"token of metrics has fewer than {TokenLengthMin} characters", "Make one with 'openssl rand -hex 32'.");
        }

        return config is { Token: null, TokenFile: null } && listen is not null && !IPAddress.IsLoopback(listen.Address)
            ? throw metrics.Error(
                "listen",
                $"metrics listens on {listen}, where other machines reach it, and has no token",
                $"Add token_file: /etc/salvor/metrics.token, or write listen: {Example}.")
            : config;
    }

    static Uri? ReadOtlp(ConfigMapping metrics)
    {
        if (metrics.OptionalText("otlp", OtlpExample) is not { } text)
        {
            return null;
        }

        return Uri.TryCreate(text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" && url.UserInfo.Length == 0
            ? url
            : throw metrics.Error(
                "otlp",
                $"otlp of metrics is \"{text}\", which is not the URL of a collector",
                $"Write otlp: {OtlpExample}; what it must be told comes from OTEL_EXPORTER_OTLP_HEADERS.");
    }

    static IPEndPoint ReadListen(ConfigMapping metrics)
    {
        var text = metrics.Text("listen", Example);
        var colon = text.LastIndexOf(':');

        // What the platform takes besides is a trap: an address without a port, and 127.1 for 127.0.0.1.
        return colon > text.LastIndexOf(']') && IPEndPoint.TryParse(text, out var listen)
            && text[..colon].Trim('[', ']') == listen.Address.ToString()
            ? listen
            : throw metrics.Error(
                "listen",
                $"listen of metrics is \"{text}\", which is not an address and a port",
                $"Write listen: {Example}, or [::1]:9188.");
    }
}
