using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Jobs.Drills.Reports;
using Salvor.Jobs.Notify;

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
    /// <param name="time">The clock.</param>
    /// <param name="failed">Told why the message did not arrive.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static async Task PostAsync(
        Uri url, DrillRecord record, TimeProvider time, Action<string> failed, CancellationToken cancellationToken)
    {
        var body = JsonSerializer.Serialize(new WebhookMessage(DrillWords.Alert(record)), WebhookJson.Default.WebhookMessage);
        using var late = new CancellationTokenSource(Limit, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            var secrets = NotifySender.SecretsOf(new SecretText(url.OriginalString));
            await NotifySender.SendAsync(new WebhookRequest(url, "application/json", body, []), [.. secrets], linked.Token);
        }
        catch (SalvorException e)
        {
            failed($"warning: the message did not arrive: {e.Message}. hint: {e.Hint}");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            failed($"warning: the message did not arrive: {url.Authority} did not answer within {Limit.TotalSeconds:0} s. "
                + "hint: Check the URL after '--webhook'.");
        }
    }
}
