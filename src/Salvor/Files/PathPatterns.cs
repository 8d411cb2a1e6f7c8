using System.Text;

namespace Salvor.Files;

/// <summary>
/// Patterns as in <c>.gitignore</c>, on absolute paths of bytes. One without a slash matches a name anywhere; one that begins with a slash
/// a path from the top; one with a slash elsewhere the end of a path. A slash at the end: directories alone. <c>*</c> and <c>?</c> stand
/// for anything but slashes, <c>**</c> for any directories, <c>[a-z]</c> for one byte. The last one that matches decides, and one that
/// begins with <c>!</c> takes back. What is in a directory that is left out is not looked at.
/// </summary>
public sealed class PathPatterns
{
    /// <summary>Nothing matches.</summary>
    public static readonly PathPatterns None = new([]);

    readonly List<Rule> rules;

    PathPatterns(List<Rule> rules) => this.rules = rules;

    /// <summary>One pattern, without its marks.</summary>
    readonly record struct Rule(byte[][] Parts, bool Negates, bool DirectoriesOnly);

    public bool IsEmpty => rules.Count == 0;

    /// <summary>Reads patterns. Throws <see cref="FailureKind.Usage"/> for one that is none.</summary>
    public static PathPatterns Parse(IEnumerable<string> patterns) => new([.. patterns.Select(ParseOne)]);

    /// <summary>The patterns of a file's lines: empty lines, and those that begin with <c>#</c>, are none.</summary>
    public static IEnumerable<string> Lines(string text) =>
        text.Split('\n').Select(line => line.TrimEnd('\r', ' ')).Where(line => line.Length > 0 && line[0] != '#');

    /// <summary>What is wrong with a pattern; null where nothing is.</summary>
    public static string? Problem(string pattern)
    {
        var rest = pattern.TrimStart('!').Trim('/');
        return rest.Length == 0 ? "names nothing"
            : rest.Split('/').Any(part => part is "." or "..") ? "has a part that is no name"
            : rest.LastIndexOf('[') > rest.LastIndexOf(']') ? "has a [ without its ]"
            : null;
    }

    /// <summary>Whether a path matches in the end.</summary>
    /// <param name="path">Absolute.</param>
    /// <param name="isDirectory">Whether it is a directory.</param>
    public bool Matches(ReadOnlySpan<byte> path, bool isDirectory)
    {
        for (var i = rules.Count - 1; i >= 0; i--)
        {
            if ((isDirectory || !rules[i].DirectoriesOnly) && IsMatch(rules[i].Parts, path))
            {
                return !rules[i].Negates;
            }
        }

        return false;
    }

    /// <summary>Whether a path or a directory above it matches.</summary>
    public bool MatchesAtOrAbove(ReadOnlySpan<byte> path, bool isDirectory)
    {
        for (var end = 1; end < path.Length; end++)
        {
            if (path[end] == (byte)'/' && Matches(path[..end], isDirectory: true))
            {
                return true;
            }
        }

        return Matches(path, isDirectory);
    }

    static Rule ParseOne(string pattern)
    {
        if (Problem(pattern) is { } problem)
        {
            throw new SalvorException(
                FailureKind.Usage, $"pattern \"{pattern}\" {problem}", "Write a name like '*.tmp', or a path like '/srv/app/cache/'.");
        }

        var negates = pattern[0] == '!';
        var text = negates ? pattern[1..] : pattern;
        var isAnchored = text[0] == '/';
        var parts = text.Trim('/').Split('/', StringSplitOptions.RemoveEmptyEntries).Select(Encoding.UTF8.GetBytes).ToList();
        if (!isAnchored)
        {
            parts.Insert(0, "**"u8.ToArray());
        }

        return new Rule([.. parts], negates, text[^1] == '/');
    }

    static bool IsMatch(ReadOnlySpan<byte[]> parts, ReadOnlySpan<byte> path)
    {
        path = path.TrimStart((byte)'/');
        if (parts.IsEmpty)
        {
            return path.IsEmpty;
        }

        if (path.IsEmpty)
        {
            return false;
        }

        var slash = path.IndexOf((byte)'/');
        var name = slash < 0 ? path : path[..slash];
        var rest = slash < 0 ? default : path[slash..];
        if (!parts[0].AsSpan().SequenceEqual("**"u8))
        {
            return IsNameMatch(parts[0], name) && IsMatch(parts[1..], rest);
        }

        // At the end it stands for all that is inside.
        return parts.Length == 1 || IsMatch(parts[1..], path) || IsMatch(parts, rest);
    }

    static bool IsNameMatch(ReadOnlySpan<byte> pattern, ReadOnlySpan<byte> name)
    {
        var (star, retry) = (-1, 0);
        var (p, n) = (0, 0);
        while (n < name.Length)
        {
            if (p < pattern.Length && pattern[p] == (byte)'*')
            {
                (star, retry) = (p++, n);
            }
            else if (p < pattern.Length && IsByteMatch(pattern[p..], name[n], out var length))
            {
                (p, n) = (p + length, n + 1);
            }
            else if (star >= 0)
            {
                (p, n) = (star + 1, ++retry);
            }
            else
            {
                return false;
            }
        }

        return pattern[p..].IndexOfAnyExcept((byte)'*') < 0;
    }

    /// <summary>Whether the first item of a pattern matches a byte, and how long that item is.</summary>
    static bool IsByteMatch(ReadOnlySpan<byte> pattern, byte value, out int length)
    {
        length = 1;
        switch (pattern[0])
        {
            case (byte)'?':
                return true;
            case (byte)'\\' when pattern.Length > 1:
                length = 2;
                return pattern[1] == value;
            case (byte)'[':
                return IsSetMatch(pattern, value, out length);
            default:
                return pattern[0] == value;
        }
    }

    static bool IsSetMatch(ReadOnlySpan<byte> pattern, byte value, out int length)
    {
        var negates = pattern[1] is (byte)'!' or (byte)'^';
        var first = negates ? 2 : 1;
        var end = first + 1 < pattern.Length ? pattern[(first + 1)..].IndexOf((byte)']') : -1;
        length = end < 0 ? 1 : first + 1 + end + 1;
        var set = pattern[first..Math.Max(first, length - 1)];
        var isIn = false;
        for (var i = 0; i < set.Length; i++)
        {
            if (i + 2 < set.Length && set[i + 1] == (byte)'-')
            {
                isIn |= set[i] <= value && value <= set[i + 2];
                i += 2;
            }
            else
            {
                isIn |= set[i] == value;
            }
        }

        return isIn != negates;
    }
}
