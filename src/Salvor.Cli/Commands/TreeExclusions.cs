using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Files;
using Salvor.Jobs.Config;

namespace Salvor.Cli.Commands;

/// <summary>What one backup of files leaves out besides what its source does.</summary>
static class TreeExclusions
{
    const long FileBytesMax = 1 << 20;

    static readonly Option<string[]> Exclude = new("--exclude")
    {
        Description = "Of files: leave out what matches too, this time, as in .gitignore. May be given again.", HelpName = "PATTERN",
        DefaultValueFactory = _ => [],
    };

    static readonly Option<string[]> ExcludeFile = new("--exclude-file")
    {
        Description = "Of files: the same for each line of a file.", HelpName = "FILE", DefaultValueFactory = _ => [],
    };

    static readonly Option<string[]> ExcludeIfPresent = new("--exclude-if-present")
    {
        Description = "Of files: leave out what is in a directory with a file of this name. May be given again.", HelpName = "NAME",
        DefaultValueFactory = _ => [],
    };

    static readonly Option<bool> ExcludeCaches = new("--exclude-caches")
    {
        Description = "Of files: leave out what is in a directory with a CACHEDIR.TAG.",
    };

    static readonly Option<bool> OneFileSystem = new("--one-file-system")
    {
        Description = "Of files: leave out what is mounted below the paths.",
    };

    public static readonly Option[] Own = [Exclude, ExcludeFile, ExcludeIfPresent, ExcludeCaches, OneFileSystem];

    /// <summary>The source as it is backed up this time. Throws where something is given, and it is not of files.</summary>
    public static TreeSourceConfig Apply(Invocation invocation, TreeSourceConfig source)
    {
        if (Own.FirstOrDefault(invocation.Has) is not { } first)
        {
            return source;
        }

        if (source is not FilesSourceConfig files)
        {
            throw NotOfFiles(first, source.Name);
        }

        string[] patterns = [.. invocation.Get(Exclude), .. invocation.Get(ExcludeFile).SelectMany(Read)];
        var options = files.Options with
        {
            Exclude = PathPatterns.Parse([.. files.Exclude, .. patterns]),
            ExcludeIfPresent = [.. files.Options.ExcludeIfPresent, .. invocation.Get(ExcludeIfPresent)],
            ExcludeCaches = files.Options.ExcludeCaches || invocation.Get(ExcludeCaches),
            OneFileSystem = files.Options.OneFileSystem || invocation.Get(OneFileSystem),
            IsNarrowed = true,

            // What is left out looks like what is gone.
            WarnsOfAnomalies = false,
        };
        string[] given =
        [
            .. patterns, .. invocation.Get(ExcludeIfPresent).Select(name => $"what has {name} beside it"),
            .. invocation.Get(ExcludeCaches) ? ["caches"] : (string[])[],
            .. invocation.Get(OneFileSystem) ? ["other file systems"] : (string[])[],
        ];
        invocation.Tell($"warning: this backup of {source.Name} alone leaves out {string.Join(", ", given)}");
        return files with { Options = options };
    }

    /// <summary>Throws where something of it is given.</summary>
    public static void ExpectNone(Invocation invocation, string name)
    {
        if (Own.FirstOrDefault(invocation.Has) is { } first)
        {
            throw NotOfFiles(first, name);
        }
    }

    static SalvorException NotOfFiles(Option option, string name) => new(
        FailureKind.Usage, $"'{option.Name}' is for files, and {name} is something else", "Leave it out: all of it is backed up.");

    static IEnumerable<string> Read(string path)
    {
        const string Hint = "Write one pattern on a line, as in .gitignore.";
        try
        {
            return new FileInfo(path).Length <= FileBytesMax
                ? PathPatterns.Lines(File.ReadAllText(path))
                : throw new SalvorException(FailureKind.Usage, $"{path} is too large for a file of patterns", Hint);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new SalvorException(FailureKind.Usage, $"cannot read the patterns: {e.Message}", Hint, e);
        }
    }
}
