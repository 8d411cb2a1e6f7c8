using System.CommandLine;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Logging;
using Salvor.Cli.Terminal;
using Salvor.Files;
using Salvor.Jobs;
using Salvor.Jobs.Commands;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Vault;

namespace Salvor.Cli.Commands;

/// <summary>What a backup keeps instead of what a configuration says: standard input, or what a command prints.</summary>
static class StreamInput
{
    public static readonly Option<bool> Stdin = new("--stdin")
    {
        Description = "Keep what comes on standard input. Whoever writes it may fail unseen: a command after '--' may not.",
    };

    public static readonly Option<string?> Name = new("--stdin-name")
    {
        Description = "What the stream is called in the backup (default: as configured, else the source).", HelpName = "NAME",
    };

    public static readonly Option<string?> To = new("--to")
    {
        Description = "Where to, without a configuration; the vault becomes PATH-or-URL/SOURCE.", HelpName = "PATH-or-URL",
    };

    public static readonly Option<bool> AllowEmpty = new("--allow-empty") { Description = "Keep a stream without one byte." };

    public static readonly Argument<string[]> Command = CommandArgument.Create("Keep what this command prints, if it ends well.");

    public static readonly Option[] Own = [Stdin, Name, To, AllowEmpty];

    /// <summary>Makes the backup, where one of a stream is asked for; null where not.</summary>
    public static async Task<int?> RunAsync(Invocation invocation, VaultOptions vault, BackupRequest wanted, bool verifies)
    {
        var (name, command) = (vault.NameIn(invocation), CommandArgument.In(invocation, Command));
        var isStdin = invocation.Get(Stdin);
        if (isStdin && command is not null)
        {
            throw new SalvorException(
                FailureKind.Usage, "'--stdin' and a command both say what is kept", "Give one of them; the command is the safer one.");
        }

        if (!isStdin && command is null)
        {
            return Own.FirstOrDefault(invocation.Has) is { } stray
                ? throw new SalvorException(
                    FailureKind.Usage, $"'{stray.Name}' goes with '--stdin', or with a command after '--'",
                    "Write 'salvor backup NAME --stdin', or 'salvor backup NAME -- pg_dump app'.")
                : null;
        }

        if (invocation.Has(To) && invocation.Has(BackupCommand.Destination))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--dest' names a destination of a configuration, and '--to' is used without one", "Give one of them.");
        }

        var (config, source) = invocation.Get(To) is { } to ? Made(invocation, name, to) : Find(invocation, name);
        BackupCommand.ExpectDestination(invocation, source);
        source = source with
        {
            FileName = FileName(invocation) ?? source.FileName, AllowsEmpty = source.AllowsEmpty || invocation.Get(AllowEmpty),
        };
        var producer = command is null
            ? FromStandardInput
            : CommandDump.Of(
                source.Name, (source.Command ?? command) with { Arguments = command.Arguments }, invocation.Time);
        return await TreeBackupRun.RunAsync(invocation, config, source, wanted, verifies, producer);
    }

    static string? FileName(Invocation invocation) => invocation.Get(Name) switch
    {
        { } name when !StreamBackup.IsName(name) => throw new SalvorException(
            FailureKind.Usage, $"'{name}' is no name of a file", "Write a name without a folder: '--stdin-name app.sql'."),
        var name => name,
    };

    static (SalvorConfig Config, CommandSourceConfig Source) Find(Invocation invocation, string? name)
    {
        var config = invocation.LoadConfig();
        return ConfiguredSources.FindTree(config, name) switch
        {
            CommandSourceConfig source => (config, source),
            null when name is not null && !config.Sources.ContainsKey(name) => throw new SalvorException(
                FailureKind.Usage, $"{config.FileName} has no source '{name}'",
                $"Add '{name}: {{ type: command, to: [{config.Destinations.Keys.First()}] }}' to it, or give '--to PATH-or-URL'."),
            _ => throw new SalvorException(
                FailureKind.Usage, $"source {name ?? "of this configuration"} is not of type: command, and keeps no streams",
                "Name one that is, or give '--to PATH-or-URL'."),
        };
    }

    /// <summary>A configuration of this one source.</summary>
    static (SalvorConfig Config, CommandSourceConfig Source) Made(Invocation invocation, string? name, string to)
    {
        if (name is null)
        {
            throw new SalvorException(FailureKind.Usage, "'--to' says where to, and nothing how it is called", "Name the source, too.");
        }

        SourceNames.Check(name);
        var destination = DestinationUrl.Parse(to);
        var source = new CommandSourceConfig
        {
            Name = name, To = [destination.Name],
            StateDirectory = Path.GetFullPath(
                invocation.Get(BackupCommand.StateDirectory) ?? Path.Combine(LocalState.FolderName, StateNameOf(destination))),
        };
        return (
            new SalvorConfig
            {
                FileName = "the command line",
                Destinations = new Dictionary<string, DestinationConfig> { [destination.Name] = destination },
                Sources = new Dictionary<string, SqliteSourceConfig>(),
                Trees = new Dictionary<string, TreeSourceConfig> { [name] = source },
                Restore = new RestoreConfig(),
                Log = new LogConfig { Level = LogLevel.Information },
            },
            source);
    }

    /// <summary>Of each place by itself: a source of the same name may go to another one the next time.</summary>
    static string StateNameOf(DestinationConfig destination)
    {
        const int BytesMax = 8;
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes(destination.Location));
        return $"to-{Convert.ToHexStringLower(hash.AsSpan(0, BytesMax))}";
    }

    /// <summary>Its end is taken for the end of the stream. A read of it cannot be cancelled, but not be waited for.</summary>
    static async Task<IReadOnlyList<string>> FromStandardInput(
        Func<Stream, CancellationToken, Task> readToEnd, CancellationToken cancellationToken)
    {
        await using var input = Console.OpenStandardInput();
        await readToEnd(input, cancellationToken).WaitAsync(cancellationToken);
        return [];
    }
}
