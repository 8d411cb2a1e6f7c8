using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;

namespace Salvor.Cli.Commands;

static class DaemonCommand
{
    static readonly Option<string?> Exec = new("--exec")
    {
        Description = "Run the app as a child: signals are passed on, its end ends this too, after everything is durable.", HelpName = "CMD",
    };

    public static Command Create() => new Command("daemon", "Protect everything in the configuration, until stopped. SIGHUP reloads it.")
    {
        Exec,
    }.WithAction(RunAsync);

    static async Task<int> RunAsync(Invocation invocation)
    {
        var path = invocation.ConfigPath();
        var config = invocation.LoadConfig();
        using var logging = invocation.CreateLogging(config.Log.Level);
        await using var host = new ProtectionHost(invocation.Time, new Random(), logging.CreateLogger("salvor"));
        using var daemon = new ConfiguredHost(host, path, logging.CreateLogger("salvor"));
        await daemon.ApplyAsync(config);
        if (!invocation.Quiet)
        {
            Console.Error.WriteLine($"salvor daemon: {host.Names.Count} database(s) of {config.Sources.Count} source(s), from {path}");
        }

        var reloading = daemon.ReloadOnSignalAsync(invocation.Cancellation);
        return await Foreground.RunAsync(invocation, host, reloading, invocation.Get(Exec));
    }
}
