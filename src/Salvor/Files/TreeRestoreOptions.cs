namespace Salvor.Files;

/// <summary>What of a snapshot is restored, and how.</summary>
public sealed record TreeRestoreOptions
{
    /// <summary>What is restored; everything where it is empty.</summary>
    public PathPatterns Include { get; init; } = PathPatterns.None;

    /// <summary>What is not.</summary>
    public PathPatterns Exclude { get; init; } = PathPatterns.None;

    /// <summary>Whom it belongs to.</summary>
    public Ownership Owners { get; init; } = new(OwnerBy.Name, null, null);

    /// <summary>What permissions it gets.</summary>
    public Modes Modes { get; init; } = new(null, null);

    /// <summary>
    /// The directory of the snapshot whose content goes into the target, as a path from the top; empty for all of the snapshot. Patterns
    /// and messages name whole paths nevertheless. What had several names becomes as many files.
    /// </summary>
    public byte[] Top { get; init; } = [];

    /// <summary>
    /// Names in the target that are of whoever restores: neither restored nor removed, and a directory with nothing else counts as empty.
    /// </summary>
    public IReadOnlyList<string> Apart { get; init; } = [];

    /// <summary>Whether the directory may have something in it: what the snapshot has takes the place of what has its name.</summary>
    public bool IsOver { get; init; }

    /// <summary>
    /// Whether what the snapshot does not have is removed, as far as it would be restored if it had: inside of the paths that it is of.
    /// </summary>
    public bool Deletes { get; init; }

    /// <summary>
    /// Whether the snapshot has all that there was, although no directory of it is marked as a configured path: as a base backup does.
    /// Then nearly all of it is wanted, so it is fetched as a whole.
    /// </summary>
    public bool HasAll { get; init; }

    /// <summary>
    /// Whether files that are there are written to where they differ, in place of being made anew: for who sees to it that nobody uses
    /// what is half done.
    /// </summary>
    public bool IsInPlace { get; init; }

    /// <summary>What is never removed, beside what is excluded: what the source leaves out of its backups.</summary>
    public PathPatterns Kept { get; init; } = PathPatterns.None;

    /// <summary>What is in a directory with a file of one of these names is never removed.</summary>
    public IReadOnlyList<string> KeptIfPresent { get; init; } = [];

    /// <summary>What is in a directory that is tagged as a cache is never removed.</summary>
    public bool KeepsCaches { get; init; }

    /// <summary>Files and directories of this machine that are never removed: those of destinations, and of local state.</summary>
    public IReadOnlyList<string> Never { get; init; } = [];

    /// <summary>Whether all is made durable before it appears. Tests of something else need not wait for the disk.</summary>
    internal bool Flushes { get; init; } = true;

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Whether all of it is restored.</summary>
    internal bool IsWhole => Include.IsEmpty && Exclude.IsEmpty && Top.Length == 0;

    /// <summary>Whether a path is restored: it or a directory above it is included, and none of these excluded.</summary>
    internal bool Wants(ReadOnlySpan<byte> path, bool isDirectory) =>
        (Include.IsEmpty || Include.MatchesAtOrAbove(path, isDirectory)) && !Exclude.MatchesAtOrAbove(path, isDirectory)
        && !IsOfRestore(path);

    /// <summary>Whether a file of this path takes the place of what is there, if the snapshot has it and the source keeps it.</summary>
    public bool Replaces(string path)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(path);
        return Wants(bytes, isDirectory: false) && !Kept.MatchesAtOrAbove(bytes, isDirectory: false);
    }

    /// <summary>Whether a name in the target is none of what is restored: of this restore, or of an unfinished one.</summary>
    internal bool IsApart(ReadOnlySpan<byte> name)
    {
        var text = OwnPlaces.IsStaging(name) ? null : System.Text.Encoding.UTF8.GetString(name);
        return text is null || Apart.Contains(text);
    }

    /// <summary>Whether it is, or is in, what is apart: an unfinished restore left something of the name of what this one makes.</summary>
    internal bool IsOfRestore(ReadOnlySpan<byte> path)
    {
        path = path[Math.Min(path.Length, Top.Length)..].TrimStart((byte)'/');
        return IsApart(path.IndexOf((byte)'/') is >= 0 and var slash ? path[..slash] : path);
    }
}
