using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Vault;
using Salvor.Vault.Keys;

namespace Salvor.Cli.Commands;

/// <summary>How every verb that reads a vault is told which: by the name of a configured source, or by <c>--from</c> alone.</summary>
sealed class VaultOptions
{
    public Argument<string?> Source { get; } = new("SOURCE")
    {
        Description = "The name of the source; may be left out where there is only one.", Arity = ArgumentArity.ZeroOrOne,
    };

    /// <summary>A command that may follow the source, after <c>--</c>.</summary>
    public Argument<string[]>? Command { get; init; }

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
        if (Command is not null)
        {
            command.Add(Command);
        }

        AddNamesTo(command);
    }

    /// <summary>The same without the argument, for verbs whose arguments mean something else too.</summary>
    public void AddNamesTo(Command command)
    {
        command.Add(Db);
        command.Add(From);
        command.Add(KeyOptions.KeyFile);
    }

    /// <summary>The name of the source, where one is given, as an argument or by <c>--db</c>.</summary>
    public string? NameIn(Invocation invocation)
    {
        var source = Command is not null && invocation.IsAfterDashes(Source) ? null : invocation.Get(Source);
        return invocation.Get(Db) ?? (TreeVerbs.IsPlace(source) is null ? source : null);
    }

    /// <summary>Whether the command line names the vault, and not a configuration.</summary>
    public bool IsFromGiven(Invocation invocation) => invocation.Get(From).Length > 0;

    /// <summary>
    /// The vault with all its copies, or null where the source is configured and nothing was ever stored. What is read from another copy
    /// because the first one is damaged is told.
    /// </summary>
    public async Task<(VaultAccess? Vault, SourceConfig? Source)> FindAsync(Invocation invocation, string? name = null)
    {
        var (vault, source, _) = await FindWithKeysAsync(invocation, name);
        return (vault, source);
    }

    /// <summary>As <see cref="FindAsync"/>, and what opened it; null for a plain vault.</summary>
    public async Task<(VaultAccess? Vault, SourceConfig? Source, Keyring? Keys)> FindWithKeysAsync(
        Invocation invocation, string? name = null)
    {
        var (copies, source, keys) = await FindCopiesAsync(invocation, name);
        var vault = SourceCopies.Join(
            copies,
            copy => invocation.Tell(
                $"warning: {copy.Location} cannot be used: {copy.Failure!.Message}; taking the next copy. "
                    + "hint: Run 'salvor repair' when it is there again."),
            (bad, e) => invocation.Tell(
                $"warning: object {e.Key} at {bad.Location} is damaged: {e.What}; it was read from another copy. "
                    + $"hint: Run 'salvor repair {bad.Identity.Source}'."));
        return (vault, source, keys);
    }

    /// <summary>What each destination has of the source, and what opens it; null for a plain vault.</summary>
    public async Task<(IReadOnlyList<SourceCopy> Copies, SourceConfig? Source, Keyring? Keys)> FindCopiesAsync(
        Invocation invocation, string? name = null)
    {
        name ??= NameIn(invocation);
        if (invocation.Get(From) is { Length: > 0 } froms)
        {
            var given = KeyOptions.Find(invocation, source: null);
            return (await SourceCopies.FindAsync(froms, name, given, invocation.Cancellation), null, given);
        }

        var config = invocation.LoadConfig();
        if (ConfiguredSources.FindTree(config, name) is { } tree)
        {
            var opens = KeyOptions.Find(invocation, tree);
            return (await SourceCopies.FindAsync(config, tree.Name, tree.To, opens, invocation.Cancellation), tree, opens);
        }

        var (source, member) = ConfiguredSources.Find(config, name);
        var keys = KeyOptions.Find(invocation, source);
        return (await SourceCopies.FindAsync(config, member.Name, source.To, keys, invocation.Cancellation), source, keys);
    }

    /// <summary>The vault opened by an exported key, and what is given to open it otherwise.</summary>
    public async Task<(VaultAccess Vault, Keyring? Keys)> OpenByAsync(Invocation invocation, Keyring export)
    {
        if (invocation.Get(From) is { Length: > 0 } froms)
        {
            var vault = await Destinations.FindVaultAsync(froms[0], NameIn(invocation), export, invocation.Cancellation);
            return (vault, KeyOptions.Find(invocation, source: null));
        }

        var config = invocation.LoadConfig();
        var tree = ConfiguredSources.FindTree(config, NameIn(invocation));
        var (source, member) = tree is null
            ? ConfiguredSources.Find(config, NameIn(invocation))
            : ((SourceConfig)tree, new SourceMember(tree.Name, tree.Name));
        return (
            await Destinations.FindVaultAsync(config, member.Name, source.To, export, invocation.Cancellation)
                ?? throw new SalvorException(
                    FailureKind.NotRestorable, $"source {source.Name} has no vault yet", "There is nothing to import the key into."),
            KeyOptions.Find(invocation, source));
    }
}
