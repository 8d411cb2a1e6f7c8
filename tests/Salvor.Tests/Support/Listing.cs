using System.Text.Json;

namespace Salvor.Tests.Support;

/// <summary>A run of restore points, as <c>list --json</c> offers it.</summary>
sealed record ListedSpan(int Branch, long FromPosition, long ToPosition, DateTimeOffset From, DateTimeOffset To, string Granularity);

/// <summary>What <c>list --json</c> offers of one vault.</summary>
sealed record Listing(IReadOnlyList<ListedSpan> Spans)
{
    static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static Listing Parse(string json) =>
        JsonSerializer.Deserialize<Listing>(json, Json) ?? throw new JsonException("the listing is null");

    /// <summary>One of the offered moments, by position or by time.</summary>
    public RestoreMoment Pick(Random random)
    {
        var span = Spans[random.Next(Spans.Count)];
        if (random.Next(2) == 0)
        {
            return new(span.Branch, random.NextInt64(span.FromPosition, span.ToPosition + 1), null);
        }

        var micros = (span.To - span.From).Ticks / TimeSpan.TicksPerMicrosecond;
        return new(span.Branch, null, span.From.AddMicroseconds(random.NextInt64(micros + 1)));
    }

    /// <summary>Whether a restore has to name the branch: only one that is not the newest.</summary>
    public bool IsNewestBranch(int branch) => branch == Spans.Max(span => span.Branch);
}

/// <summary>What a restore aims at: a position, a time, or the newest state.</summary>
sealed record RestoreMoment(int? Branch, long? Position, DateTimeOffset? Timestamp)
{
    public static readonly RestoreMoment Latest = new(null, null, null);

    public override string ToString() =>
        Position is not null ? $"position {Position}" : Timestamp is not null ? $"time {Timestamp:O}" : "latest";
}
