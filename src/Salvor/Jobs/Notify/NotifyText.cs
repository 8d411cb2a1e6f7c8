using System.Text;
using System.Text.Json;
using Salvor.Text;

namespace Salvor.Jobs.Notify;

/// <summary>What people read: a subject on one line, and a body that names the cause and the next step.</summary>
static class NotifyText
{
    public const int SubjectLengthMax = 200;
    const string SubjectDefault = "{tag} salvor: {source} {what}";

    /// <summary>What a subject begins with.</summary>
    public static string Tag(NotifyKind kind) => kind switch
    {
        NotifyKind.Recovery or NotifyKind.Success => "[OK]",
        NotifyKind.Test => "[TEST]",
        _ => "[ALERT]",
    };

    /// <summary>As it is printed: <c>failure</c>.</summary>
    public static string NameOf(NotifyKind kind) => JsonNamingPolicy.SnakeCaseLower.ConvertName(kind.ToString());

    /// <summary>One line, whatever is in a name.</summary>
    public static string Subject(NotifyMessage message, string? template)
    {
        var filled = NotifyTemplate.Fill(template ?? SubjectDefault, message, subject: "", isJson: false);
        var line = string.Join(' ', filled.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries).Select(Printable));
        return Cut(line, SubjectLengthMax);
    }

    /// <summary>All of it.</summary>
    public static string Body(NotifyMessage message)
    {
        var text = new StringBuilder();
        text.Append(message.Text).Append('\n');
        if (message.Hint.Length > 0)
        {
            text.Append("\nWhat to do: ").Append(message.Hint).Append('\n');
        }

        text.Append('\n');
        Line("source", message.Source);
        Line("destination", message.Destination);
        Line("event", message.Problem.Length > 0 ? $"{NameOf(message.Kind)} ({message.Problem})" : NameOf(message.Kind));
        Line("since", message.Since is { } since ? InstantText.Format(since) : "");
        Line("time", InstantText.Format(message.At));
        Line("host", message.Host);
        Line("run", message.Run);
        if (message.Log.Count > 0)
        {
            text.Append("\nThe last ").Append(message.Log.Count).Append(" line(s) of the log:\n");
            foreach (var line in message.Log)
            {
                text.Append("  ").Append(line).Append('\n');
            }
        }

        return text.ToString();

        void Line(string name, string value)
        {
            if (value.Length > 0)
            {
                text.Append(name).Append(':').Append(' ', 13 - name.Length).Append(value).Append('\n');
            }
        }
    }

    /// <summary>The beginning of a text, where a service takes no more; never half of a character.</summary>
    public static string Cut(string text, int lengthMax)
    {
        if (text.Length <= lengthMax)
        {
            return text;
        }

        var length = lengthMax - 3;
        return $"{text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)]}...";
    }

    static string Printable(string word) => new([.. word.Where(c => !char.IsControl(c))]);
}
