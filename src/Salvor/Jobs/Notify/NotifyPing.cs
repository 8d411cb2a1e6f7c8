using Salvor.Jobs.Config;
using Salvor.Jobs.Health;

namespace Salvor.Jobs.Notify;

/// <summary>What a dead man's switch is told.</summary>
/// <param name="Step">The step below the URL of its check.</param>
/// <param name="IsUp">What a service is told that knows no steps.</param>
public sealed record PingSign(string Step, bool IsUp)
{
    /// <summary>Something begins.</summary>
    public static readonly PingSign Start = new("start", IsUp: true);

    public static readonly PingSign Success = new("", IsUp: true);

    public static readonly PingSign Failure = new("fail", IsUp: false);

    /// <summary>It is written down, and is no sign of life.</summary>
    public static readonly PingSign Note = new("log", IsUp: true);

    /// <summary>A program ended.</summary>
    public static PingSign Ended(int exitCode) => new($"{exitCode}", exitCode == 0);
}

/// <summary>
/// Tells a dead man's switch that we live: it raises the alarm when it does not hear from us, which nothing that runs here could do.
/// What did not arrive is not kept: an old sign of life is a false one.
/// </summary>
public static class NotifyPing
{
    /// <summary>What metrics and <c>notify test</c> call it.</summary>
    public const string Name = "ping";

    /// <summary>How long one may take: it must never hold up what it tells of.</summary>
    public static readonly TimeSpan LimitDefault = TimeSpan.FromSeconds(10);

    const int ProblemsMax = 50;

    /// <summary>Returns when it was heard. Throws <see cref="FailureKind.DestinationUnreachable"/> where it was not.</summary>
    /// <param name="url">Whose check it is.</param>
    /// <param name="preset">How it is told there.</param>
    /// <param name="sign">What is told.</param>
    /// <param name="body">What is kept with it there: why, and the end of the log.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static async Task SendAsync(
        SecretText url, WebhookPreset preset, PingSign sign, string body, TimeProvider time, CancellationToken cancellationToken)
    {
        if (RequestOf(new Uri(url.Value), preset, sign, body) is not { } request)
        {
            return;
        }

        using var late = new CancellationTokenSource(LimitDefault, time);
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(late.Token, cancellationToken);
        try
        {
            await NotifySender.SendAsync(request, [.. NotifySender.SecretsOf(url)], linked.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw NotifySender.Failed(
                $"{request.Url.Authority} did not answer within {LimitDefault.TotalSeconds:0.###} s",
                "Check that this machine reaches it.");
        }
    }

    /// <summary>Null where that service has no word for it.</summary>
    internal static WebhookRequest? RequestOf(Uri url, WebhookPreset preset, PingSign sign, string body)
    {
        var said = NotifyText.Cut(body, WebhookBody.HealthchecksMax);
        if (preset == WebhookPreset.UptimeKuma)
        {
            return sign == PingSign.Start ? null : WebhookBody.Kuma(url, sign.IsUp, FirstLine(said), []);
        }

        return new WebhookRequest(WebhookBody.Below(url, sign.Step), "text/plain; charset=utf-8", said, []);
    }

    /// <summary>What the daemon tells: success only where nothing at all is wrong.</summary>
    internal static (PingSign Sign, string Body) Judge(
        int sources, IReadOnlyList<NotifyProblem> problems, bool responds, string who, IReadOnlyList<string> log)
    {
        if (responds && problems.Count == 0)
        {
            return (PingSign.Success, $"{who}: {sources} source(s), nothing is wrong\n");
        }

        IEnumerable<string> lines = [
            .. responds ? [] : (string[])["the capture does not respond"],
            .. problems.Take(ProblemsMax).Select(problem => $"{problem.Text}. What to do: {problem.Hint}"),
            .. problems.Count > ProblemsMax ? [$"and {problems.Count - ProblemsMax} more"] : (string[])[],
        ];
        return (PingSign.Failure, $"{who}\n{string.Join('\n', lines)}\n\n{string.Join('\n', log)}\n");
    }

    static string FirstLine(string text) => text.Split('\n', 2)[0];
}
