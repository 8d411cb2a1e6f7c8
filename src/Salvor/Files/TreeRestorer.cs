using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Writes a snapshot into a directory that is new or empty. Everything is made below one hidden directory and moved into place when all of
/// it is there, checked and durable; stopped before that, nothing of it shows, and the next restore there goes on from it. Whatever the
/// vault says, nothing is written elsewhere.
/// </summary>
public sealed class TreeRestorer(TreeSnapshot snapshot, TreeRestoreOptions options)
{
    static ReadOnlySpan<byte> Staging => ".salvor-restoring"u8;

    readonly RestoreNotes notes = new(snapshot, options);

    /// <summary>Where a restore that failed left what the next one goes on from; null where it left nothing.</summary>
    public string? Unfinished { get; private set; }

    /// <summary>Restores. Throws where the target is not empty, and where nothing of the snapshot is wanted.</summary>
    public async Task<RestoredTree> RunAsync(string target, CancellationToken cancellationToken)
    {
        var isNew = !Directory.Exists(target);
        Directory.CreateDirectory(target);
        using var root = DirectoryCalls.OpenRoot(target);
        ExpectFree(root, target);
        var resumes = IsUnfinished(root);
        if (!resumes)
        {
            RequireSpace(target);
            DirectoryCalls.RemoveTree(root, Staging);
            DirectoryCalls.MakeDirectory(root, Staging);
        }

        try
        {
            var (fetched, reused) = await StageAsync(root, target, resumes, cancellationToken);
            DurableFile.FlushDirectory(target);
            return notes.Result(fetched, reused);
        }
        catch (Exception e)
        {
            if (notes.Files > 0 && IsPassing(e))
            {
                Unfinished = Path.Combine(target, System.Text.Encoding.UTF8.GetString(Staging));
                throw;
            }

            DirectoryCalls.RemoveTree(root, Staging);
            if (isNew)
            {
                Directory.Delete(target);
            }

            throw;
        }
    }

    /// <summary>What owners would become, without writing anything.</summary>
    public async Task<RestoredTree> PlanAsync(CancellationToken cancellationToken)
    {
        await using var listing = new WantedListing(snapshot, options);
        while (await listing.ReadAsync(cancellationToken) is { } item)
        {
            if (item.IsWanted)
            {
                _ = options.Owners.Of(item.Entry);
                notes.Count(item.Entry, item.Entry.ContentBytes);
            }
        }

        notes.ExpectSomething();
        return notes.Result(fetched: 0, reused: 0);
    }

    async Task<(long Fetched, long Reused)> StageAsync(
        SafeFileHandle root, string target, bool resumes, CancellationToken cancellationToken)
    {
        using var staging = DirectoryCalls.TryOpenDirectory(root, Staging, out var error)
            ?? throw new PosixException(error, "open", target);
        using var staged = new TreeStaging(snapshot, options, notes, staging, resumes);
        var counted = await staged.RunAsync(cancellationToken);
        notes.ExpectSomething();
        if (options.Flushes)
        {
            options.Progressed?.Invoke(new WorkProgress("flushing to the disk"));
            DirectoryCalls.FlushFileSystem(staging, target);
        }

        foreach (var name in DirectoryCalls.List(staging, target))
        {
            Move(staging, name, root);
        }

        DirectoryCalls.RemoveTree(root, Staging);
        return counted;
    }

    /// <summary>What nobody else could have put there.</summary>
    static bool IsUnfinished(SafeFileHandle root) =>
        EntryStat.In(root, Staging, out _) is { Type: EntryStat.Directory, Permissions: Posix.OwnerOnlyDirectory } left
        && left.UserId == Posix.EffectiveUserId();

    /// <summary>Whether the same restore may succeed later: what is there already is worth keeping.</summary>
    static bool IsPassing(Exception e) => e is OperationCanceledException or IOException
        or SalvorException { Kind: FailureKind.Failure or FailureKind.DestinationUnreachable };

    static void ExpectFree(SafeFileHandle root, string target)
    {
        if (!Posix.TryLock(root, exclusive: true, target))
        {
            throw new SalvorException(
                FailureKind.Locked, $"another restore writes to {target}", "Let it end, or name another directory with '--output'.");
        }

        if (DirectoryCalls.List(root, target).Any(name => !name.AsSpan().SequenceEqual(Staging)))
        {
            throw new SalvorException(
                FailureKind.Usage, $"{target} is not empty", "Name a directory with '--output' that is new or empty.");
        }
    }

    void RequireSpace(string target)
    {
        var needed = Math.Min(snapshot.Details.Totals.Bytes, (long)snapshot.Details.Content.Length);
        if (options.IsWhole && DiskSpace.FreeBytes(target) is { } free && free < needed)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"not enough room in {target}: the restore needs {SizeText.Format(needed)}, has {SizeText.Format(free)} free",
                $"Free some ('df -h {target}' shows how much is left), or choose another disk with '--output'.");
        }
    }

    /// <summary>A directory that its owner may not write to cannot be moved by others than root until they may.</summary>
    static void Move(SafeFileHandle from, byte[] name, SafeFileHandle to)
    {
        try
        {
            DirectoryCalls.Move(from, name, to);
        }
        catch (PosixException e) when (e.Error == Errno.AccessDenied
            && EntryStat.In(from, name, out _) is { Type: EntryStat.Directory } stat)
        {
            DirectoryCalls.ChangeMode(from, name, Posix.OwnerOnlyDirectory);
            DirectoryCalls.Move(from, name, to);
            DirectoryCalls.ChangeMode(to, name, stat.Permissions);
        }
    }
}
