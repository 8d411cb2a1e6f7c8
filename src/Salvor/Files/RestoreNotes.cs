using Salvor.Platform;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>What a restore counts, and what it has to say at its end.</summary>
sealed class RestoreNotes(TreeSnapshot snapshot, TreeRestoreOptions options)
{
    readonly List<string> problems = [];
    readonly bool isRoot = Posix.EffectiveUserId() == 0;
    long entries;
    long bytes;
    long foreign;
    (long Files, long Bytes) lacking;

    /// <summary>How many files there are so far.</summary>
    public long Files { get; private set; }

    /// <summary>An entry is there.</summary>
    /// <param name="entry">It.</param>
    /// <param name="content">Its content, where <see cref="CountContent"/> was not told of it.</param>
    public void Count(TreeEntry entry, long content)
    {
        entries++;
        Files += entry.Kind == TreeEntryKind.File ? 1 : 0;
        bytes += content;
    }

    /// <summary>Some of the content of a file is there.</summary>
    public void CountContent(byte[] path, long length)
    {
        bytes += length;

        // Nobody knows before how much of it a pattern takes.
        var total = options.IsWhole ? (long)snapshot.Details.Content.Length : 0;
        options.Progressed?.Invoke(
            new WorkProgress("restoring", bytes, total) { Count = $"{Files} files", Item = DirectoryCalls.Show(path) });
    }

    /// <summary>A file that has no content in the snapshot.</summary>
    public void NoteUnreadable(TreeEntry entry, byte[] path)
    {
        Note(path, "it could not be read when it was backed up");
        lacking = (lacking.Files + 1, lacking.Bytes + (entry.FirstPath.Length == 0 ? entry.SizeBytes : 0));
    }

    /// <summary>Only root gives files away: for others that is told once, and not of each.</summary>
    public void NoteForeign(byte[] path, int error)
    {
        if (error == Errno.NotPermitted && !isRoot)
        {
            foreign++;
        }
        else
        {
            Note(path, $"its owner was not set: {Errno.Describe(error)}");
        }
    }

    public void Note(byte[] path, string what)
    {
        if (problems.Count < TreeBackupResult.ProblemsMax)
        {
            problems.Add($"{DirectoryCalls.Show(path)}: {what}");
        }
    }

    /// <summary>Throws where nothing of what was asked for is in the snapshot.</summary>
    public void ExpectSomething()
    {
        if (entries == 0 && !options.Include.IsEmpty)
        {
            throw new SalvorException(
                FailureKind.NotRestorable, "nothing in this backup matches what '--include' names", "'salvor find' looks for names in it.");
        }
    }

    /// <param name="fetched">What was read from the vault.</param>
    /// <param name="reused">What of the content was there already.</param>
    public RestoredTree Result(long fetched, long reused)
    {
        if (foreign > 0)
        {
            problems.Add($"{foreign} name(s) belonged to others, and belong to you now: only root can give files away");
        }

        return new RestoredTree(Files, entries, bytes, fetched) { Lacking = lacking, Problems = problems, ReusedBytes = reused };
    }
}
