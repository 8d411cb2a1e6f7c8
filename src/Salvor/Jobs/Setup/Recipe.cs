using Salvor.Text;

namespace Salvor.Jobs.Setup;

/// <summary>A set-up that fits many: where copies go, and what is said of keeping them.</summary>
/// <param name="Name">As <c>--recipe</c> takes it.</param>
/// <param name="Meaning">One line for whoever chooses.</param>
/// <param name="Types">The type of each destination, in order.</param>
public sealed record Recipe(string Name, string Meaning, IReadOnlyList<string> Types)
{
    /// <summary>Whether everything is encrypted before it leaves the machine.</summary>
    public bool Encrypts { get; init; }

    /// <summary>What its sources are.</summary>
    public SetupKind Kind { get; init; }

    /// <summary>Whether it is for databases that are named, and no more than a choice of destinations.</summary>
    public bool IsOfDestinations => Kind == SetupKind.Database;

    /// <summary>What is said of keeping, as YAML. Where nothing is said nothing is ever dropped, and disks fill up.</summary>
    public IReadOnlyList<(string Key, string Value)> Keys { get; init; } =
        [("keep", "{ commits: 24h, minutes: 7d, hours: 30d, days: 1y }")];

    /// <summary>The storage class of buckets; null for theirs.</summary>
    public string? StorageClass { get; init; }

    /// <summary>Whether what is put into buckets cannot be deleted for a while, but by who may end locks.</summary>
    public bool Locks { get; init; }

    /// <summary>What can be restored by it, for people.</summary>
    public string Keeps { get; init; } = "every commit for a day, then a point a minute for 7 days, an hour for 30 days, a day for a year";

    /// <summary>All there are, the simplest first.</summary>
    public static IReadOnlyList<Recipe> All { get; } =
    [
        new("local", "a folder on this machine, best on another disk", ["file"]),
        new("s3", "a bucket at Amazon's or a service that speaks S3", ["s3"]),
        new("local+s3", "a folder for fast restores, and a bucket for the day the machine is gone", ["file", "s3"]),
        new("sftp", "a folder on another machine, by SSH", ["sftp"]),
        new("local+sftp", "a folder here, and one on another machine", ["file", "sftp"]),
        new("azure", "a container of Azure Blob Storage", ["azure"]),
        new("encrypted+s3", "a bucket whose owner can read nothing", ["s3"]) { Encrypts = true },
        new("encrypted+immutable", "the same, where nothing can be deleted for 30 days: object lock has to be on in the bucket", ["s3"])
        {
            Encrypts = true, Locks = true,
        },
        new("many", "all databases that match a pattern, also those that come later, in a folder", ["file"])
        {
            Kind = SetupKind.Pattern,
        },
        new("directory", "directories and files, once an hour, in a folder", ["file"])
        {
            Kind = SetupKind.Files,
            Keys = [("schedule", "every 1h"), ("retention_days", "30")],
            Keeps = "a backup an hour for 30 days",
        },
        new("command", "what a command prints, such as the dump of a server, once a day, in a folder", ["file"])
        {
            Kind = SetupKind.Command,
            Keys = [("schedule", "every 24h"), ("retention_days", "30")],
            Keeps = "a backup a day for 30 days",
        },
        new("gfs-geode", "a bucket for a year: every commit for 7 days, then a point a day", ["s3"])
        {
            Keys = [("keep", "{ commits: 7d, days: 1y }"), ("retention_days", "365")],
            StorageClass = "STANDARD_IA",
            Keeps = "every commit for 7 days, then a point a day for a year; each is complete by itself, so none needs an older full copy",
        },
    ];

    /// <summary>The recipe of this name.</summary>
    public static Recipe Find(string name) => All.FirstOrDefault(recipe => recipe.Name == name)
        ?? throw new SalvorException(
            FailureKind.Usage,
            $"there is no recipe '{name}'",
            Suggestion.Sentence(name, All.Select(recipe => recipe.Name))
                + $"There are {Suggestion.Enumerate([.. All.Select(recipe => recipe.Name)])}.");
}
