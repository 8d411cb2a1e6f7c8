using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace Salvor.Storage;

/// <summary>What is said by whoever gives tokens: Entra ID, the machine, or Azure's command line, each in its own spelling.</summary>
static partial class AzureTokenAnswer
{
    const int BytesMax = 64 << 10;

    public static async Task<byte[]> ReadAsync(HttpContent content, CancellationToken cancellationToken) =>
        await ReadAsync(await content.ReadAsStreamAsync(cancellationToken), cancellationToken);

    /// <summary>All that comes; an answer that is too long to be one is cut, and then is none.</summary>
    public static async Task<byte[]> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        var buffer = new byte[BytesMax];
        return buffer[..await stream.ReadAtLeastAsync(buffer, BytesMax, throwOnEndOfStream: false, cancellationToken)];
    }

    /// <summary>Null where the answer has no token, or does not say until when it is good.</summary>
    public static AzureToken? TokenOf(byte[] body, TimeProvider time)
    {
        if (Parse(body) is not { } answer)
        {
            return null;
        }

        var expiresAt = NumberOf(answer, "expires_on") is { } seconds ? DateTimeOffset.UnixEpoch.AddSeconds(seconds)
            : NumberOf(answer, "expires_in") is { } left ? time.GetUtcNow().AddSeconds(left)
            : TimeOf(answer, "expiresOn");
        return (TextOf(answer, "access_token") ?? TextOf(answer, "accessToken")) is { Length: > 0 } text && expiresAt is { } at
            && text.All(c => c is > ' ' and <= '~')
            ? new(text, at)
            : null;
    }

    /// <summary>Why not, as far as it can be said without what was sent: a word of the protocol, a number of Entra ID.</summary>
    public static string ReasonOf(byte[] body)
    {
        if (Parse(body) is not { } answer)
        {
            return "";
        }

        var word = TextOf(answer, "error") is { Length: <= 64 } error && Word().IsMatch(error) ? $" {error}" : "";
        var number = Number().Match(TextOf(answer, "error_description") ?? "");
        return number.Success ? $"{word} ({number.Value})" : word;
    }

    static JsonElement? Parse(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    static string? TextOf(JsonElement answer, string name) =>
        answer.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A number of seconds, also where it is written as a text.</summary>
    static double? NumberOf(JsonElement answer, string name)
    {
        if (!answer.TryGetProperty(name, out var value) || value.ValueKind is not (JsonValueKind.String or JsonValueKind.Number))
        {
            return null;
        }

        return double.TryParse(value.ToString(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && number < uint.MaxValue
            ? number
            : null;
    }

    /// <summary>The older command line writes the local time.</summary>
    static DateTimeOffset? TimeOf(JsonElement answer, string name) => DateTimeOffset.TryParse(
        TextOf(answer, name), CultureInfo.InvariantCulture, DateTimeStyles.AssumeLocal, out var at) ? at : null;

    [GeneratedRegex("^[A-Za-z_]+$")]
    private static partial Regex Word();

    [GeneratedRegex("AADSTS[0-9]{1,10}")]
    private static partial Regex Number();
}
