using Salvor.Jobs.Config;
using Salvor.Jobs.Health;

namespace Salvor.Jobs.Notify;

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

    /// <summary>How it is told: <c>/start</c>, success, <c>/fail</c>, an exit status, or only a note.</summary>
    public abstract record Sign
    {
        public sealed record Start : Sign;

        public sealed record Success : Sign;

        public sealed record Failure : Sign;

        public sealed record Exit(int Code) : Sign;

        public sealed record Note : Sign;
    }

    /// <summary>Returns when it was heard. Throws <see cref="FailureKind.DestinationUnreachable"/> where it was not.</summary>
    /// <param name="url">Whose check it is.</param>
    /// <param name="preset">How it is told there.</param>
    /// <param name="sign">What is told.</param>
    /// <param name="body">What is kept with it there: why, and the end of the log.</param>
    /// <param name="time">The clock.</param>
    /// <param name="cancellationToken">Stops it.</param>
    public static async Task SendAsync(
        SecretText url, WebhookPreset preset, Sign sign, string body, TimeProvider time, CancellationToken cancellationToken)
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
    internal static WebhookRequest? RequestOf(Uri url, WebhookPreset preset, Sign sign, string body)
    {
        var said = NotifyText.Cut(body, WebhookBody.HealthchecksMax);
        if (preset == WebhookPreset.UptimeKuma)
        {
            var isUp = sign is not (Sign.Failure or Sign.Exit { Code: not 0 });
            return sign is Sign.Start ? null : WebhookBody.Kuma(url, isUp, FirstLine(said), []);
        }

        var step = sign switch
        {
            Sign.Start => "start",
            Sign.Failure => "fail",
            Sign.Exit exit => $"{exit.Code}",
            Sign.Note => "log",
            _ => "",
        };
        return new WebhookRequest(WebhookBody.Below(url, step), "text/plain; charset=utf-8", said, []);
    }

    /// <summary>What the daemon tells: success only where nothing at all is wrong.</summary>
    internal static (Sign Sign, string Body) Judge(
        int sources, IReadOnlyList<NotifyProblem> problems, bool responds, string who, IReadOnlyList<string> log)
    {
        if (responds && problems.Count == 0)
        {
            return (new Sign.Success(), $"{who}: {sources} database(s), nothing is wrong\n");
        }

        IEnumerable<string> lines = [
            .. responds ? [] : (string[])["the capture does not respond"],
            .. problems.Take(ProblemsMax).Select(problem => $"{problem.Text}. What to do: {problem.Hint}"),
            .. problems.Count > ProblemsMax ? [$"and {problems.Count - ProblemsMax} more"] : (string[])[],
        ];
        return (new Sign.Failure(), $"{who}\n{string.Join('\n', lines)}\n\n{string.Join('\n', log)}\n");
    }

    static string FirstLine(string text) => text.Split('\n', 2)[0];
}
