using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Clusters;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Notify;

namespace Salvor.Cli.Commands;

static class DaemonCommand
{
    static readonly Option<string?> Exec = CreateExec();

    public static Command Create() => new Command(
        "daemon", "Protect everything in the configuration, until stopped. SIGHUP reloads it.")
    {
        Exec, Invocation.LogFormatOption,
    }.WithAction(RunAsync);

    public static Option<string?> CreateExec() => new("--exec")
    {
        Description = "Run the app as a child: signals are passed on, its end ends this too, after everything is durable.",
        HelpName = "CMD",
    };

    static async Task<int> RunAsync(Invocation invocation)
    {
        var path = invocation.ConfigPath();
        var config = invocation.LoadConfig();
        var log = new LogTail(invocation.CreateLog(config.Log.Level, config.Log.Format), invocation.Time);
        invocation.StopsAtHangup = false;
        await using var host = new ProtectionHost(
            $"salvor daemon --config {Path.GetFullPath(path)}", invocation.Time, invocation.Random, log);
        using var daemon = new ConfiguredHost(host, path, log);
        var notifying = new NotifyService(
            () => daemon.Applied ?? config, log, invocation.Time, new Random(invocation.Random.Next()), invocation.Run)
        {
            Responds = () => host.Responds,
        };
        host.StatusChanged += notifying.Notice;
        await using var metrics = config.Metrics is not null || DaemonMetrics.IsAskedByEnvironment
            ? await DaemonMetrics.StartAsync(invocation, config.Metrics, () => daemon.Applied ?? config, host, notifying)
            : null;
        await daemon.ApplyAsync(config);
        invocation.Tell($"salvor daemon: {host.Names.Count} database(s) of {config.SourceCount} source(s), from {path}");
        var reloading = daemon.ReloadOnSignalAsync(invocation.Cancellation);
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(invocation.Cancellation);
        var verifying = new VerifySchedule(() => daemon.Config, invocation.Time, new Random(invocation.Random.Next()), log)
            .RunAsync(stopping.Token);
        var pruning = new PruneSchedule(() => daemon.Config, invocation.Time, log).RunAsync(invocation.Cancellation);
        var locking = new LockSchedule(() => daemon.Config, invocation.Time, log).RunAsync(invocation.Cancellation);
        var drilling = new DrillSchedule(() => daemon.Config, invocation.Time, new Random(invocation.Random.Next()), log)
            .RunAsync(stopping.Token);
        var clusters = new ClusterFollowing(() => daemon.Config, invocation.Time, log);
        var following = clusters.RunAsync(stopping.Token);
        var keeping = new TreeSchedule(() => daemon.Config, invocation.Time, log) { Clusters = clusters }
            .RunAsync(invocation.Cancellation);
        var telling = notifying.RunAsync(invocation.Cancellation);
        var ended = Task.WhenAny(
            reloading, host.WhenLockedOut(), verifying, pruning, locking, drilling, following, keeping, telling).Unwrap();
        var code = await Foreground.RunAsync(invocation, host, ended, invocation.Get(Exec));
        await stopping.CancelAsync();

        // What they made in scratch, and servers that they started, end with them.
        await Task.WhenAll(following, verifying, drilling).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        invocation.PrintJson(new DaemonDocument(path, host.Names.Count, "stopped"), () => CliJson.Default.DaemonDocument);
        return code;
    }
}
