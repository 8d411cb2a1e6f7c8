using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Vault;

namespace Salvor.Cli.Commands;

/// <summary>How every verb that reads a vault is told which: by the name of a configured source, or by <c>--from</c> alone.</summary>
sealed class VaultOptions
{
    public Argument<string?> Source { get; } = new("SOURCE")
    {
        Description = "The name of the source; may be left out where there is only one.", Arity = ArgumentArity.ZeroOrOne,
    };

    public Option<string?> Db { get; } = new("--db", "--source-name") { Description = "The same as SOURCE.", HelpName = "NAME" };

    public Option<string?> From { get; } = new("--from", "--source")
    {
        Description = "A vault, or the root of a destination, as a path or URL; no configuration is needed.", HelpName = "PATH-or-URL",
    };

    public void AddTo(Command command)
    {
        command.Add(Source);
        command.Add(Db);
        command.Add(From);
    }

    /// <summary>The vault, or null where the source is configured and nothing was ever stored.</summary>
    public async Task<(VaultAccess? Vault, SqliteSourceConfig? Source)> FindAsync(Invocation invocation)
    {
        var name = invocation.Get(Db) ?? invocation.Get(Source);
        if (invocation.Get(From) is { } from)
        {
            return (await Destinations.FindVaultAsync(from, name, invocation.Cancellation), null);
        }

        var config = invocation.LoadConfig();
        var (source, member) = ConfiguredSources.Find(config, name);
        return (await Destinations.FindVaultAsync(config, member.Name, source.To, invocation.Cancellation), source);
    }
}
