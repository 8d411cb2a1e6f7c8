using Salvor.Sqlite.Native;

namespace Salvor.Sqlite.Wal;

/// <summary>
/// The two locks that keep the log continuous for us without a transaction; see docs/capture.md.
/// <list type="bullet">
/// <item>The <em>guard</em> is a read slot that no reader uses. It keeps the log from being restarted and hinders no checkpoint.</item>
/// <item><em>Mark 0</em> is what a reader of the database file alone would hold. It keeps frames from being copied into the file, so that
/// after a restart no second one can follow.</item>
/// </list>
/// One of them is held at every moment, and they overlap when they change places.
/// </summary>
sealed class WalHold(FileObject database, WalIndex index)
{
    /// <summary>Slots 3 to 7 of the wal-index are the read marks 0 to 4.</summary>
    const int FirstReadSlot = 3;
    const int ReadMarkCount = 5;

    int? guard;

    public bool HasGuard => guard is not null;

    public bool HasMark0 { get; private set; }

    /// <summary>
    /// Whether the guard had to share a slot with readers because they use all four. It then holds back checkpoints as they do, so it is
    /// moved to an unused slot as soon as there is one.
    /// </summary>
    public bool SharesWithReaders { get; private set; }

    /// <summary>Takes the guard, or moves a shared one to an unused slot. False while a checkpoint holds the slots.</summary>
    public bool TryGuard()
    {
        if (guard is not null && !SharesWithReaders)
        {
            return true;
        }

        for (var mark = ReadMarkCount - 1; mark > 0; mark--)
        {
            if (mark != guard && TryTake(mark, unused: true))
            {
                ReleaseGuard();
                (guard, SharesWithReaders) = (mark, false);
                return true;
            }
        }

        return guard is not null || TryShare();
    }

    public bool TryMark0()
    {
        Invariant.Check(!HasMark0);
        return HasMark0 = database.TryLockShared(FirstReadSlot);
    }

    public void ReleaseGuard()
    {
        if (guard is { } mark)
        {
            database.Unlock(FirstReadSlot + mark);
            guard = null;
            SharesWithReaders = false;
        }
    }

    public void ReleaseMark0()
    {
        if (HasMark0)
        {
            database.Unlock(FirstReadSlot);
            HasMark0 = false;
        }
    }

    bool TryShare()
    {
        // The highest mark holds back checkpoints the least.
        foreach (var mark in Enumerable.Range(1, ReadMarkCount - 1).OrderByDescending(mark => (long)index.ReadMark(mark)))
        {
            if (TryTake(mark, unused: false))
            {
                (guard, SharesWithReaders) = (mark, true);
                return true;
            }
        }

        return false;
    }

    bool TryTake(int mark, bool unused)
    {
        if ((index.ReadMark(mark) == WalIndex.ReadMarkUnused) != unused || !database.TryLockShared(FirstReadSlot + mark))
        {
            return false;
        }

        // A reader may have claimed the slot between the look and the lock.
        if ((index.ReadMark(mark) == WalIndex.ReadMarkUnused) == unused)
        {
            return true;
        }

        database.Unlock(FirstReadSlot + mark);
        return false;
    }
}
