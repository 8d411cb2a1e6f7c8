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

    /// <summary>Whether all is made durable before it appears. Tests of something else need not wait for the disk.</summary>
    internal bool Flushes { get; init; } = true;

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Whether all of it is restored.</summary>
    internal bool IsWhole => Include.IsEmpty && Exclude.IsEmpty;

    /// <summary>Whether a path is restored: it or a directory above it is included, and none of these excluded.</summary>
    internal bool Wants(ReadOnlySpan<byte> path, bool isDirectory) =>
        (Include.IsEmpty || Include.MatchesAtOrAbove(path, isDirectory)) && !Exclude.MatchesAtOrAbove(path, isDirectory);
}
