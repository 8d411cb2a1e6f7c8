using Microsoft.Extensions.Logging;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;

namespace Salvor.Cli.Commands;

/// <summary>Something to do with a source now: by the daemon that serves it, or, where none does, by attaching to it for that.</summary>
static class OneShot
{
    /// <summary>Asks the daemon that holds the database; null where none does.</summary>
    public static async Task<ControlResponse?> AskAsync(
        Invocation invocation, string stateDirectory, ControlRequest request, CancellationToken cancellationToken) =>
        LockFile.HolderOf(LocalState.LockPath(stateDirectory, request.Path)) is { Socket: { } socket }
            ? await WaitTelling.RunAsync(
                invocation, LocalState.StatusPath(stateDirectory, request.Path),
                ControlClient.AskAsync(socket, request, cancellationToken))
            : null;

    /// <summary>No daemon runs: attaches, does it, and lets go again.</summary>
    public static async Task<T> AttachAsync<T>(
        Invocation invocation, string command, SalvorConfig config, SqliteSourceConfig source, ReplicatorOptions options,
        Func<ProtectionHost, Task<T>> act)
    {
        var log = invocation.CreateLog(LogLevel.Warning);
        await using var host = new ProtectionHost(command, invocation.Time, invocation.Random, log);
        host.Add(
            options with { IsForeground = true, Keys = ConfiguredSources.KeysOf(source) },
            Destinations.OpenForWriting(config.Destinations[source.To[0]]),
            [.. source.To.Skip(1).Select(name => config.Destinations[name]).Where(destination => destination.IsRequired)
                .Select(destination => new SourceDestination(Destinations.OpenOnce(destination), IsRequired: true)
                {
                    OnIncomplete = destination.OnIncomplete,
                })]);
        using var progress = CopyProgress.Of(invocation, host);
        var acted = WaitTelling.RunAsync(invocation, LocalState.StatusPath(options.StateDirectory, options.Path), act(host));
        var ended = host.EndOfAsync(options.Name);
        if (await Task.WhenAny(acted, ended) == ended)
        {
            await ended;
        }

        return await acted;
    }

    /// <summary>Where the local state of a database lies that is named by its path.</summary>
    public static string StateOf(string path, string? given) =>
        given is not null ? Path.GetFullPath(given) : LocalState.DefaultDirectory(path);

    public static SalvorException NotReplicated(string path) => new(
        FailureKind.Failure,
        $"nothing replicates {path} now",
        $"Start 'salvor replicate {path} DEST' or 'salvor daemon', then try again.");
}
