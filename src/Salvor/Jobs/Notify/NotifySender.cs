using System.Net;
using System.Net.Sockets;
using System.Text;
using Salvor.Jobs.Config;
using Salvor.Storage;

namespace Salvor.Jobs.Notify;

/// <summary>Sends one message by one notifier, once, within a time. Nothing that is said of a URL is more than its server.</summary>
public static class NotifySender
{
    /// <summary>How long one message may take.</summary>
    public static readonly TimeSpan LimitDefault = TimeSpan.FromSeconds(30);

    const int AnswerBytesMax = 2048;
    const int AnswerShownMax = 200;
    const string UrlHint = "Check the url, and try it with 'salvor notify test'.";

    /// <summary>
    /// Returns when it arrived there; with what went wrong nevertheless, or an empty text. Throws
    /// <see cref="FailureKind.DestinationUnreachable"/> where it did not.
    /// </summary>
    public static async Task<string> SendAsync(
        NotifierConfig notifier, NotifyMessage message, TimeProvider time, TimeSpan limit, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(limit, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            if (notifier is EmailConfig email)
            {
                return await Smtp.SmtpMail.SendAsync(email, message, linked.Token);
            }

            var webhook = (WebhookConfig)notifier;
            await SendAsync(WebhookBody.Of(webhook, message), SecretsOf(webhook), linked.Token);
            return "";
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw Failed(
                $"{ServerOf(notifier)} did not answer within {limit.TotalSeconds:0.###} s",
                "Check that this machine reaches it; the message is tried again.");
        }
    }

    /// <summary>Sends a request. Sent on to another place it is not: what lets in must not follow.</summary>
    internal static async Task SendAsync(WebhookRequest request, IReadOnlyList<string> secrets, CancellationToken cancellationToken)
    {
        var server = request.Url.Authority;
        try
        {
            using var wire = MakeWire(request);
            using var response = await (request.Url.IsLoopback ? HttpTransport.Local : HttpTransport.Remote)
                .SendAsync(wire, cancellationToken);
            var status = (int)response.StatusCode;
            if (!response.IsSuccessStatusCode)
            {
                var said = await SaidAsync(response, secrets, cancellationToken);
                throw Failed($"{server} answered {status}{(said.Length > 0 ? $": {said}" : "")}", HintFor(response.StatusCode));
            }
        }
        catch (Exception e) when (e is HttpRequestException or IOException or SocketException)
        {
            throw Failed($"{server} is not reached: {Redacted(e.Message, secrets)}", UrlHint, e);
        }
    }

    internal static SalvorException Failed(string message, string hint, Exception? inner = null) =>
        new(FailureKind.DestinationUnreachable, message, hint, inner);

    static HttpRequestMessage MakeWire(WebhookRequest request)
    {
        var wire = new HttpRequestMessage(request.ContentType.Length == 0 ? HttpMethod.Get : HttpMethod.Post, request.Url)
        {
            Content = request.ContentType.Length == 0 ? null : new ByteArrayContent(Encoding.UTF8.GetBytes(request.Body)),
        };
        wire.Content?.Headers.TryAddWithoutValidation("Content-Type", request.ContentType);
        foreach (var (name, value) in request.Headers)
        {
            if (name.Equals("Content-Type", StringComparison.OrdinalIgnoreCase) && wire.Content is { } content)
            {
                content.Headers.Remove("Content-Type");
                content.Headers.TryAddWithoutValidation("Content-Type", value);
            }
            else
            {
                wire.Headers.TryAddWithoutValidation(name, value);
            }
        }

        if (!wire.Headers.Contains("User-Agent"))
        {
            wire.Headers.TryAddWithoutValidation("User-Agent", "salvor");
        }

        return wire;
    }

    /// <summary>The first line's worth of an answer, of whatever length that is.</summary>
    static async Task<string> SaidAsync(HttpResponseMessage response, IReadOnlyList<string> secrets, CancellationToken cancellationToken)
    {
        var buffer = new byte[AnswerBytesMax];
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var length = await stream.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
        return Redacted(Encoding.UTF8.GetString(buffer, 0, length), secrets);
    }

    /// <summary>Services repeat what they were sent.</summary>
    static string Redacted(string text, IReadOnlyList<string> secrets)
    {
        foreach (var secret in secrets.Where(secret => secret.Length > 0))
        {
            text = text.Replace(secret, "(secret)", StringComparison.OrdinalIgnoreCase);
        }

        var line = new string([.. text.Select(c => char.IsControl(c) ? ' ' : c)]).Trim();
        return NotifyText.Cut(line, AnswerShownMax);
    }

    static string HintFor(HttpStatusCode status) => (int)status switch
    {
        >= 300 and < 400 => "It sends on to another place, which is not followed: write the URL that takes the message.",
        401 or 403 => "Check the token, and whether it may post there.",
        404 or 410 => "Check the url: the service does not know it, or not any more.",
        429 => "It takes no more now; the message is tried again.",
        >= 500 => "The service is at fault; the message is tried again.",
        _ => UrlHint,
    };

    static string ServerOf(NotifierConfig notifier) => notifier switch
    {
        EmailConfig email => $"{email.Host}:{email.Port}",
        WebhookConfig webhook => new Uri(webhook.Url.Value).Authority,
        _ => notifier.Name,
    };

    /// <summary>All that may not be repeated: the steps of the URL, its query, tokens, values of headers.</summary>
    static string[] SecretsOf(WebhookConfig webhook) =>
    [
        .. SecretsOf(webhook.Url), webhook.Token?.Value ?? "", .. webhook.Headers.Select(header => header.Value.Value),
    ];

    internal static IEnumerable<string> SecretsOf(SecretText url)
    {
        const int PartMin = 6;
        var parsed = new Uri(url.Value);
        return [parsed.PathAndQuery.Trim('/'), .. parsed.PathAndQuery.Split('/', '?', '&', '=').Where(part => part.Length >= PartMin)];
    }
}
