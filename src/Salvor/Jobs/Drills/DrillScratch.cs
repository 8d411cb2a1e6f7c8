using Salvor.Platform;
using Salvor.Sqlite;

namespace Salvor.Jobs.Drills;

/// <summary>
/// A folder for one drill, for its owner only. Where it is below a folder that is ours, it has a fixed name and a lock, so that what a
/// killed drill left is removed by the next one, and two drills of a source do not meet.
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
    public static DrillScratch Create(string? root, string source, TimeProvider time)
    {
        if (root is null)
        {
            return new DrillScratch(Directory.CreateTempSubdirectory("salvor-drill-").FullName, held: null);
        }

        LocalState.EnsureDirectory(root);
        var name = source.Replace('/', '-');
        var held = LockFile.Acquire(
            System.IO.Path.Combine(root, $"drill-{name}.lock"),
            LockHolder.Current(time.GetUtcNow(), socket: null, LocalState.Version, $"salvor drill {source}"));
        var path = System.IO.Path.Combine(root, $"drill-{name}");
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
