using System.Globalization;
using System.Text;
using Salvor.Platform;
using Salvor.Postgres.Restore;
using Salvor.Vault.Trees;

namespace Salvor.Jobs.Clusters;

/// <summary>Where a tablespace goes.</summary>
/// <param name="Path">The directory.</param>
/// <param name="IsOver">Whether it has something when the restore begins: the tablespace as the cluster has it that is there.</param>
/// <param name="Names">What the backup has at its top.</param>
sealed record ClusterPlace(string Path, bool IsOver, IReadOnlySet<string> Names)
{
    /// <summary>
    /// What else is at its top, and stays: a directory of another version, of the cluster that this one was upgraded from, or what the file
    /// system keeps there.
    /// </summary>
    public IReadOnlyList<string> Others => IsOver && Directory.Exists(Path)
        ? [.. Directory.EnumerateFileSystemEntries(Path).Select(item => System.IO.Path.GetFileName(item)).Except(Names)]
        : [];
}

/// <summary>
/// Where the tablespaces of a restored cluster go: never into the data directory, where a server that finds more than links ends its
/// recovery, and never where they may be those of another cluster.
/// </summary>
/// <param name="target">The data directory.</param>
/// <param name="backupId">The base backup, for messages.</param>
sealed class ClusterPlaces(string target, ulong backupId)
{
    /// <summary>Where a data directory links to tablespaces.</summary>
    public const string Folder = "pg_tblspc";

    /// <summary>The default: a directory beside the data directory, with one in it for each.</summary>
    public string Beside => target + ".tablespaces";

    /// <summary>A tablespace in the backup, as a path from its top.</summary>
    public static string SourceOf(uint id) => string.Create(CultureInfo.InvariantCulture, $"/{Folder}/{id}");

    /// <summary>
    /// The place of each tablespace, by their numbers. Throws where one cannot be written to: only a new or empty directory can, and one to
    /// which the data directory links already, as the restore made it that is gone on with, or the cluster has it that is restored over.
    /// </summary>
    /// <param name="snapshot">The base backup.</param>
    /// <param name="wanted">The places that were asked for.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task<IReadOnlyDictionary<uint, ClusterPlace>> FindAsync(
        TreeSnapshot snapshot, IReadOnlyDictionary<uint, string> wanted, CancellationToken cancellationToken)
    {
        var names = new Dictionary<uint, HashSet<string>>();
        await foreach (var item in TreeSearch.EntriesAsync(snapshot, cancellationToken))
        {
            var path = Encoding.UTF8.GetString(item.Path);
            if (item.Entry.Kind == TreeEntryKind.Directory && NumberOf(path) is { } id)
            {
                names[id] = [];
            }
            else if (NumberOf(Path.GetDirectoryName(path)!) is { } above && names.TryGetValue(above, out var there))
            {
                there.Add(Path.GetFileName(path));
            }
        }

        if (wanted.Keys.Where(id => !names.ContainsKey(id)).Cast<uint?>().FirstOrDefault() is { } absent)
        {
            throw new SalvorException(
                FailureKind.Usage, $"backup {backupId} has no tablespace {absent}",
                $"'salvor list SOURCE {backupId}:/{Folder}' shows those that it has.");
        }

        var paths = names.Keys.ToDictionary(
            id => id, id => wanted.GetValueOrDefault(id) ?? Path.Combine(Beside, Path.GetFileName(SourceOf(id))));
        ExpectApart(paths);
        return paths.ToDictionary(item => item.Key, item => new ClusterPlace(item.Value, IsOver(item.Key, item.Value), names[item.Key]));
    }

    /// <summary>Links to the place of a tablespace, durably, before anything is there: the next restore knows whose it is.</summary>
    public void Link(uint id, string place)
    {
        var link = LinkOf(id);
        if (FileStat.Of(link, followLinks: false) is { Kind: FileKind.Link } && File.ResolveLinkTarget(link, false)?.FullName != place)
        {
            Posix.Unlink(link);
        }

        if (FileStat.Of(link, followLinks: false) is null)
        {
            File.CreateSymbolicLink(link, place);
            DurableFile.FlushDirectory(Path.GetDirectoryName(link)!);
        }
    }

    /// <summary>Where tablespaces are to which the data directory links and will not: what is there stays. Each a line.</summary>
    public IEnumerable<string> Abandoned(IReadOnlyDictionary<uint, ClusterPlace> places)
    {
        var folder = Path.Combine(target, Folder);
        foreach (var link in Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder) : [])
        {
            var name = Path.GetFileName(link);
            if (uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                && FileStat.Of(link, followLinks: false) is { Kind: FileKind.Link } && FileIdentity.Of(link) is { } there
                && (!places.TryGetValue(id, out var place) || FileIdentity.Of(place.Path) != there))
            {
                yield return $"tablespace {id} was in {File.ResolveLinkTarget(link, false)?.FullName}, and what is there stays";
            }
        }
    }

    /// <summary>Throws where what is written to one place would be in another one, or in the data directory.</summary>
    void ExpectApart(Dictionary<uint, string> paths)
    {
        var others = new List<string> { target };
        foreach (var (id, place) in paths)
        {
            if (others.FirstOrDefault(other => IsBelow(place, other) || IsBelow(other, place)) is { } near)
            {
                throw new SalvorException(
                    FailureKind.Usage, $"tablespace {id} cannot be restored to {place}: that is {near}, or in it, or above it",
                    "Give each tablespace a directory of its own, outside of the data directory.");
            }

            others.Add(place);
        }
    }

    /// <summary>Whether it is the other one or in it.</summary>
    static bool IsBelow(string path, string other) =>
        (Resolve(path) + '/').StartsWith(Resolve(other).TrimEnd('/') + '/', StringComparison.Ordinal);

    /// <summary>A full path without links, as far as it is there.</summary>
    static string Resolve(string path)
    {
        const int LinksMax = 40;
        var (rest, found, links) = (new Stack<string>(), "/", 0);
        Push(Path.GetFullPath(path));
        while (rest.TryPop(out var name))
        {
            var here = Path.Combine(found, name);
            if (FileStat.Of(here, followLinks: false) is { Kind: FileKind.Link } && ++links <= LinksMax)
            {
                Push(File.ResolveLinkTarget(here, false)!.FullName);
                found = "/";
            }
            else
            {
                found = here;
            }
        }

        return found;

        void Push(string full) => full.Split('/', StringSplitOptions.RemoveEmptyEntries).Reverse().ToList().ForEach(rest.Push);
    }

    /// <summary>Whether something is there already, of this cluster. Throws where it is, or may be, another one's.</summary>
    bool IsOver(uint id, string place)
    {
        if (FileStat.Of(LinkOf(id), followLinks: false) is { Kind: not FileKind.Link })
        {
            throw new SalvorException(
                FailureKind.Usage, $"{LinkOf(id)} is no link, and tablespace {id} needs one there", "Move it away, then try again.");
        }

        var isUsed = Directory.Exists(place) && Directory.EnumerateFileSystemEntries(place).Any();
        if (!Path.IsPathRooted(place) || (isUsed && FileIdentity.Of(LinkOf(id)) != FileIdentity.Of(place)))
        {
            throw new SalvorException(
                FailureKind.Usage, $"tablespace {id} cannot be restored to {place}: that is no full path of a new or empty directory",
                "Choose another place; what is there may be the tablespace of a server that runs.");
        }

        if (isUsed && ClusterDirectory.ServerWith(place) is { } pid)
        {
            throw new SalvorException(
                FailureKind.Locked, $"tablespace {id} cannot be restored to {place}: a server uses it, process {pid}",
                "Choose another place with '--tablespace', or stop that server.");
        }

        return isUsed;
    }

    string LinkOf(uint id) => target + SourceOf(id);

    /// <summary>The number of a tablespace whose directory this is.</summary>
    static uint? NumberOf(string path)
    {
        var name = path.AsSpan(path.LastIndexOf('/') + 1);
        return uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && path == SourceOf(id) ? id : null;
    }
}
