using Salvor.Tests.Tidy;

namespace Salvor.Tests.Support;

/// <summary>Asks Prometheus which of the shipped alerts fire for what Salvor said of itself.</summary>
static class AlertRules
{
    /// <summary>The series of a page of metrics, and their values.</summary>
    public static Dictionary<string, string> Values(string text) => text.Split('\n').Where(line => line.Length > 0 && line[0] != '#')
        .ToDictionary(line => line[..line.LastIndexOf(' ')], line => line[(line.LastIndexOf(' ') + 1)..]);

    /// <summary>Lets Prometheus see this for three hours, and asks which alerts fire then.</summary>
    /// <param name="scratch">A path for the question.</param>
    /// <param name="text">What was said: all of it stays as it is, but a lock that is held grows older.</param>
    /// <param name="before">What was said until half an hour before the end; null for the same.</param>
    /// <param name="alerts">The names that are expected, and no others.</param>
    public static async Task ExpectFiringAsync(string scratch, string text, string? before, params string[] alerts)
    {
        var (earlier, later) = (Values(before ?? text), Values(text));
        var series = earlier.Keys.Union(later.Keys).Order(StringComparer.Ordinal)
            .Select(name => $"      - {{ series: '{name}', values: '{Samples(name, earlier, 150)} {Samples(name, later, 60)}' }}");
        var expected = alerts.Select(alert => $"          - {{ labels: '{{alertname=\"{alert}\"}}', value: 1 }}");
        await File.WriteAllTextAsync(
            scratch,
            $"""
            rule_files: ['{Path.Combine(Checkout.Root, "packaging/prometheus/alerts.yml")}']
            evaluation_interval: 1m
            tests:
              - interval: 1m
                input_series:
            {string.Join('\n', series)}
                promql_expr_test:
                  - expr: group by (alertname) (ALERTS{"{"}alertstate="firing"{"}"})
                    eval_time: 3h
                    exp_samples:
            {string.Join('\n', expected)}

            """);
        var result = await ChildProcess.RunAsync("promtool", ["test", "rules", scratch]);
        Assert.True(result.ExitCode == 0, $"{result}\n{text}");
    }

    static string Samples(string name, Dictionary<string, string> values, int minutes)
    {
        var grows = name.StartsWith("salvor_lock_age_seconds", StringComparison.Ordinal) ? 60 : 0;
        return values.TryGetValue(name, out var value)
            ? $"{value.Replace("+Inf", "Inf", StringComparison.Ordinal)}+{grows}x{minutes}"
            : $"_x{minutes}";
    }
}
