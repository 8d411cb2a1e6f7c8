using System.Diagnostics.CodeAnalysis;

namespace Salvor.Jobs.Config;

/// <summary>
/// The files that patterns name: <c>*</c> is any part of one name, <c>?</c> one character of it, <c>**</c> any number of directories.
/// All patterns begin in one directory, the base, and a file is named by its path below it. As in a shell, a wildcard does not match a
/// dot at the front of a name. What SQLite and Salvor keep beside a database never matches.
/// </summary>
public sealed class PathGlob
{
    internal const string Hint = "Write it like /data/tenants/*.db: * is part of a name, ? one character, ** any directories.";

    const string StateFolder = ".salvor";

    static readonly string[] CompanionSuffixes = ["-wal", "-shm", "-journal"];

    readonly string[][] patterns;

    readonly DirectoryMemory memory;

    /// <summary>Throws <see cref="FailureKind.Usage"/> for a pattern that is malformed, relative, or begins in another directory.</summary>
    /// <param name="time">Tells how old a change of a directory is.</param>
    public PathGlob(IReadOnlyList<string> patterns, TimeProvider? time = null)
    {
        memory = new DirectoryMemory(time ?? TimeProvider.System);
        ArgumentOutOfRangeException.ThrowIfZero(patterns.Count);
        Patterns = [.. patterns.Select(Path.GetFullPath)];
        BaseDirectory = BaseOf(Patterns[0]);
        foreach (var pattern in patterns)
        {
            var problem = Problem(pattern)
                ?? (!Path.IsPathRooted(pattern) ? "is not an absolute path" : null)
                ?? (BaseOf(Path.GetFullPath(pattern)) != BaseDirectory ? $"does not begin in {BaseDirectory}" : null);
            if (problem is not null)
            {
                throw new SalvorException(FailureKind.Usage, $"pattern \"{pattern}\" {problem}", Hint);
            }
        }

        this.patterns = [.. Patterns.Select(pattern => Split(pattern, BaseDirectory))];
    }

    /// <summary>The directory without wildcards in which all patterns begin. It need not exist yet.</summary>
    public string BaseDirectory { get; }

    /// <summary>The patterns, absolute.</summary>
    public IReadOnlyList<string> Patterns { get; }

    /// <summary>Whether a file may be a member, by its absolute path alone.</summary>
    public bool IsMatch(string path) => TryGetRelativePath(path, out _);

    /// <summary>The path of a member below the base: <c>acme.db</c>.</summary>
    public bool TryGetRelativePath(string path, [NotNullWhen(true)] out string? relativePath)
    {
        relativePath = Path.GetRelativePath(BaseDirectory, path);
        if (Path.IsPathRooted(path) && !path.EndsWith('/') && IsMember(relativePath.Split('/')))
        {
            return true;
        }

        relativePath = null;
        return false;
    }

    /// <summary>
    /// The name of the source that a member is: <c>tenants/acme.db</c> for source tenants. See <see cref="SourceNames.Escape"/> for other
    /// characters.
    /// </summary>
    public string MemberName(string sourceName, string path)
    {
        Invariant.Check(TryGetRelativePath(path, out var relativePath));
        return $"{sourceName}/{SourceNames.Escape(relativePath)}";
    }

    /// <summary>
    /// The members that exist now, as absolute paths in ordinal order; none where the base does not exist. A directory that cannot be
    /// read is reported and the others go on; without <paramref name="onUnreadable"/> it is thrown. The same list as before where no
    /// directory changed.
    /// </summary>
    public IReadOnlyList<string> Enumerate(Action<SalvorException>? onUnreadable = null) => memory.Recall(reading =>
    {
        var isComplete = true;
        var files = Enumerate(
            failure =>
            {
                isComplete = false;
                (onUnreadable ?? (e => throw e))(failure);
            },
            directory =>
            {
                reading(directory);
                var entries = new DirectoryInfo(directory).GetFileSystemInfos();

                // What a link leads to can change without its directory.
                isComplete &= !entries.Any(entry => entry.Attributes.HasFlag(FileAttributes.ReparsePoint));
                return entries;
            });
        return (files, isComplete);
    });

    /// <summary>With the listing of a directory as an argument, because permissions do not stop a test that runs as root.</summary>
    internal IReadOnlyList<string> Enumerate(Action<SalvorException>? onUnreadable, Func<string, FileSystemInfo[]> list)
    {
        var members = new List<string>();
        if (Directory.Exists(BaseDirectory))
        {
            Walk(BaseDirectory, [], members, directory => List(directory, list, onUnreadable ?? (failure => throw failure)));
        }

        members.Sort(StringComparer.Ordinal);
        return members;
    }

    /// <summary>What is wrong with the text of a pattern, as the end of a sentence, or null.</summary>
    internal static string? Problem(string pattern)
    {
        if (pattern.EndsWith('/'))
        {
            return "names a directory, not files";
        }

        // In other tools these are sets and alternatives: taken as plain characters they would quietly match nothing.
        if (pattern.AsSpan().IndexOfAny("[]{}") is var index and >= 0)
        {
            return $"contains {pattern[index]}, which patterns here do not know";
        }

        if (pattern.EndsWith("/**", StringComparison.Ordinal))
        {
            return "ends with **, which names directories, not files";
        }

        if (pattern.Split('/').Contains(StateFolder))
        {
            return $"reaches into {StateFolder}, where Salvor keeps its own state";
        }

        return pattern.Split('/').Any(segment => segment.Contains("**", StringComparison.Ordinal) && segment != "**")
            ? "has ** inside of a name, where it can only stand for whole directories"
            : null;
    }

    /// <summary>The deepest directory before any wildcard.</summary>
    internal static string BaseOf(string pattern)
    {
        var wildcard = pattern.AsSpan().IndexOfAny('*', '?');
        var end = (wildcard < 0 ? pattern : pattern[..wildcard]).LastIndexOf('/');
        return end <= 0 ? "/" : pattern[..end];
    }

    static string[] Split(string pattern, string baseDirectory) => Path.GetRelativePath(baseDirectory, pattern).Split('/');

    void Walk(string directory, string[] segments, List<string> members, Func<string, FileSystemInfo[]> list)
    {
        foreach (var entry in list(directory))
        {
            string[] path = [.. segments, entry.Name];
            if (!entry.Attributes.HasFlag(FileAttributes.Directory))
            {
                if (IsMember(path))
                {
                    members.Add(entry.FullName);
                }
            }
            else if (MayContainMembers(path, isLink: entry.Attributes.HasFlag(FileAttributes.ReparsePoint)))
            {
                Walk(entry.FullName, path, members, list);
            }
        }
    }

    static FileSystemInfo[] List(string directory, Func<string, FileSystemInfo[]> list, Action<SalvorException> onUnreadable)
    {
        try
        {
            return list(directory);
        }
        catch (DirectoryNotFoundException)
        {
            // Removed since its parent was read: its members are gone, as if we had come later.
            return [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            onUnreadable(new(
                FailureKind.SourceUnreadable,
                $"directory {directory} cannot be read, so databases in it are not protected: {e.Message}",
                $"Let this user read it: chmod o+rx {directory}, or setfacl.",
                e));
            return [];
        }
    }

    bool IsMember(ReadOnlySpan<string> path)
    {
        if (path.Contains(StateFolder) || CompanionSuffixes.Any(path[^1].EndsWith))
        {
            return false;
        }

        foreach (var pattern in patterns)
        {
            if (Matches(pattern, path, asDirectory: false))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Links to directories are followed where the pattern has a fixed depth; below ** they could lead in circles.</summary>
    bool MayContainMembers(ReadOnlySpan<string> path, bool isLink)
    {
        foreach (var pattern in patterns)
        {
            if (path[^1] != StateFolder && Matches(pattern, path, asDirectory: true) && !(isLink && pattern.Contains("**")))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Whether the path matches the pattern or, as a directory, the pattern's beginning.</summary>
    static bool Matches(ReadOnlySpan<string> pattern, ReadOnlySpan<string> path, bool asDirectory)
    {
        if (path.IsEmpty || pattern.IsEmpty)
        {
            return path.IsEmpty && (asDirectory ? !pattern.IsEmpty : pattern.IsEmpty);
        }

        if (pattern[0] == "**")
        {
            return Matches(pattern[1..], path, asDirectory) || (path[0][0] != '.' && Matches(pattern, path[1..], asDirectory));
        }

        return MatchesName(pattern[0], path[0]) && Matches(pattern[1..], path[1..], asDirectory);
    }

    static bool MatchesName(string pattern, string name)
    {
        if (name[0] == '.' && pattern[0] != '.')
        {
            return false;
        }

        // The last star that was met can take one more character whenever the rest does not fit.
        var (p, n, star, starEnd) = (0, 0, -1, 0);
        while (n < name.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                (star, starEnd) = (p++, n);
            }
            else if (p < pattern.Length && (pattern[p] == '?' || pattern[p] == name[n]))
            {
                (p, n) = (p + 1, n + 1);
            }
            else if (star >= 0)
            {
                (p, n) = (star + 1, ++starEnd);
            }
            else
            {
                return false;
            }
        }

        return pattern.AsSpan(p).TrimStart('*').IsEmpty;
    }
}
