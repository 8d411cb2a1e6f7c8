using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Jobs;

/// <summary>One database of a configured source.</summary>
/// <param name="Name">The name of its vault.</param>
/// <param name="Path">The file.</param>
public sealed record SourceMember(string Name, string Path);

/// <summary>Finds databases by what a command line calls them.</summary>
public static class ConfiguredSources
{
    /// <summary>The databases of a source now: one for <c>path</c>, those that exist for <c>paths</c>.</summary>
    public static IEnumerable<SourceMember> Members(SqliteSourceConfig source) => source.Path is { } path
        ? [new SourceMember(source.Name, path)]
        : source.Paths!.Enumerate().Select(file => new SourceMember(source.Paths.MemberName(source.Name, file), file));

    /// <summary>How a member is protected.</summary>
    public static ReplicatorOptions OptionsOf(SqliteSourceConfig source, SourceMember member) => new()
    {
        Name = member.Name,
        Path = member.Path,
        StateDirectory = source.StateDirectory ?? LocalState.DefaultDirectory(member.Path),
        Batch = source.Batch,
        BlockMax = source.BlockMax,
        WalMaxBytes = source.WalMaxBytes,
    };

    /// <summary>The source and database of this name; the only one where no name is given.</summary>
    public static (SqliteSourceConfig Source, SourceMember Member) Find(SalvorConfig config, string? name)
    {
        if (name is null)
        {
            var single = config.Sources.Count == 1 ? config.Sources.Values.First() : null;
            return single?.Path is { } path
                ? (single, new SourceMember(single.Name, path))
                : throw new SalvorException(
                    FailureKind.Usage,
                    $"{config.FileName} has several sources: {Suggestion.Enumerate([.. config.Sources.Keys])}",
                    "Name one of them.");
        }

        foreach (var source in config.Sources.Values)
        {
            if (source.Path is not null && source.Name == name)
            {
                return (source, new SourceMember(name, source.Path));
            }

            if (source.Paths is not null && name.StartsWith(source.Name + "/", StringComparison.Ordinal))
            {
                // A database that was deleted is still restorable by its name.
                var relative = name[(source.Name.Length + 1)..];
                return (source, new SourceMember(name, Path.Combine(source.Paths.BaseDirectory, relative)));
            }
        }

        throw new SalvorException(
            FailureKind.Usage,
            $"{config.FileName} has no source '{name}'",
            Suggestion.Sentence(name, config.Sources.Keys) + $"Its sources are {Suggestion.Enumerate([.. config.Sources.Keys])}.");
    }
}
