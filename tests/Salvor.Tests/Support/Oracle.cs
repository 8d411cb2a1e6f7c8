using System.Globalization;
using System.Text.Json;

namespace Salvor.Tests.Support;

/// <summary>What may be in a restored database, beside being a state that was really committed.</summary>
sealed record Bounds
{
    public long? AtLeast { get; init; }

    public long? AtMost { get; init; }

    public DateTimeOffset? NotAfter { get; init; }

    /// <summary>The file is a database in use, to be read with its write-ahead log.</summary>
    public bool Live { get; init; }
}

/// <summary>The oracle's judgement of one database. <c>Seq</c> is the last commit in it.</summary>
sealed record Verdict(bool Ok, long Seq, long Rows, IReadOnlyList<string> Errors);

/// <summary>Judges databases by the ledgers of their writers; see <c>Tools/oracle.py</c>.</summary>
static class Oracle
{
    static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.Web);

    public static async Task<Verdict> JudgeAsync(string database, IEnumerable<string> ledgers, Bounds? bounds = null)
    {
        var result = await Tool.RunAsync("oracle.py", [database, .. ledgers, .. Arguments(bounds ?? new())]);
        Assert.True(result.ExitCode is 0 or 1 && result.Stdout.StartsWith('{'), $"the oracle failed: {result}");
        var verdict = JsonSerializer.Deserialize<Verdict>(result.Stdout, Json)!;
        Assert.Equal(result.ExitCode == 0, verdict.Ok);
        return verdict;
    }

    static IEnumerable<string> Arguments(Bounds bounds)
    {
        if (bounds.AtLeast is { } least)
        {
            yield return $"--at-least={least}";
        }

        if (bounds.AtMost is { } most)
        {
            yield return $"--at-most={most}";
        }

        if (bounds.NotAfter is { } target)
        {
            var micros = (target - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
            yield return $"--not-after={micros.ToString(CultureInfo.InvariantCulture)}";
        }

        if (bounds.Live)
        {
            yield return "--live";
        }
    }
}
