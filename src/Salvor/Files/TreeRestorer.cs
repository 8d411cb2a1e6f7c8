using Microsoft.Win32.SafeHandles;
using Salvor.Platform;
using Salvor.Text;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Writes a snapshot into a directory that is new or empty, or over what is in it where that is asked for. Everything is made below one
/// hidden directory and moved into place when all of it is there, checked and durable; stopped before that, nothing of it shows, and the
/// next restore there goes on from it. Whatever the vault says, nothing is written elsewhere.
/// </summary>
public sealed class TreeRestorer(TreeSnapshot snapshot, TreeRestoreOptions options)
{
    static ReadOnlySpan<byte> Staging => OwnPlaces.Staging;

    /// <summary>What a directory may have from the one above.</summary>
    const uint SetGroup = 0b010_000_000_000;

    readonly RestoreNotes notes = new(snapshot, options);
    TreeSurplus? surplus;

    /// <summary>Where a restore that failed left what the next one goes on from; null where it left nothing.</summary>
    public string? Unfinished { get; private set; }

    /// <summary>Restores. Throws where the target is not empty, and where nothing of the snapshot is wanted.</summary>
    public async Task<RestoredTree> RunAsync(string target, CancellationToken cancellationToken)
    {
        var isNew = !Directory.Exists(target);
        Directory.CreateDirectory(target);
        using var root = DirectoryCalls.OpenRoot(target);
        var isOver = ExpectFree(root, target);
        if (isOver)
        {
            await ExpectHarmlessAsync(root, target, cancellationToken);
            await ExpectNoConflictsAsync(root, cancellationToken);
        }

        var resumes = IsUnfinished(root);
        if (!resumes)
        {
            RequireSpace(target, isOver);
            DirectoryCalls.RemoveTree(root, Staging);
            DirectoryCalls.MakeDirectory(root, Staging);
        }

        try
        {
            var (fetched, reused) = await StageAsync(root, target, resumes, isOver, cancellationToken);
            DurableFile.FlushDirectory(target);
            return WithRemoved(notes.Result(fetched, reused));
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
        finally
        {
            // A process that is being started has the handle too, until it runs: closing it would not be enough.
            Posix.Unlock(root, target);
        }
    }

    /// <summary>What owners would become, and what would be removed, without writing anything.</summary>
    public async Task<RestoredTree> PlanAsync(string target, CancellationToken cancellationToken)
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
        if ((options.IsOver || options.Deletes) && Directory.Exists(target))
        {
            using var root = DirectoryCalls.OpenRoot(target);
            await ExpectHarmlessAsync(root, target, cancellationToken);
            await ExpectNoConflictsAsync(root, cancellationToken);
        }

        return WithRemoved(notes.Result(fetched: 0, reused: 0));
    }

    RestoredTree WithRemoved(RestoredTree restored) => surplus is null ? restored : restored with
    {
        RemovedCount = surplus.Count, Removed = surplus.Removed, Problems = [.. restored.Problems, .. surplus.Kept],
    };

    /// <summary>Whether something is removed, by what was found when it was looked for.</summary>
    bool Deletes => options.Deletes && surplus is { IsUncertain: false };

    async Task<(long Fetched, long Reused)> StageAsync(
        SafeFileHandle root, string target, bool resumes, bool isOver, CancellationToken cancellationToken)
    {
        using var staging = DirectoryCalls.TryOpenDirectory(root, Staging, out var error)
            ?? throw new PosixException(error, "open", target);
        Own(staging, target, resumes);
        var existing = isOver ? new ExistingTree(root, Deletes, EntryStat.Of(staging, target).ChangedNanoseconds) : null;
        using var staged = new TreeStaging(snapshot, options, notes, staging, resumes, existing);
        var counted = await staged.RunAsync(cancellationToken);
        notes.ExpectSomething();
        Flush(staging, target);
        if (isOver)
        {
            await MergeAsync(existing!, staging, cancellationToken);
        }
        else
        {
            foreach (var name in DirectoryCalls.List(staging, target))
            {
                Move(staging, name, root);
            }
        }

        DirectoryCalls.RemoveTree(root, Staging);
        if (isOver)
        {
            Flush(root, target);
        }

        return counted;
    }

    /// <summary>
    /// Makes the directory its owner's alone, whatever the one above hands down, which also tells the time by its clock. Throws where it is
    /// not the one that was made or looked at just now.
    /// </summary>
    static void Own(SafeFileHandle staging, string target, bool resumes)
    {
        const int NoData = 61;
        var path = Path.Combine(target, System.Text.Encoding.UTF8.GetString(Staging));
        if (EntryStat.Of(staging, path).UserId != Posix.EffectiveUserId() || (!resumes && DirectoryCalls.List(staging, path).Count > 0))
        {
            throw new SalvorException(
                FailureKind.Failure, $"{path} was exchanged by somebody else", "Restore into a directory to which nobody else may write.");
        }

        foreach (var name in (byte[][])["system.posix_acl_access"u8.ToArray(), "system.posix_acl_default"u8.ToArray()])
        {
            if (ExtendedAttributes.TryRemove(staging, name) is not (0 or NoData or Errno.NotSupported) and var error)
            {
                throw new PosixException(error, "remove the access control list of", path);
            }
        }

        Posix.ChangeMode(staging, Posix.OwnerOnlyDirectory, path);
    }

    async Task MergeAsync(ExistingTree existing, SafeFileHandle staging, CancellationToken cancellationToken)
    {
        if (Deletes)
        {
            options.Progressed?.Invoke(new WorkProgress("removing what the backup does not have"));
            surplus = new TreeSurplus(snapshot, options, existing.Root, removes: true);
            await surplus.RunAsync(cancellationToken);
        }

        options.Progressed?.Invoke(new WorkProgress("moving into place"));
        using var merge = new TreeMerge(snapshot, options, notes, staging, existing);
        await merge.RunAsync(cancellationToken);
    }

    void Flush(SafeFileHandle directory, string target)
    {
        if (options.Flushes)
        {
            options.Progressed?.Invoke(new WorkProgress("flushing to the disk"));
            DirectoryCalls.FlushFileSystem(directory, target);
        }
    }

    /// <summary>Looks what would be removed. Throws where that looks like a mistake, before anything is done.</summary>
    async Task ExpectHarmlessAsync(SafeFileHandle root, string target, CancellationToken cancellationToken)
    {
        if (!options.Deletes)
        {
            return;
        }

        if (!options.IsOver && options.Include.IsEmpty && Path.GetFullPath(target) == "/")
        {
            throw new SalvorException(
                FailureKind.Usage, "'--delete' in / removes from the running system",
                "Say with '--include' in which paths, or say '--force'; '--dry-run' prints what would go.");
        }

        var found = surplus = new TreeSurplus(snapshot, options, root, removes: false);
        await found.RunAsync(cancellationToken);
        if (!options.IsOver && found is { Count: > 0, Common: 0 })
        {
            throw new SalvorException(
                FailureKind.Usage, $"nothing in {target} is in this backup, and '--delete' would remove {found.Count} name(s) of it",
                "Check the path; '--dry-run' with '--force' prints what would go, and '--force' does it.");
        }
    }

    async Task ExpectNoConflictsAsync(SafeFileHandle root, CancellationToken cancellationToken)
    {
        options.Progressed?.Invoke(new WorkProgress("comparing with what is there"));
        using var conflicts = new TreeConflicts(snapshot, options, new ExistingTree(root, Deletes, began: 0));
        await conflicts.ExpectNoneAsync(cancellationToken);
    }

    /// <summary>What nobody else could have put there.</summary>
    static bool IsUnfinished(SafeFileHandle root) =>
        EntryStat.In(root, Staging, out _) is { Type: EntryStat.Directory } left
        && (left.Permissions & ~SetGroup) == Posix.OwnerOnlyDirectory && left.UserId == Posix.EffectiveUserId();

    /// <summary>Whether the same restore may succeed later, as after something was moved away: what is there already is kept.</summary>
    static bool IsPassing(Exception e) => e is OperationCanceledException or IOException
        or SalvorException { Kind: FailureKind.Failure or FailureKind.DestinationUnreachable or FailureKind.Usage };

    /// <summary>Whether there is something in the target. Throws where nothing may be.</summary>
    bool ExpectFree(SafeFileHandle root, string target)
    {
        if (!Posix.TryLock(root, exclusive: true, target))
        {
            throw new SalvorException(
                FailureKind.Locked, $"another restore writes to {target}", "Let it end, or name another directory with '--output'.");
        }

        var isOver = DirectoryCalls.List(root, target).Any(name => !options.IsApart(name));
        return !isOver || options.IsOver || options.Deletes
            ? isOver
            : throw new SalvorException(
                FailureKind.Usage, $"{target} is not empty",
                "Name a directory with '--output' that is new or empty, or restore over what is in it with '--force'.");
    }

    void RequireSpace(string target, bool isOver)
    {
        var needed = Math.Min(snapshot.Details.Totals.Bytes, (long)snapshot.Details.Content.Length);
        if (!isOver && options.IsWhole && DiskSpace.FreeBytes(target) is { } free && free < needed)
        {
            throw new SalvorException(
                FailureKind.Failure,
                $"not enough room in {target}: the restore needs {SizeText.Format(needed)}, has {SizeText.Format(free)} free",
                $"Free some ('df -h {target}' shows how much is left), or choose another disk with '--output'.");
        }
    }

    /// <summary>A directory that its owner may not write to cannot be moved by others than root until they may.</summary>
    internal static void Move(SafeFileHandle from, byte[] name, SafeFileHandle to)
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
