using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Jobs.Drills.Reports;

namespace Salvor.Jobs.Drills;

/// <summary>The message of a drill that did not pass, as chats take it.</summary>
public sealed record WebhookMessage(string Text);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(WebhookMessage))]
sealed partial class WebhookJson : JsonSerializerContext;

/// <summary>Posts the message. Whether that works changes nothing about the drill; where it does not, it is told.</summary>
public static class DrillWebhook
{
    static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    /// <param name="url">Where to; it may hold a secret, so messages name its host alone.</param>
    /// <param name="record">The drill.</param>
    /// <param name="failed">Told why the message did not arrive.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static async Task PostAsync(Uri url, DrillRecord record, Action<string> failed, CancellationToken cancellationToken)
    {
        try
        {
            using var client = new HttpClient { Timeout = Limit };
            var body = JsonSerializer.Serialize(new WebhookMessage(DrillWords.Alert(record)), WebhookJson.Default.WebhookMessage);
            using var content = new StringContent(body, Encoding.UTF8, "application/json");
            using var response = await client.PostAsync(url, content, cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                failed($"warning: the webhook at {url.Host} answered {(int)response.StatusCode}. hint: Check the URL after '--webhook'.");
            }
        }
        catch (Exception e) when (e is HttpRequestException || (e is TaskCanceledException && !cancellationToken.IsCancellationRequested))
        {
            var why = e is HttpRequestException ? e.Message : $"no answer within {Limit.TotalSeconds:0} s";
            failed($"warning: the webhook at {url.Host} was not reached: {why}. hint: Check the URL after '--webhook'.");
        }
    }
}
