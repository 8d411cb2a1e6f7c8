using System.Text.Json.Serialization;
using Salvor.Jobs.Config;
using Salvor.Text;

namespace Salvor.Jobs.Notify;

/// <summary>What a message is about. Printed and stored in lower case.</summary>
public enum NotifyKind
{
    /// <summary>Something fails.</summary>
    Failure,

    /// <summary>What was told before is over.</summary>
    Recovery,

    /// <summary>A verification or a drill did not run in time.</summary>
    Missed,

    /// <summary>Something is older than it may be.</summary>
    Stale,

    /// <summary>A backup, a verification or a drill went well.</summary>
    Success,

    /// <summary>Somebody tries whether messages arrive.</summary>
    Test,
}

/// <summary>One message to people: it names the cause and the next step. It is stored while it waits, and has no secret in it.</summary>
public sealed record NotifyMessage
{
    public required NotifyKind Kind { get; init; }

    /// <summary>What kind of problem it is or was, as <c>status --json</c> calls it; empty where there is none.</summary>
    public string Problem { get; init; } = "";

    /// <summary>The source, or a few words for several; empty where it is about none.</summary>
    public string Source { get; init; } = "";

    /// <summary>The destination; empty where it is about none.</summary>
    public string Destination { get; init; } = "";

    /// <summary>What happened, in a few words that follow the source's name: <c>backs off</c>.</summary>
    public required string What { get; init; }

    /// <summary>What happened, as a sentence without a full stop, or one for each source.</summary>
    public required string Text { get; init; }

    /// <summary>What to do about it.</summary>
    public string Hint { get; init; } = "";

    /// <summary>The machine.</summary>
    public required string Host { get; init; }

    /// <summary>Which run of which process tells it: <c>pid 4711 since 2026-08-01T10:30:00Z</c>.</summary>
    public required string Run { get; init; }

    public required DateTimeOffset At { get; init; }

    /// <summary>Since when it is wrong; null where it is not.</summary>
    public DateTimeOffset? Since { get; init; }

    /// <summary>The last lines of the log, oldest first.</summary>
    public IReadOnlyList<string> Log { get; init; } = [];

    /// <summary>What a recovery recovers from, which rules are about too.</summary>
    public NotifyKind Of { get; init; }

    /// <summary>Whether a notifier with these rules is told.</summary>
    public bool IsFor(NotifyRules rules) => Kind switch
    {
        NotifyKind.Failure => rules.Failure,
        NotifyKind.Missed => rules.Missed,
        NotifyKind.Stale => rules.Stale,
        NotifyKind.Success => rules.Success,

        // Whoever was not told of it is not told that it is over.
        NotifyKind.Recovery => rules.Recovery && (this with { Kind = Of }).IsFor(rules),
        _ => true,
    };
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, UseStringEnumConverter = true,
    Converters = [typeof(InstantJsonConverter)])]
[JsonSerializable(typeof(NotifyMessage))]
[JsonSerializable(typeof(QueuedMessage))]
[JsonSerializable(typeof(WatchMemory))]
[JsonSerializable(typeof(Dictionary<string, NotifierCounts>))]
[JsonSerializable(typeof(Dictionary<string, DateTimeOffset>))]
sealed partial class NotifyJson : JsonSerializerContext;
