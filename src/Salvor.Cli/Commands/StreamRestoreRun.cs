using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Files;
using Salvor.Jobs.Commands;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

/// <summary>A restore of what a command printed: into a file, or into another command.</summary>
static class StreamRestoreRun
{
    public static readonly Option<bool> Pipe = new("--pipe")
    {
        Description = "Of type: command: give it to the command after '--', whose exit code decides.",
    };

    public static readonly Option<string?> CommandTimeout = new("--command-timeout")
    {
        Description = "How long the command after '--' may take (default: as long as it does).", HelpName = "TIME",
    };

    public static readonly Argument<string[]> Command = CommandArgument.Create("With --pipe, the command that reads what is restored.");

    /// <summary>What goes with streams alone.</summary>
    public static readonly Option[] Own = [Pipe, CommandTimeout];

    /// <param name="invocation">The command line.</param>
    /// <param name="vault">The vault, with its copies.</param>
    /// <param name="name">Which backup; null for the newest.</param>
    /// <param name="output">The file; one in a folder of its own where it is null.</param>
    /// <param name="consumer">The command that reads it instead.</param>
    /// <param name="scratch">Where folders are made.</param>
    /// <param name="dryRun">Whether nothing is written.</param>
    /// <param name="replaces">Whether a file that is there is replaced.</param>
    public static async Task<int> RunAsync(
        Invocation invocation, VaultAccess vault, string? name, string? output, ConfiguredCommand? consumer, string scratch, bool dryRun,
        bool replaces)
    {
        var started = invocation.Time.GetTimestamp();
        var catalog = await VaultCatalog.LoadAsync(vault, invocation.Cancellation);
        var record = await TreeBackups.FindAsync(catalog, name, invocation.Cancellation);
        var snapshot = await TreeBackups.OpenAsync(vault, record, invocation.Cancellation);
        var (source, restorer) = (vault.Identity.Source, new StreamRestorer(snapshot));
        var target = consumer is not null ? $"the command '{consumer.Name}'"
            : output is not null ? Path.GetFullPath(output)
            : Path.Combine(scratch, $"{source.Replace('/', '-')}-{record.Id}", await FileNameAsync(snapshot, invocation));
        using var progress = new ProgressLine(invocation, source);
        if (!dryRun && consumer is not null)
        {
            await FeedAsync(invocation, consumer, (stream, cancel) => restorer.WriteAsync(stream, progress.Reporter, cancel));
        }
        else if (!dryRun)
        {
            if (output is null)
            {
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            }

            await restorer.WriteFileAsync(target, replaces, progress.Reporter, invocation.Cancellation);
        }

        progress.Dispose();
        var seconds = Math.Round(invocation.Time.GetElapsedTime(started).TotalSeconds, 3);
        invocation.Print($"{(dryRun ? "would restore" : "Restored")} \"{source}\" -> {target}");
        invocation.Print($"backup {record.Id} of {InstantText.Format(record.Time)}, {SizeText.Format(restorer.SizeBytes)}");
        if (!dryRun)
        {
            invocation.Print($"{Symbols.Ok} every chunk matches its name");
        }

        invocation.PrintJson(
            new RestoreDocument(
                source, target, dryRun, record.Branch, record.Position, record.Time, null, 0, 0, 0, restorer.SizeBytes, 0,
                record.Checksum, dryRun ? "" : "ok", seconds, ""),
            () => CliJson.Default.RestoreDocument);
        return 0;
    }

    /// <summary>The command that is to read it, with what there is to say of the options; null where it goes into a file.</summary>
    public static ConfiguredCommand? ConsumerIn(Invocation invocation)
    {
        var command = CommandArgument.In(invocation, Command);
        if (invocation.Get(Pipe) != command is not null)
        {
            throw new SalvorException(
                FailureKind.Usage, command is null ? "'--pipe' is given, and no command" : "a command is given, and not '--pipe'",
                "Write 'salvor restore NAME --pipe -- psql app'.");
        }

        if (command is null && invocation.Has(CommandTimeout))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--command-timeout' is given, and no command",
                "Leave it out, or write 'salvor restore NAME --pipe --command-timeout 1h -- psql app'.");
        }

        return command is not null && invocation.Get(CommandTimeout) is { } limit
            ? command with { Limit = DurationText.Parse(limit) }
            : command;
    }

    static async Task FeedAsync(
        Invocation invocation, ConfiguredCommand consumer, Func<Stream, CancellationToken, Task> write)
    {
        var copy = invocation.Quiet ? null : Console.Error;
        if (!await CommandFeed.RunAsync(consumer, invocation.Time, write, copy, invocation.Cancellation))
        {
            invocation.Tell($"warning: the command '{consumer.Name}' ended well before it had read everything");
        }
    }

    static async Task<string> FileNameAsync(TreeSnapshot snapshot, Invocation invocation)
    {
        await foreach (var item in TreeSearch.EntriesAsync(snapshot, invocation.Cancellation))
        {
            return Platform.DirectoryCalls.Show(item.Entry.Name);
        }

        return snapshot.Vault.Identity.Source;
    }
}
