using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
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
            invocation.PrintJson(document, () => CliJson.Default.SyncDocument);
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
            var state = OneShot.StateOf(path, invocation.Get(StateDirectory));
            return await AskAsync(invocation, path, state, cancellationToken) ?? throw OneShot.NotReplicated(path);
        }

        var config = invocation.LoadConfig();
        var (source, member) = ConfiguredSources.Find(config, name);
        var options = ConfiguredSources.OptionsOf(source, member);
        return await AskAsync(invocation, member.Path, options.StateDirectory, cancellationToken)
            ?? await OneShot.AttachAsync(invocation, $"salvor sync {options.Name}", config, source, options, async host => new SyncDocument(
                options.Name, (await host.SyncAsync(options.Name, cancellationToken)).Value, Durable: true));
    }

    /// <summary>
    /// As the verb, for a source that is known: by its daemon, or else once by itself where there is a configuration. Without either, what
    /// is in the vault is all there is.
    /// </summary>
    public static async Task SyncAsync(Invocation invocation, string name, string path, CancellationToken cancellationToken)
    {
        if (await AskAsync(invocation, path, LocalState.DefaultDirectory(path), cancellationToken) is null
            && invocation.Get(VerifyCommand.From).Length == 0)
        {
            await SyncAsync(invocation, name, cancellationToken);
        }
    }

    /// <summary>Asks the daemon that holds the database; null where none does.</summary>
    static async Task<SyncDocument?> AskAsync(
        Invocation invocation, string path, string stateDirectory, CancellationToken cancellationToken) =>
        await OneShot.AskAsync(invocation, stateDirectory, new ControlRequest("sync", path), cancellationToken) is { } answer
            ? new SyncDocument(answer.Source, answer.Position, Durable: true)
            : null;
}
