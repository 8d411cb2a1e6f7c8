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

    public Option<string[]> From { get; } = new("--from", "--source")
    {
        Description = "A vault, or the root of a destination, as a path or URL; no configuration is needed. Again for each further copy.",
        HelpName = "PATH-or-URL",
        DefaultValueFactory = _ => [],
    };

    public void AddTo(Command command)
    {
        command.Add(Source);
        command.Add(Db);
        command.Add(From);
    }

    /// <summary>Whether the command line names the vault, and not a configuration.</summary>
    public bool IsFromGiven(Invocation invocation) => invocation.Get(From).Length > 0;

    /// <summary>The name of the source, where one is given.</summary>
    public string? NameOf(Invocation invocation) => invocation.Get(Db) ?? invocation.Get(Source);

    /// <summary>
    /// The vault with all its copies, or null where the source is configured and nothing was ever stored. What is read from another copy
    /// because the first one is damaged is told.
    /// </summary>
    public async Task<(VaultAccess? Vault, SqliteSourceConfig? Source)> FindAsync(Invocation invocation)
    {
        var (copies, source) = await FindCopiesAsync(invocation);
        var vault = SourceCopies.Join(
            copies,
            copy => invocation.Tell(
                $"warning: {copy.Location} cannot be used: {copy.Failure!.Message}; taking the next copy. "
                    + "hint: Run 'salvor repair' when it is there again."),
            (bad, e) => invocation.Tell(
                $"warning: object {e.Key} at {bad.Location} is damaged: {e.What}; it was read from another copy. "
                    + $"hint: Run 'salvor repair {bad.Identity.Source}'."));
        return (vault, source);
    }

    /// <summary>What each destination has of the source.</summary>
    public async Task<(IReadOnlyList<SourceCopy> Copies, SqliteSourceConfig? Source)> FindCopiesAsync(Invocation invocation)
    {
        var name = NameOf(invocation);
        if (invocation.Get(From) is { Length: > 0 } froms)
        {
            return (await SourceCopies.FindAsync(froms, name, invocation.Cancellation), null);
        }

        var config = invocation.LoadConfig();
        var (source, member) = ConfiguredSources.Find(config, name);
        return (await SourceCopies.FindAsync(config, member.Name, source.To, invocation.Cancellation), source);
    }
}
