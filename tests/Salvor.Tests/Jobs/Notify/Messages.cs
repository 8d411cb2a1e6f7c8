using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;

namespace Salvor.Tests.Jobs.Notify;

/// <summary>Messages and notifiers that the tests of notifications share.</summary>
static class Messages
{
    public static readonly DateTimeOffset At = new(2026, 8, 1, 10, 30, 0, TimeSpan.Zero);

    public static NotifyMessage Failure(string source = "app", NotifyKind kind = NotifyKind.Failure) => new()
    {
        Kind = kind,
        Of = NotifyKind.Failure,
        Problem = "backing_off",
        Source = source,
        Destination = "offsite",
        What = "backs off",
        Text = $"{source} backs off: \"disk\" is full",
        Hint = "Free some room.",
        Host = "web1",
        Run = "pid 7 since 2026-08-01T10:00:00Z",
        At = At,
        Since = At.AddMinutes(-5),
        Log = ["one", "two"],
    };

    public static WebhookConfig Hook(string url, WebhookPreset preset = WebhookPreset.None, string name = "team") => new()
    {
        Name = name, Url = new SecretText(url), Preset = preset,
    };
}
