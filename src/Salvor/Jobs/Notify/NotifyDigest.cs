namespace Salvor.Jobs.Notify;

/// <summary>Makes messages of what is to be told: one for each, but one for all where the same happened to many sources at once.</summary>
static class NotifyDigest
{
    /// <summary>So many of one kind are told one by one.</summary>
    const int SingleMax = 3;

    const int LinesMax = 30;

    public static IReadOnlyList<NotifyMessage> Of(
        IReadOnlyList<WatchEvent> events, DateTimeOffset now, string run, IReadOnlyList<string> log) =>
    [
        .. events.GroupBy(item => (item.Kind, item.Of, item.Problem, item.What)).SelectMany(group =>
        {
            WatchEvent[] all = [.. group];
            return all.Length <= SingleMax ? all : [Join(all)];
        }).Select(item => Make(item, now, run, log)),
    ];

    static WatchEvent Join(WatchEvent[] all)
    {
        string[] sources = [.. all.Select(item => item.Source).Distinct()];
        string[] destinations = [.. all.Select(item => item.Destination).Where(name => name.Length > 0).Distinct()];
        string[] lines = [.. all.Take(LinesMax).Select(item => item.Text)];
        return all[0] with
        {
            Source = $"{sources.Length} sources",
            Destination = destinations.Length <= LinesMax ? string.Join(", ", destinations) : $"{destinations.Length} destinations",
            What = $"({sources[0]}, .. {sources[^1]}): {all[0].What}",
            Text = string.Join('\n', all.Length > LinesMax ? [.. lines, $"and {all.Length - LinesMax} more"] : lines),
            Since = all.Min(item => item.Since),
        };
    }

    static NotifyMessage Make(WatchEvent item, DateTimeOffset now, string run, IReadOnlyList<string> log) => new()
    {
        Kind = item.Kind,
        Of = item.Of,
        Problem = item.Problem,
        Source = item.Source,
        Destination = item.Destination,
        What = item.What,
        Text = item.Text,
        Hint = item.Hint,
        Host = Environment.MachineName,
        Run = run,
        At = now,
        Since = item.Since,

        // What went well needs no explanation.
        Log = item.Kind == NotifyKind.Success ? [] : log,
    };
}
