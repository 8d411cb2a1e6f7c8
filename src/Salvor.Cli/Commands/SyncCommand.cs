using System.CommandLine;
using Microsoft.Extensions.Logging;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Cli.Commands;

static class SyncCommand
{
    static readonly Argument<string?> Source = new("SOURCE")
    {
        Description = "The name of a configured source, or the path of a database that is being replicated.",
        Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Option<string?> Db = new("--db", "--source-name") { Description = "The same as SOURCE.", HelpName = "NAME" };

    static readonly Option<string?> StateDirectory = new("--state-dir")
    {
        Description = "The folder of local state, if 'replicate' was given one.", HelpName = "DIR",
    };

    static readonly Option<string?> TimeLimit = new("--timeout")
    {
        Description = "Give up after this long, with exit code 124.", HelpName = "TIME",
    };

    public static Command Create() => new Command(
        "sync", "Return when everything committed before the call is durable; a non-zero exit code means that it may not be.")
    {
        Source, Db, StateDirectory, TimeLimit,
    }.WithAction(RunAsync);

    static async Task<int> RunAsync(Invocation invocation)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(invocation.Cancellation);
        if (invocation.Get(TimeLimit) is { } limit)
        {
            limited.CancelAfter(DurationText.Parse(limit));
        }

        try
        {
            var document = await SyncAsync(invocation, limited.Token);
            invocation.Print($"{document.Source}: everything committed before the call is durable, up to position {document.Position}");
            invocation.PrintJson(document, CliJson.Default.SyncDocument);
            return 0;
        }
        catch (OperationCanceledException) when (!invocation.Cancellation.IsCancellationRequested)
        {
            throw new SalvorException(
                FailureKind.TimedOut,
                $"not everything was durable after {invocation.Get(TimeLimit)}",
                "Run 'salvor status' to see what the source waits for.");
        }
    }

    static async Task<SyncDocument> SyncAsync(Invocation invocation, CancellationToken cancellationToken)
    {
        return await SyncAsync(invocation, invocation.Get(Db) ?? invocation.Get(Source), cancellationToken);
    }

    static async Task<SyncDocument> SyncAsync(Invocation invocation, string? name, CancellationToken cancellationToken)
    {
        if (name is not null && File.Exists(name))
        {
            var path = Path.GetFullPath(name);
            var state = invocation.Get(StateDirectory) is { } given ? Path.GetFullPath(given) : LocalState.DefaultDirectory(path);
            return await AskAsync(path, state, cancellationToken)
                ?? throw new SalvorException(
                    FailureKind.Failure,
                    $"nothing replicates {path} now",
                    $"Start 'salvor replicate {path} DEST' or 'salvor daemon', then try again.");
        }

        var config = invocation.LoadConfig();
        var (source, member) = ConfiguredSources.Find(config, name);
        var options = ConfiguredSources.OptionsOf(source, member);
        return await AskAsync(member.Path, options.StateDirectory, cancellationToken)
            ?? await OnceAsync(invocation, config, source, options, cancellationToken);
    }

    /// <summary>
    /// As the verb, for a source that is known: by its daemon, or else once by itself where there is a configuration. Without either, what
    /// is in the vault is all there is.
    /// </summary>
    public static async Task SyncAsync(Invocation invocation, string name, string path, CancellationToken cancellationToken)
    {
        if (await AskAsync(path, LocalState.DefaultDirectory(path), cancellationToken) is null
            && invocation.Get(VerifyCommand.From).Length == 0)
        {
            await SyncAsync(invocation, name, cancellationToken);
        }
    }

    /// <summary>Asks the daemon that holds the database; null where none does.</summary>
    static async Task<SyncDocument?> AskAsync(string path, string stateDirectory, CancellationToken cancellationToken)
    {
        if (LockFile.HolderOf(LocalState.LockPath(stateDirectory, path)) is not { Socket: { } socket })
        {
            return null;
        }

        var answer = await ControlClient.AskAsync(socket, new ControlRequest("sync", path), cancellationToken);
        return new SyncDocument(answer.Source, answer.Position, Durable: true);
    }

    /// <summary>No daemon runs: attaches, publishes what is committed, and lets go again.</summary>
    static async Task<SyncDocument> OnceAsync(
        Invocation invocation, SalvorConfig config, SqliteSourceConfig source, ReplicatorOptions options,
        CancellationToken cancellationToken)
    {
        var log = invocation.CreateLog(LogLevel.Warning);
        await using var host = new ProtectionHost(invocation.Time, invocation.Random, log);
        host.Add(options with { IsForeground = true }, Destinations.OpenForWriting(config.Destinations[source.To[0]]));
        var synced = host.SyncAsync(options.Name, cancellationToken);
        var ended = host.EndOfAsync(options.Name);
        if (await Task.WhenAny(synced, ended) == ended)
        {
            await ended;
        }

        return new SyncDocument(options.Name, (await synced).Value, Durable: true);
    }
}
