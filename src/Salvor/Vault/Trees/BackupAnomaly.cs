namespace Salvor.Vault.Trees;

/// <summary>What of a backup looks as if ransomware had been there.</summary>
/// <param name="BackupId">The backup.</param>
/// <param name="At">When it was made.</param>
/// <param name="Before">The last backup before it; null where that is not there any more.</param>
/// <param name="Findings">What was found, each a line without a full stop.</param>
public sealed record BackupAnomaly(ulong BackupId, DateTimeOffset At, ulong? Before, IReadOnlyList<string> Findings)
{
    /// <summary>All that was found, in a line without a full stop.</summary>
    public string Text => string.Join("; ", Findings);

    /// <summary>What to do about it.</summary>
    /// <param name="source">The name of the source.</param>
    public string Hint(string source) => Before is { } before
        ? $"Run 'salvor diff {source} {before} {BackupId}' to see what changed. If that was nobody of yours, backup {before} is the last "
            + "one before it: stop what writes there, and set 'prune: off' for the source, so that nothing drops it."
        : "Look at the files. If that was nobody of yours, stop what writes there, and set 'prune: off' for the source.";
}
