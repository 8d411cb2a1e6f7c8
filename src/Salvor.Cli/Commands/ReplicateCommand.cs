using System.CommandLine;
using Microsoft.Extensions.Logging;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;

namespace Salvor.Cli.Commands;

static class ReplicateCommand
{
    static readonly Argument<string> Database = new("DB") { Description = "The database file. It need not exist yet." };
    static readonly Argument<string> Destination = new("DEST") { Description = "A folder or URL; the vault becomes DEST/NAME." };
    static readonly Option<string?> Name = new("--name") { Description = "The name of the source (default: the file's name without ending)." };
    static readonly Option<string?> Exec = new("--exec")
    {
        Description = "Run the app as a child: signals are passed on, its end ends this too, after everything is durable.", HelpName = "CMD",
    };

    static readonly Option<string> Batch = new("--batch")
    {
        Description = "How long a commit may wait for others.", DefaultValueFactory = _ => "50ms", HelpName = "TIME",
    };

    static readonly Option<string?> StateDirectory = new("--state-dir")
    {
        Description = "The folder for local state (default: .salvor beside the database).", HelpName = "DIR",
    };

    public static Command Create() => new Command(
        "replicate", "Replicate one database to one destination, without a configuration, until stopped.")
    {
        Database, Destination, Name, Exec, Batch, StateDirectory,
    }.WithAction(RunAsync);

    static async Task<int> RunAsync(Invocation invocation)
    {
        var path = Path.GetFullPath(invocation.Get(Database));
        if (SqliteDatabase.Obstacle(path) is { } obstacle && File.Exists(path) is false && Directory.Exists(path))
        {
            throw obstacle;
        }

        var name = invocation.Get(Name) ?? Path.GetFileNameWithoutExtension(path);
        SourceNames.Check(name);
        var options = new ReplicatorOptions
        {
            Name = name,
            Path = path,
            StateDirectory = invocation.Get(StateDirectory) is { } state ? Path.GetFullPath(state) : LocalState.DefaultDirectory(path),
            Batch = Text.DurationText.Parse(invocation.Get(Batch)),
            BlockMax = SqliteSourceConfig.BlockMaxDefault,
            WalMaxBytes = SqliteSourceConfig.WalMaxBytesDefault,
            StopAtNotADatabase = true,
        };
        var store = Destinations.OpenForWriting(invocation.Get(Destination));
        using var logging = invocation.CreateLogging(LogLevel.Warning);
        await using var host = new ProtectionHost(invocation.Time, new Random(), logging.CreateLogger("salvor"));
        var announced = false;
        host.StatusChanged += status =>
        {
            if (!announced && status.State is SourceState.Waiting or SourceState.Copying or SourceState.Healthy)
            {
                announced = true;
                var waiting = status.State == SourceState.Waiting ? " (waiting for it to be created)" : "";
                if (!invocation.Quiet)
                {
                    Console.Error.WriteLine($"replicating {path} to {store.Location}/{name}{waiting}");
                }
            }
        };
        host.Add(options, store);
        return await Foreground.RunAsync(invocation, host, host.EndOfAsync(name), invocation.Get(Exec));
    }
}
