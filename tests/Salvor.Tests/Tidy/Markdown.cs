using System.Text.RegularExpressions;

namespace Salvor.Tests.Tidy;

/// <summary>Links of a page to files and headings of this checkout.</summary>
static partial class Markdown
{
    /// <param name="path">The page, relative to the checkout.</param>
    /// <param name="text">Its text.</param>
    /// <param name="read">The text of a file by its absolute path, or null where there is none.</param>
    public static IEnumerable<string> BrokenLinks(string path, string text, Func<string, string?> read)
    {
        var folder = Path.GetDirectoryName(Path.Combine(Checkout.Root, path))!;
        foreach (var link in Link().Matches(Code().Replace(text, "")).Select(match => match.Groups["target"].Value))
        {
            if (Scheme().IsMatch(link))
            {
                continue;
            }

            var (file, anchor) = link.Split('#', 2) is [var before, var after] ? (before, after) : (link, "");
            var target = file.Length == 0 ? Path.Combine(Checkout.Root, path) : Path.GetFullPath(file, folder);
            var content = file.Length == 0 ? text : read(target);
            if (content is null && !Directory.Exists(target))
            {
                yield return $"{path}: {link}: no such file";
            }
            else if (anchor.Length > 0 && !Headings(content ?? "").Contains(anchor))
            {
                yield return $"{path}: {link}: no such heading";
            }
        }
    }

    static IEnumerable<string> Headings(string text) =>
        from match in Heading().Matches(Code().Replace(text, ""))
        select NotInAnchor().Replace(match.Groups["title"].Value.Trim().ToLowerInvariant(), "").Replace(' ', '-');

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^```[\s\S]*?^```", RegexOptions.Multiline)]
    private static partial Regex Code();

    [GeneratedRegex(@"^[a-z]+:", RegexOptions.IgnoreCase)]
    private static partial Regex Scheme();

    [GeneratedRegex(@"^#+ (?<title>.+)$", RegexOptions.Multiline)]
    private static partial Regex Heading();

    [GeneratedRegex(@"[^\w\- ]")]
    private static partial Regex NotInAnchor();
}
