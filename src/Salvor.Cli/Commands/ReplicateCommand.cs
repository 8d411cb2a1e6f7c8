using System.CommandLine;
using Microsoft.Extensions.Logging;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;

namespace Salvor.Cli.Commands;

static class ReplicateCommand
{
    static readonly Argument<string> Database = new("DB") { Description = "The database file. It need not exist yet." };
    static readonly Argument<string> Destination = new("DEST") { Description = "A folder or URL; the vault becomes DEST/NAME." };
    static readonly Option<string?> Name = new("--name")
    {
        Description = "The name of the source (default: the file's name without ending).", HelpName = "NAME",
    };

    static readonly Option<string?> Exec = DaemonCommand.CreateExec();

    static readonly Option<string?> Batch = new("--batch")
    {
        Description = "How long a commit may wait for others (default: 50ms to a folder, 1s elsewhere).", HelpName = "TIME",
    };

    static readonly Option<string?> Compression = CompressionOption.Create($"{FrameCompression.Default}");

    static readonly Option<string?> StateDirectory = new("--state-dir")
    {
        Description = "The folder for local state (default: .salvor beside the database).", HelpName = "DIR",
    };

    static readonly Option<bool> Encrypt = new("--encrypt")
    {
        Description = "The vault is to be encrypted: refuse to begin without a key.",
    };

    static readonly Option<bool> KeySaved = new("--i-have-saved-the-key")
    {
        Description = "Do not wait until the key of a new vault was exported.",
    };

    public static Command Create() => new Command(
        "replicate", "Replicate one database to one destination, without a configuration, until stopped.")
    {
        Database, Destination, Name, Exec, Batch, Compression, StateDirectory, KeyOptions.KeyFile, Encrypt, KeySaved,
        Invocation.LogFormatOption,
    }.WithAction(RunAsync);

    static async Task<int> RunAsync(Invocation invocation)
    {
        var path = Path.GetFullPath(invocation.Get(Database));
        if (Directory.Exists(path) && SqliteDatabase.Obstacle(path) is { } obstacle)
        {
            throw obstacle;
        }

        var name = invocation.Get(Name) ?? Path.GetFileNameWithoutExtension(path);
        SourceNames.Check(name);
        var keys = await FindKeysAsync(invocation);
        var destination = DestinationUrl.Parse(invocation.Get(Destination));
        var options = new ReplicatorOptions
        {
            Name = name,
            Path = path,
            StateDirectory = invocation.Get(StateDirectory) is { } state ? Path.GetFullPath(state) : LocalState.DefaultDirectory(path),
            Batch = invocation.Get(Batch) is { } batch ? Text.DurationText.Parse(batch) : SqliteSourceConfig.BatchFor(destination),
            BlockMax = SqliteSourceConfig.BlockMaxDefault,
            WalMaxBytes = SqliteSourceConfig.WalMaxBytesDefault,
            OutboxBytesMax = SqliteSourceConfig.OutboxBytesMaxDefault,
            Compression = CompressionOption.In(invocation, Compression) ?? FrameCompression.Default,
            IsForeground = true,
            Keys = keys,
        };
        var store = Destinations.OpenForWriting(destination);
        var log = invocation.CreateLog(LogLevel.Warning);
        await using var host = new ProtectionHost(
            CommandOf(options, store.Location), invocation.Time, invocation.Random, log);
        var announced = 0;
        host.StatusChanged += status =>
        {
            if (status.State is SourceState.Waiting or SourceState.Copying or SourceState.Healthy
                && Interlocked.Exchange(ref announced, 1) == 0)
            {
                var waiting = status.State == SourceState.Waiting ? " (waiting for it to be created)" : "";
                invocation.Tell($"replicating {path} to {VaultAccess.LocationOf(store, name)}{waiting}");
            }
        };
        host.Add(options, store);
        var code = await Foreground.RunAsync(invocation, host, host.EndOfAsync(name), invocation.Get(Exec));
        await host.DisposeAsync();
        var position = host.Statuses[0].Position;
        invocation.PrintJson(
            new ReplicateDocument(name, path, store.Location, "stopped", position), () => CliJson.Default.ReplicateDocument);
        return code;
    }

    /// <summary>Read before anything else: a key that cannot be read is said at once, and not when the database appears.</summary>
    static async Task<Keyring?> FindKeysAsync(Invocation invocation)
    {
        var keys = KeyOptions.Find(invocation, source: null, invocation.Get(KeySaved));
        if (keys is null && invocation.Get(Encrypt))
        {
            throw new KeyException(
                "'--encrypt' is given, and no key",
                "Name one with '--key-file FILE', or set SALVOR_PASSPHRASE, SALVOR_PASSPHRASE_FILE, SALVOR_PASSPHRASE_COMMAND, "
                    + "SALVOR_PASSPHRASE_FD or SALVOR_KEY_FILE.");
        }

        if (keys is not null)
        {
            await keys.SecretAsync(invocation.Cancellation);
        }

        return keys;
    }
    /// <summary>Without the app that it may run: its arguments are not ours to show.</summary>
    static string CommandOf(ReplicatorOptions options, string destination) =>
        $"salvor replicate {options.Path} {destination} --name {options.Name}"
            + (options.StateDirectory == LocalState.DefaultDirectory(options.Path) ? "" : $" --state-dir {options.StateDirectory}");
}
