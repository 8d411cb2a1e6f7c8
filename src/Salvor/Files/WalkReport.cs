using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>What a walk counts, and what went wrong on it.</summary>
/// <param name="progressed">Told of each file, and of large ones again and again.</param>
/// <param name="expectedBytes">How much there was the last time; 0 where nobody knows.</param>
sealed class WalkReport(Action<WorkProgress>? progressed, long expectedBytes)
{
    string item = "";

    readonly List<string> problems = [];

    public IReadOnlyList<string> Problems => problems;

    public long FilesRead { get; private set; }

    public long BytesRead { get; private set; }

    public TreeTotals Totals { get; private set; }

    /// <summary>Counts an entry that was written down.</summary>
    public void Count(TreeEntry entry)
    {
        Totals = Totals.With(entry);
        if (entry.Kind == TreeEntryKind.File)
        {
            Tell(0);
        }
    }

    /// <summary>Notes which file is looked at.</summary>
    public void Begin(ReadOnlySpan<byte> path) => item = progressed is null ? "" : DirectoryCalls.Show(path);

    /// <summary>Tells how much was read of the file that is looked at, which is not counted yet.</summary>
    public void Tell(long bytesOfFile)
    {
        var done = Totals.Bytes + bytesOfFile;
        progressed?.Invoke(
            new WorkProgress("reading", done, done < expectedBytes ? expectedBytes : 0) { Count = $"{Totals.Files} files", Item = item });
    }

    /// <summary>Counts a file that was read.</summary>
    public void CountRead(long bytes) => (FilesRead, BytesRead) = (FilesRead + 1, BytesRead + bytes);

    /// <summary>Notes what is wrong with a path.</summary>
    public void Note(ReadOnlySpan<byte> path, string what)
    {
        if (problems.Count < TreeBackupResult.ProblemsMax)
        {
            problems.Add($"{DirectoryCalls.Show(path)}: {what}");
        }
    }

    /// <summary>Notes what cannot be read and has no entry, or one that does not show it.</summary>
    public void NoteUnreadable(ReadOnlySpan<byte> path, string what)
    {
        Note(path, what);
        Totals = Totals with { Unreadable = Totals.Unreadable + 1 };
    }
}
