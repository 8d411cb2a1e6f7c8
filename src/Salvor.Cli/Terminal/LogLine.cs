using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Salvor.Text;

namespace Salvor.Cli.Terminal;

/// <summary>One event of the log, as the line that is printed.</summary>
sealed record LogLine(DateTimeOffset Time, LogLevel Level, string Message, Exception? Exception)
{
    /// <summary>The fields that every line has, and that a message may not use for its own.</summary>
    public static readonly IReadOnlyList<string> OwnFields = ["time", "level", "event_id", "event", "run", "message", "exception"];

    /// <summary>Which event it is; see docs/logs.md.</summary>
    public EventId Event { get; init; }

    /// <summary>What its message was made of, by name.</summary>
    public IReadOnlyList<KeyValuePair<string, object?>> Fields { get; init; } = [];

    /// <summary>A stack is for whoever reports a defect, who needs all of it; what we expect of the world has none worth reading.</summary>
    string Stack => Exception is null or SalvorException ? "" : $"{Exception}";

    string LevelName => Level switch
    {
        LogLevel.Critical or LogLevel.Error => "error",
        LogLevel.Warning => "warning",
        LogLevel.Information => "info",
        _ => "debug",
    };

    /// <summary>The number that journald takes for the level, from <c>syslog(3)</c>.</summary>
    public static int Priority(LogLevel level) => level switch
    {
        LogLevel.Critical or LogLevel.Error => 3,
        LogLevel.Warning => 4,
        LogLevel.Information => 6,
        _ => 7,
    };

    /// <summary>Time, level, message. In the journal the priority, and no time: it has its own.</summary>
    public string ToText(bool isJournal)
    {
        var begin = isJournal ? $"<{Priority(Level)}>" : $"{InstantText.Format(Time)} {LevelName} ";
        return begin + Message.ReplaceLineEndings(" ") + (Stack.Length > 0 ? $"\n{Stack}" : "");
    }

    /// <summary>One JSON document without a line break.</summary>
    /// <param name="run">Which process says it.</param>
    /// <param name="isJournal">Whether the priority stands before it, which journald takes off again.</param>
    public string ToJson(string run, bool isJournal)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            writer.WriteStartObject();
            writer.WriteString("time", InstantText.Format(Time));
            writer.WriteString("level", LevelName);
            writer.WriteNumber("event_id", Event.Id);
            writer.WriteString("event", Event.Name);
            writer.WriteString("run", run);
            writer.WriteString("message", Message);
            foreach (var (name, value) in Fields.Where(field => field.Key != "{OriginalFormat}"))
            {
                writer.WritePropertyName(JsonNamingPolicy.SnakeCaseLower.ConvertName(name));
                Write(writer, value);
            }

            if (Stack.Length > 0)
            {
                writer.WriteString("exception", Stack);
            }

            writer.WriteEndObject();
        }

        var json = Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length);
        return isJournal ? $"<{Priority(Level)}>{json}" : json;
    }

    static void Write(Utf8JsonWriter writer, object? value)
    {
        switch (value)
        {
            case null:
                writer.WriteNullValue();
                break;
            case int number:
                writer.WriteNumberValue(number);
                break;
            case long number:
                writer.WriteNumberValue(number);
                break;
            case uint number:
                writer.WriteNumberValue(number);
                break;
            case ulong number:
                writer.WriteNumberValue(number);
                break;
            case DateTimeOffset time:
                writer.WriteStringValue(InstantText.Format(time));
                break;
            default:
                writer.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture));
                break;
        }
    }
}
