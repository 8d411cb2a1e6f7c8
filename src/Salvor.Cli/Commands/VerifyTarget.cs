using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Vault;

namespace Salvor.Cli.Commands;

/// <summary>A source that is verified or repaired: its copies, and where its local state is, if it is known on this machine.</summary>
/// <param name="Name">The source.</param>
/// <param name="Copies">What each destination has of it.</param>
/// <param name="Path">The database; empty where the vault does not say.</param>
/// <param name="StateDirectory">The folder of local state; null where this machine has none for it.</param>
/// <param name="KeepsImage">Whether a deep verification keeps its result for the next one.</param>
sealed record VerifyTarget(string Name, IReadOnlyList<SourceCopy> Copies, string Path, string? StateDirectory, bool KeepsImage)
{
    /// <summary>See <see cref="VerifyRequest.Role"/>.</summary>
    public string Role { get; init; } = "postgres";

    /// <summary>See <see cref="VerifyRequest.ScratchRoot"/>.</summary>
    public string? ScratchRoot { get; init; }

    /// <summary>The source that the command line names; all of the configuration where it names none.</summary>
    public static async Task<IReadOnlyList<VerifyTarget>> FindAsync(Invocation invocation, VaultOptions options)
    {
        var name = options.NameIn(invocation);
        if (options.IsFromGiven(invocation))
        {
            var (copies, _, _) = await options.FindCopiesAsync(invocation);
            return [Of(copies)];
        }

        var config = invocation.LoadConfig();
        var targets = new List<VerifyTarget>();
        foreach (var tree in config.Trees.Values.Where(tree => name is null || tree.Name == name))
        {
            var keys = KeyOptions.Find(invocation, tree);
            targets.Add(new VerifyTarget(
                tree.Name, await SourceCopies.FindAsync(config, tree.Name, tree.To, keys, invocation.Cancellation), tree.Name,
                ConfiguredSources.StateOf(config, tree), KeepsImage: false)
            {
                Role = PostgresSourceConfig.RoleOf(tree), ScratchRoot = config.Restore.Scratch,
            });
        }

        if (name is not null && targets.Count > 0)
        {
            return targets;
        }

        var members = name is not null
            ? config.Sources.TryGetValue(name, out var whole) ? Members(invocation, whole) : [ConfiguredSources.Find(config, name)]
            : config.Sources.Values.SelectMany(source => Members(invocation, source));
        foreach (var (source, member) in members)
        {
            var state = ConfiguredSources.OptionsOf(source, member).StateDirectory;
            targets.Add(new VerifyTarget(
                member.Name,
                await SourceCopies.FindAsync(
                    config, member.Name, source.To, KeyOptions.Find(invocation, source), invocation.Cancellation),
                member.Path, state, source.Verify.KeepImage));
        }

        return targets;
    }

    /// <summary>Where the proven image of a deep verification is, or would be.</summary>
    public string ImagePath()
    {
        if (StateDirectory is { } state && Directory.Exists(System.IO.Path.GetDirectoryName(state)))
        {
            LocalState.EnsureDirectory(state);
            return LocalState.ProvenPath(state, Path);
        }

        return System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"salvor-{Name.Replace('/', '-')}.proven");
    }

    /// <summary>Says beside the database when it was verified, where this machine knows it.</summary>
    public void Write(VerifyRecord record)
    {
        if (StateDirectory is { } state && Directory.Exists(System.IO.Path.GetDirectoryName(state)))
        {
            LocalState.EnsureDirectory(state);
            VerifyFile.Write(LocalState.VerifyPath(state, Path), record);
        }
    }

    /// <summary>A vault without a configuration says where its database lives; state is there if it was replicated from here.</summary>
    static VerifyTarget Of(IReadOnlyList<SourceCopy> copies)
    {
        var identity = copies.First(copy => copy.Vault is not null).Vault!.Identity;
        var state = LocalState.DefaultDirectory(identity.Path);
        var isHere = !identity.IsTree && Directory.Exists(state);
        return new VerifyTarget(identity.Source, copies, identity.Path, isHere ? state : null, isHere);
    }

    static IEnumerable<(SqliteSourceConfig Source, SourceMember Member)> Members(Invocation invocation, SqliteSourceConfig source) =>
        ConfiguredSources
            .Members(source, failure => invocation.Tell($"salvor: {failure.Message}\nhint: {failure.Hint}"))
            .Select(member => (source, member));
}
