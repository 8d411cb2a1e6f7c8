using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Postgres;
using Salvor.Text;
using Salvor.Vault;

namespace Salvor.Cli.Commands;

/// <summary>What a server calls itself, by its <c>archive_command</c> and its <c>restore_command</c>, for each file of its log.</summary>
static class WalCommands
{
    public const string Get = "wal-get";

    static readonly Option<string?> Source = new("--source", "--db", "--source-name")
    {
        Description = "The name of the source; may be left out where there is only one of type postgres.", HelpName = "NAME",
    };

    static readonly Argument<string> Pushed = new("PATH") { Description = "The file, as archive_command has it in %p." };
    static readonly Argument<string> Name = new("NAME") { Description = "The file that is wanted, as restore_command has it in %f." };
    static readonly Argument<string> Target = new("PATH") { Description = "Where it is wanted, as restore_command has it in %p." };

    public static Command CreatePush() => new Command("wal-push", "Store a file of the log: for archive_command of PostgreSQL.")
    {
        Pushed, Source,
    }.WithAction(PushAsync);

    public static Command CreateGet() => new Command(Get, "Give a recovering server a file of the log: for restore_command of PostgreSQL.")
    {
        Name, Target, Source,
    }.WithAction(GetAsync);

    static async Task<int> PushAsync(Invocation invocation)
    {
        var (config, source) = SourceOf(invocation);
        var vault = await OpenAsync(config, source, source.To[0], invocation.Cancellation);
        await WalPush.RunAsync(vault.With(source.Compression), invocation.Get(Pushed), invocation.Time, invocation.Cancellation);
        return 0;
    }

    /// <summary>What a copy cannot say another one may know, so they are asked in their order.</summary>
    static Task<int> GetAsync(Invocation invocation)
    {
        var (config, source) = SourceOf(invocation);
        return WalGet.RunAsync(
            [.. source.To.Select(name => (Func<Task<VaultAccess>>)(() => OpenAsync(config, source, name, invocation.Cancellation)))],
            invocation.Get(Name), invocation.Get(Target), Verb.PrintError, invocation.Cancellation);
    }

    static (SalvorConfig Config, PostgresSourceConfig Source) SourceOf(Invocation invocation)
    {
        var config = invocation.LoadConfig();
        var clusters = config.Trees.Values.OfType<PostgresSourceConfig>().ToDictionary(source => source.Name);
        var name = invocation.Get(Source);
        return name is null && clusters.Count == 1 ? (config, clusters.Values.Single())
            : name is not null && clusters.TryGetValue(name, out var found) ? (config, found)
            : throw new SalvorException(
                FailureKind.Usage,
                name is null
                    ? $"{config.FileName} has {clusters.Count} sources of type postgres, and none is named"
                    : $"{config.FileName} has no source '{name}' of type postgres",
                clusters.Count == 0
                    ? "Add one: 'type: postgres'."
                    : $"Name one with '--source': {Suggestion.Enumerate([.. clusters.Keys])}.");
    }

    /// <summary>Never makes a vault: where the disk is away, a second history would begin.</summary>
    static async Task<VaultAccess> OpenAsync(
        SalvorConfig config, PostgresSourceConfig source, string destination, CancellationToken cancellationToken)
    {
        var store = Destinations.Open(config.Destinations[destination]);
        return await VaultAccess.FindAsync(store, source.Name, ConfiguredSources.KeysOf(source), cancellationToken)
            ?? throw new SalvorException(
                FailureKind.NotRestorable, $"there is no vault {VaultAccess.LocationOf(store, source.Name)}",
                $"Run 'salvor backup {source.Name}' first, which makes it; if there was one, look whether its disk is mounted.");
    }
}
