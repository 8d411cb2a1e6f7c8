using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>Permissions that restored files and directories get in place of their own.</summary>
/// <param name="Directories">Of directories; null where they keep theirs.</param>
/// <param name="Files">Of all others; null where they keep theirs.</param>
public sealed record Modes(uint? Directories, uint? Files)
{
    const uint Most = 0b111_111_111_111;

    /// <summary>From <c>D750,F640</c>, or one of the two. Throws <see cref="FailureKind.Usage"/> for anything else.</summary>
    public static Modes Parse(string? text) => text is null ? new Modes(null, null)
        : TryParse(text, out var modes) ? modes
        : throw new SalvorException(
            FailureKind.Usage, $"'--chmod {text}' names no permissions",
            "Write octal permissions of directories and files, as 'D750,F640'.");

    /// <summary>The same; false for anything else.</summary>
    public static bool TryParse(string text, out Modes modes)
    {
        modes = new Modes(null, null);
        foreach (var part in text.Split(','))
        {
            if (part is ['D', .. var directories] && modes.Directories is null && Octal(directories) is { } ofDirectories)
            {
                modes = modes with { Directories = ofDirectories };
            }
            else if (part is ['F', .. var files] && modes.Files is null && Octal(files) is { } ofFiles)
            {
                modes = modes with { Files = ofFiles };
            }
            else
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The permissions of an entry.</summary>
    internal uint Of(TreeEntry entry) => (entry.Kind == TreeEntryKind.Directory ? Directories : Files) ?? entry.Permissions;

    /// <summary>
    /// The same without what lets a program run as its owner or group, unless that is whom it belonged to, or it was asked for.
    /// </summary>
    internal uint Of(TreeEntry entry, Ownership owners, bool isOwned)
    {
        const uint RunsAsUser = 0b100_000_000_000;
        const uint RunsAsGroup = 0b010_000_000_000;
        var permissions = Of(entry);
        if (entry.Kind == TreeEntryKind.Directory || (permissions & (RunsAsUser | RunsAsGroup)) == 0)
        {
            return permissions;
        }

        var (user, group) = !isOwned ? (false, false) : Files is null ? owners.Keeps(entry) : (true, true);
        return permissions & ~((user ? 0 : RunsAsUser) | (group ? 0 : RunsAsGroup));
    }

    static uint? Octal(string text) =>
        text.Length is 3 or 4 && text.All(digit => digit is >= '0' and <= '7')
        && Convert.ToUInt32(text, 8) is var value and <= Most
            ? value
            : null;
}
