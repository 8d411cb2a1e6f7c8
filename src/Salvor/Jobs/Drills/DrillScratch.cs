using Salvor.Platform;
using Salvor.Sqlite;

namespace Salvor.Jobs.Drills;

/// <summary>
/// A folder for one drill, or one verification of a cluster, for its owner only. Where it is below a folder that is ours, it has a fixed
/// name and a lock, so that what a killed one left is removed by the next one, and two of a source do not meet.
/// </summary>
sealed class DrillScratch : IDisposable
{
    readonly LockFile? held;

    DrillScratch(string path, LockFile? held) => (Path, this.held) = (path, held);

    public string Path { get; }

    /// <summary>Set where it is to stay.</summary>
    public bool IsKept { get; set; }

    /// <param name="root">A folder that others cannot write to; null: one in the folder for temporary files.</param>
    /// <param name="source">Whose drill it is.</param>
    /// <param name="time">The clock.</param>
    /// <param name="verb">What it is for: the command.</param>
    public static DrillScratch Create(string? root, string source, TimeProvider time, string verb = "drill")
    {
        if (root is null)
        {
            return new DrillScratch(Directory.CreateTempSubdirectory($"salvor-{verb}-").FullName, held: null);
        }

        LocalState.EnsureDirectory(root);
        var name = source.Replace('/', '-');
        var held = LockFile.Acquire(
            System.IO.Path.Combine(root, $"{verb}-{name}.lock"),
            LockHolder.Current(time.GetUtcNow(), socket: null, LocalState.Version, $"salvor {verb} {source}"));
        var path = System.IO.Path.Combine(root, $"{verb}-{name}");
        try
        {
            Remove(path);
            LocalState.EnsureDirectory(path);
            return new DrillScratch(path, held);
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    /// <summary>Gives the folder a name that no later drill removes; its new path.</summary>
    public string Keep(string label)
    {
        var kept = $"{Path}-{label}";
        for (var n = 2; Directory.Exists(kept); n++)
        {
            kept = $"{Path}-{label}-{n}";
        }

        Directory.Move(Path, kept);
        IsKept = true;
        return kept;
    }

    public void Dispose()
    {
        try
        {
            if (!IsKept)
            {
                Remove(Path);
            }
        }
        finally
        {
            held?.Dispose();
        }
    }

    static void Remove(string path)
    {
        if (Directory.Exists(path))
        {
            Directory.Delete(path, recursive: true);
        }
    }
}
