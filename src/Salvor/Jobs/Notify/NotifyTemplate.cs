using System.Text.Json;
using System.Text.RegularExpressions;
using Salvor.Text;

namespace Salvor.Jobs.Notify;

/// <summary>Texts with places for what a message says: <c>{source}</c>. Other braces are themselves, as JSON needs them.</summary>
static partial class NotifyTemplate
{
    /// <summary>What can stand in braces.</summary>
    public static readonly string[] Names =
    [
        "tag", "event", "problem", "source", "destination", "what", "message", "hint", "host", "run", "time", "since", "log", "subject",
        "body",
    ];

    /// <summary>The first name in a text that is none; null where all are known.</summary>
    public static string? UnknownIn(string template) =>
        Place().Matches(template).Select(match => match.Groups["name"].Value).FirstOrDefault(name => !Names.Contains(name));

    /// <summary>Whether it is a document of JSON, with places in it.</summary>
    public static bool IsJson(string template) => Place().Replace(template, "").AsSpan().TrimStart() is ['{' or '[', ..];

    /// <param name="template">The text.</param>
    /// <param name="message">What it says.</param>
    /// <param name="subject">The subject of the message; empty in a subject.</param>
    /// <param name="isJson">Whether what is put in stands between the quotes of JSON.</param>
    public static string Fill(string template, NotifyMessage message, string subject, bool isJson) =>
        Place().Replace(template, match => Escaped(ValueOf(match.Groups["name"].Value, message, subject), isJson));

    static string ValueOf(string name, NotifyMessage message, string subject) => name switch
    {
        "tag" => NotifyText.Tag(message.Kind),
        "event" => NotifyText.NameOf(message.Kind),
        "problem" => message.Problem,
        "source" => message.Source,
        "destination" => message.Destination,
        "what" => message.What,
        "message" => message.Text,
        "hint" => message.Hint,
        "host" => message.Host,
        "run" => message.Run,
        "time" => InstantText.Format(message.At),
        "since" => message.Since is { } since ? InstantText.Format(since) : "",
        "log" => string.Join('\n', message.Log),
        "subject" => subject,
        "body" => NotifyText.Body(message),
        _ => "",
    };

    static string Escaped(string text, bool isJson) => isJson ? JsonEncodedText.Encode(text).ToString() : text;

    [GeneratedRegex(@"\{(?<name>[a-z_]+)\}")]
    private static partial Regex Place();
}
