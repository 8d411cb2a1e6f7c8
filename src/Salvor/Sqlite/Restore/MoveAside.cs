using Salvor.Platform;

namespace Salvor.Sqlite.Restore;

/// <summary>
/// Moves a database and all that SQLite keeps beside it to another name. A kill between any two steps leaves either the old database
/// complete under its own name, or complete under the other: the log first gets its second name, then the database moves, then the log
/// loses its first name. Moved one after the other, a kill could leave a database without its log, which SQLite opens without a word, or a
/// log without its database, which SQLite deletes as soon as an app starts.
/// </summary>
sealed class MoveAside(string path, string aside)
{
    readonly List<string> linked = [];

    /// <summary>Called after each change of a name, with what it was.</summary>
    public Action<string>? Stepped { get; init; }

    /// <summary>Gives a file a second name; answers 0 or an error number. Some file systems have no such thing.</summary>
    public Func<string, string, int> Link { get; init; } = Posix.TryLink;

    /// <summary>The path with the time, or with a number as well where a move in the same second has taken that.</summary>
    public static string FreeName(string path, DateTimeOffset now)
    {
        var wanted = $"{path}.before-restore-{now.UtcDateTime:yyyyMMdd'T'HHmmss'Z'}";
        var name = wanted;
        for (var number = 2; NamesOf(name).Any(Exists); number++)
        {
            name = $"{wanted}-{number}";
        }

        return name;
    }

    /// <summary>What lies there now under the other name.</summary>
    public IReadOnlyList<string> Moved() => [.. NamesOf(aside).Where(Exists)];

    /// <summary>Does nothing where there is nothing. Durable on return.</summary>
    public void Run()
    {
        if (!NamesOf(path).Any(Exists))
        {
            return;
        }

        GiveSecondNames();
        FlushNames();
        if (Exists(path))
        {
            Rename(path, aside);
            FlushNames();
        }

        TakeFirstNames();
        FlushNames();
    }

    /// <summary>Undoes whatever part was done, in an order that is as safe.</summary>
    public void PutBack()
    {
        // Checked before anything is put beside it: an old log must not get a strange database, nor an old database a strange log.
        if (NamesOf(path).Zip(NamesOf(aside)).FirstOrDefault(pair => AreTwoFiles(pair.First, pair.Second)).First is { } strange)
        {
            throw Appeared(strange);
        }

        foreach (var suffix in DatabaseFiles.Suffixes.Where(suffix => Exists(aside + suffix) && !Exists(path + suffix)))
        {
            if (Link(aside + suffix, path + suffix) != 0)
            {
                Rename(aside + suffix, path + suffix);
            }
        }

        FlushNames();
        if (Exists(aside))
        {
            Rename(aside, path);
            FlushNames();
        }

        foreach (var suffix in DatabaseFiles.Suffixes.Where(suffix => Exists(aside + suffix)))
        {
            Posix.Unlink(aside + suffix);
        }
    }

    /// <summary>Removes what was moved: the database first, because a log alone is nothing that could be taken for one.</summary>
    public void Delete()
    {
        foreach (var name in NamesOf(aside))
        {
            if (Posix.Unlink(name))
            {
                Stepped?.Invoke($"removed {name}");
            }
        }
    }

    void GiveSecondNames()
    {
        foreach (var suffix in DatabaseFiles.Suffixes.Where(suffix => Exists(path + suffix)))
        {
            if (Link(path + suffix, aside + suffix) == 0)
            {
                linked.Add(suffix);
                Stepped?.Invoke($"linked {aside}{suffix}");
            }
        }
    }

    void TakeFirstNames()
    {
        foreach (var suffix in DatabaseFiles.Suffixes.Where(suffix => Exists(path + suffix)))
        {
            if (!linked.Contains(suffix))
            {
                Rename(path + suffix, aside + suffix);
                continue;
            }

            if (AreTwoFiles(path + suffix, aside + suffix))
            {
                throw Appeared(path + suffix);
            }

            Posix.Unlink(path + suffix);
            Stepped?.Invoke($"unlinked {path}{suffix}");
        }
    }

    static bool AreTwoFiles(string one, string other) =>
        FileIdentity.Of(one) is { } first && FileIdentity.Of(other) is { } second && first != second;

    void Rename(string from, string to)
    {
        if (!DurableFile.RenameNoReplace(from, to))
        {
            throw Appeared(to);
        }

        Stepped?.Invoke($"renamed {from} to {to}");
    }

    void FlushNames() => DurableFile.FlushDirectory(Path.GetDirectoryName(path)!);

    /// <summary>Someone made a file where none may be now.</summary>
    public static SalvorException Appeared(string path) => new(
        FailureKind.Locked,
        $"{path} appeared while the restore was about to take its name",
        $"Stop the app that made it ('fuser -v {path}' shows it), move the file away, then run the same command again.");

    static IEnumerable<string> NamesOf(string database) => [database, .. DatabaseFiles.Suffixes.Select(suffix => database + suffix)];

    static bool Exists(string name) => FileStat.Of(name, followLinks: false) is not null;
}
