using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Jobs.Notify;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class NotifyChecksTests : IDisposable
{
    const string Source = "app: { type: sqlite, path: ./app/app.db, to: [local] }";

    readonly DoctorRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public void Who_is_told_is_said_without_secrets_and_without_sending()
    {
        Write(
            "webhooks: { team: { preset: slack, url: \"https://hooks.example.com/SECRETPART\" } }, "
                + "ping: { url: \"https://hc.example.com/x\" }");

        var check = DoctorRig.Find(Judge(), "config", "people are told by team");
        Assert.Equal((CheckLevel.Ok, "team at hooks.example.com; all secrets are known"), (check.Level, check.Detail));
        Assert.Equal("hc.example.com, every 5m", DoctorRig.Find(Judge(), "config", "a dead man's switch hears").Detail);
        Assert.DoesNotContain(Judge(), item => item.Detail.Contains("SECRETPART", StringComparison.Ordinal));
    }

    [Fact]
    public void A_URL_that_lets_in_is_as_secret_as_the_file()
    {
        Write("webhooks: { team: { preset: slack, url: \"https://hooks.example.com/SECRETPART\" } }");
        File.SetUnixFileMode(rig.ConfigPath, UnixFileMode.UserRead | UnixFileMode.OtherRead);

        DoctorRig.AssertFound(
            Judge(), CheckLevel.Fail, "config", "everybody may read the secrets", "url of webhook team", $"chmod 600 {rig.ConfigPath}",
            FailureKind.Usage);
    }

    [Fact]
    public void Messages_that_travel_in_clear_or_wait_or_leave_failures_out_are_told()
    {
        Write("webhooks: { team: { url: \"http://hooks.example.com/\", allow_insecure: true, on_failure: false } }");
        var queue = new NotifyQueue(
            rig["app/.salvor/notify"], TimeProvider.System, new Random(1), Microsoft.Extensions.Logging.Abstractions.NullLogger.Instance);
        queue.Add("team", Notify.Messages.Failure() with { At = TimeProvider.System.GetUtcNow() });

        DoctorRig.AssertFound(
            Judge(), CheckLevel.Warn, "config", "messages by team travel in clear", "'allow_insecure' allows it", "Use https");
        DoctorRig.AssertFound(
            Judge(), CheckLevel.Warn, "config", "1 message(s) wait for team", "0 attempt(s)", "Run 'salvor notify test team'");
        DoctorRig.AssertFound(
            Judge(), CheckLevel.Warn, "config", "nobody is told of failures", "on_failure: false", "Remove 'on_failure: false'");
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(Judge(), "config", "no dead man's switch").Level);
    }

    [Fact]
    public void That_nobody_is_told_is_said() =>
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(Judge(), "config", "nobody is told by Salvor itself").Level);

    void Write(string notifications) => rig.Write(Source, more: $"notifications: {{ {notifications} }}");

    IReadOnlyList<Check> Judge()
    {
        var config = ConfigFile.Load(rig.ConfigPath, _ => null);
        return ConfigChecks.Judge(ConfigFacts.Gather(config, [.. config.Sources.Values.SelectMany(
            source => ConfiguredSources.Members(source, e => throw e).Select(member => (source, member)))]));
    }
}
