using System.Globalization;
using System.Text;
using Salvor.Platform;
using Salvor.Postgres.Restore;
using Salvor.Vault.Trees;

namespace Salvor.Jobs.Clusters;

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
    public async Task<IReadOnlyDictionary<uint, string>> FindAsync(
        TreeSnapshot snapshot, IReadOnlyDictionary<uint, string> wanted, CancellationToken cancellationToken)
    {
        var places = new Dictionary<uint, string>();
        await foreach (var item in TreeSearch.EntriesAsync(snapshot, cancellationToken))
        {
            if (NumberOf(item) is { } id)
            {
                places[id] = wanted.GetValueOrDefault(id) ?? Path.Combine(Beside, Path.GetFileName(SourceOf(id)));
            }
        }

        if (wanted.Keys.Where(id => !places.ContainsKey(id)).Cast<uint?>().FirstOrDefault() is { } absent)
        {
            throw new SalvorException(
                FailureKind.Usage, $"backup {backupId} has no tablespace {absent}",
                $"'salvor list SOURCE {backupId}:/{Folder}' shows those that it has.");
        }

        if (places.Values.Select(Path.GetFullPath).Distinct().Count() < places.Count)
        {
            throw new SalvorException(
                FailureKind.Usage, "two tablespaces cannot be restored to one directory", "Give each a directory of its own.");
        }

        foreach (var (id, place) in places)
        {
            ExpectFree(id, place);
        }

        return places;
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
    public IEnumerable<string> Abandoned(IReadOnlyDictionary<uint, string> places)
    {
        var folder = Path.Combine(target, Folder);
        foreach (var link in Directory.Exists(folder) ? Directory.EnumerateFileSystemEntries(folder) : [])
        {
            var name = Path.GetFileName(link);
            if (uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id)
                && FileStat.Of(link, followLinks: false) is { Kind: FileKind.Link } && FileIdentity.Of(link) is { } there
                && (!places.TryGetValue(id, out var place) || FileIdentity.Of(place) != there))
            {
                yield return $"tablespace {id} was in {File.ResolveLinkTarget(link, false)?.FullName}, and what is there stays";
            }
        }
    }

    void ExpectFree(uint id, string place)
    {
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
    }

    string LinkOf(uint id) => target + SourceOf(id);

    /// <summary>The number of a tablespace whose directory this is.</summary>
    static uint? NumberOf(TreePath item)
    {
        var path = Encoding.UTF8.GetString(item.Path);
        var name = path.AsSpan(path.LastIndexOf('/') + 1);
        return item.Entry.Kind == TreeEntryKind.Directory
            && uint.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var id) && path == SourceOf(id) ? id : null;
    }
}
