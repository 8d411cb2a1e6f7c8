namespace Salvor.Sqlite.Native;

/// <summary>
/// SQLite's own open file (<c>sqlite3_file</c>, https://www.sqlite.org/c3ref/io_methods.html), called through its method table. Opening and
/// closing a second handle on a database in this process would drop all locks that SQLite holds on it, because POSIX ties them to the
/// process and the file; so every read and every lock goes through this one.
/// </summary>
sealed unsafe class FileObject(nint file)
{
    // Slots of the method table, in units of a pointer; slot 0 is the version of the table.
    const int ReadSlot = 2;
    const int FileSizeSlot = 6;
    const int ShmMapSlot = 13;
    const int ShmLockSlot = 14;
    const int ShmBarrierSlot = 15;

    const int LockShared = 2 | 4;
    const int ReleaseShared = 1 | 4;

    /// <summary>The size of a region of the wal-index; all that is read of it is in the first.</summary>
    public const int ShmRegionBytes = 32768;

    /// <summary>The table is null in an object that SQLite has not opened, and calling that would end the process.</summary>
    public static bool IsOpen(nint file) => *(nint*)file != 0;

    /// <summary>
    /// Reads from the offset; what lies past the end is zeros and the answer is false. Other failures throw.
    /// </summary>
    public bool Read(long offset, Span<byte> target)
    {
        fixed (byte* buffer = target)
        {
            var read = (delegate* unmanaged[Cdecl]<nint, void*, int, long, int>)Method(ReadSlot);
            var code = read(file, buffer, target.Length, offset);
            return code switch
            {
                LibSqlite.Ok => true,
                LibSqlite.ShortRead => false,
                _ => throw new SqliteException(code, $"reading {target.Length} bytes at {offset} failed"),
            };
        }
    }

    public long SizeBytes()
    {
        long size;
        var fileSize = (delegate* unmanaged[Cdecl]<nint, long*, int>)Method(FileSizeSlot);
        var code = fileSize(file, &size);
        return code == LibSqlite.Ok ? size : throw new SqliteException(code, "the size of the file cannot be read");
    }

    /// <summary>Maps the first region of the wal-index, which a read through the connection has made.</summary>
    public byte* MapWalIndex()
    {
        void* region = null;
        var map = (delegate* unmanaged[Cdecl]<nint, int, int, int, void**, int>)Method(ShmMapSlot);
        var code = map(file, 0, ShmRegionBytes, 0, &region);
        return code == LibSqlite.Ok && region != null
            ? (byte*)region
            : throw new SqliteException(code, "the wal-index cannot be mapped");
    }

    /// <summary>Takes a shared lock on a slot of the wal-index; false where someone holds it exclusively.</summary>
    public bool TryLockShared(int slot)
    {
        var code = ShmLock(slot, LockShared);
        return code switch
        {
            LibSqlite.Ok => true,
            LibSqlite.Busy => false,
            _ => throw new SqliteException(code, $"locking slot {slot} of the wal-index failed"),
        };
    }

    public void Unlock(int slot)
    {
        var code = ShmLock(slot, ReleaseShared);
        if (code != LibSqlite.Ok)
        {
            throw new SqliteException(code, $"unlocking slot {slot} of the wal-index failed");
        }
    }

    public void Barrier() => ((delegate* unmanaged[Cdecl]<nint, void>)Method(ShmBarrierSlot))(file);

    int ShmLock(int slot, int flags)
    {
        var shmLock = (delegate* unmanaged[Cdecl]<nint, int, int, int, int>)Method(ShmLockSlot);
        return shmLock(file, slot, 1, flags);
    }

    nint Method(int slot) => (*(nint**)file)[slot];
}
