using System.CommandLine;
using System.Globalization;
using System.Text;
using Salvor.Cli.Terminal;
using Salvor.Platform;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

/// <summary>A backup of files that a verb looks into.</summary>
sealed record OpenedTree(VaultAccess Vault, BackupRecord Record, TreeSnapshot Snapshot);

/// <summary>What the verbs that look into backups of files share.</summary>
static class TreeVerbs
{
    /// <summary>A place in a backup, where a text names one: a backup, a colon, and a path from the top; else null.</summary>
    public static string? IsPlace(string? text) => text?.Contains(":/", StringComparison.Ordinal) == true ? text : null;

    /// <summary>The backup and the path in a place. A byte that is no text is written as <c>\xNN</c>, as it is printed.</summary>
    public static (string Backup, byte[] Path) Split(string place)
    {
        var colon = place.IndexOf(":/", StringComparison.Ordinal);
        if (colon <= 0)
        {
            throw new SalvorException(
                FailureKind.Usage, $"'{place}' names no place in a backup", "Write it as BACKUP:/PATH, for example 'latest:/srv/app'.");
        }

        return (place[..colon], Bytes(place[(colon + 1)..].TrimEnd('/')));
    }

    /// <summary>The source and the last arguments, of those that were given.</summary>
    /// <param name="invocation">The command line.</param>
    /// <param name="arguments">All arguments.</param>
    /// <param name="count">How many follow the source, which may be left out.</param>
    /// <param name="example">How it is written.</param>
    public static (string? Source, string[] Others) Take(Invocation invocation, Argument<string[]> arguments, int count, string example)
    {
        var given = invocation.Get(arguments) ?? [];
        return given.Length == count ? (null, given)
            : given.Length == count + 1 ? (given[0], given[1..])
            : throw new SalvorException(
                FailureKind.Usage, $"{given.Length} argument(s) are given where {count} are expected, after the source",
                $"Write '{example}'.");
    }

    /// <summary>The vault of a source of files. Throws where it is one of a database, and where nothing is backed up.</summary>
    public static async Task<(VaultAccess Vault, VaultCatalog Catalog)> FindAsync(
        Invocation invocation, VaultOptions options, string? source)
    {
        var (vault, _) = await options.FindAsync(invocation, source);
        if (vault is null)
        {
            throw new SalvorException(
                FailureKind.NotRestorable, "nothing is backed up yet at any destination of this source", "Run 'salvor backup' first.");
        }

        return vault.Identity.IsTree
            ? (vault, await VaultCatalog.LoadAsync(vault, invocation.Cancellation))
            : throw new SalvorException(
                FailureKind.Usage,
                $"source {vault.Identity.Source} is a database, and this looks into backups of files",
                "Restore it to look into it: 'salvor restore' writes beside it by itself.");
    }

    /// <summary>Opens a backup.</summary>
    public static async Task<OpenedTree> OpenAsync(Invocation invocation, VaultOptions options, string? source, string? backup)
    {
        var (vault, catalog) = await FindAsync(invocation, options, source);
        var record = await TreeBackups.FindAsync(catalog, backup, invocation.Cancellation);
        return new OpenedTree(vault, record, await TreeBackups.OpenAsync(vault, record, invocation.Cancellation));
    }

    public static TreeEntryBody BodyOf(TreePath item)
    {
        var entry = item.Entry;
        return new TreeEntryBody(
            DirectoryCalls.Show(item.Path), NameOf(entry.Kind), ModeOf(entry), entry.UserId, entry.GroupId, entry.User, entry.Group,
            entry.SizeBytes, DateTimeOffset.UnixEpoch.AddTicks(ClampedTicks(entry.ModifiedNanoseconds)),
            entry.Kind == TreeEntryKind.Link ? DirectoryCalls.Show(entry.Target) : null,
            [.. entry.Attributes.Select(attribute => DirectoryCalls.Show(attribute.Name))],
            entry.Marks.HasFlag(TreeEntryMarks.Unreadable), entry.Marks.HasFlag(TreeEntryMarks.Changed));
    }

    /// <summary>A line for people, as <c>ls -l</c> prints one.</summary>
    public static string LineOf(TreeEntryBody body)
    {
        var owner = $"{(body.User.Length > 0 ? body.User : body.UserId)}:{(body.Group.Length > 0 ? body.Group : body.GroupId)}";
        return string.Create(
            CultureInfo.InvariantCulture,
            $"{body.Mode}  {owner,-17}  {body.SizeBytes,13}  {body.Modified:yyyy-MM-dd HH:mm:ss}  {body.Path}")
            + (body.Target is null ? "" : $" -> {body.Target}")
            + (body.Unreadable ? "  (could not be read)" : body.Changed ? "  (changed meanwhile)" : "");
    }

    static string NameOf(TreeEntryKind kind) => kind switch
    {
        TreeEntryKind.CharacterDevice => "character_device",
        TreeEntryKind.BlockDevice => "block_device",
        _ => kind.ToString().ToLowerInvariant(),
    };

    static string ModeOf(TreeEntry entry)
    {
        const string Kinds = "?d-lpcbs", Bits = "rwxrwxrwx";
        var mode = new StringBuilder().Append(Kinds[(int)entry.Kind]);
        for (var i = 0; i < Bits.Length; i++)
        {
            mode.Append((entry.Permissions & (0x100u >> i)) != 0 ? Bits[i] : '-');
        }

        (uint Bit, int At, char Mark)[] specials = [(0x800, 3, 's'), (0x400, 6, 's'), (0x200, 9, 't')];
        foreach (var (bit, at, mark) in specials.Where(special => (entry.Permissions & special.Bit) != 0))
        {
            mode[at] = mode[at] == 'x' ? mark : char.ToUpperInvariant(mark);
        }

        return mode.ToString();
    }

    static long ClampedTicks(long nanoseconds) => Math.Clamp(
        nanoseconds / TimeSpan.NanosecondsPerTick, (DateTimeOffset.MinValue - DateTimeOffset.UnixEpoch).Ticks,
        (DateTimeOffset.MaxValue - DateTimeOffset.UnixEpoch).Ticks);

    static byte[] Bytes(string text)
    {
        var bytes = new List<byte>();
        for (var i = 0; i < text.Length;)
        {
            if (text[i] == '\\' && i + 3 < text.Length && text[i + 1] == 'x'
                && byte.TryParse(text.AsSpan(i + 2, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
            {
                bytes.Add(value);
                i += 4;
                continue;
            }

            var length = char.IsHighSurrogate(text[i]) && i + 1 < text.Length ? 2 : 1;
            bytes.AddRange(Encoding.UTF8.GetBytes(text.Substring(i, length)));
            i += length;
        }

        return [.. bytes];
    }
}
