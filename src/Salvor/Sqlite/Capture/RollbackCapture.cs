using System.Diagnostics;
using Salvor.Sqlite.Native;
using Salvor.Vault;

namespace Salvor.Sqlite.Capture;

/// <summary>Whether a copy of a rollback-journal database succeeded.</summary>
enum SliceResult
{
    Copied,

    /// <summary>Writers came in between too often, even with one longer lock.</summary>
    Disturbed,

    /// <summary>The pages have another size by now, so nothing here can go on.</summary>
    Resized,
}

/// <summary>
/// Finds what changed in a database without a write-ahead log: by reading it all and comparing hashes. A reader's lock keeps writers from
/// committing, so it is held for short slices only, and when the change counter shows that one came in between, it begins again.
/// </summary>
sealed class RollbackCapture(SqliteDatabase database, PageTable table, PageHasher hasher, TimeSpan blockMax)
{
    static readonly TimeSpan BetweenSlices = TimeSpan.FromMilliseconds(5);
    const int Attempts = 3;

    /// <summary>Pages read between two looks at the clock.</summary>
    const uint StepPages = 256;

    /// <summary>How long a writer may have to wait for one slice.</summary>
    public TimeSpan Slice { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>The change counter of the last consistent copy.</summary>
    public uint? CopiedCounter { get; private set; }

    /// <summary>How many pages the database had in that copy.</summary>
    public uint PageCount { get; private set; }

    /// <summary>
    /// Spools the pages that differ from the table. After <see cref="SliceResult.Copied"/> the spool and the table are together one
    /// committed state.
    /// </summary>
    public async Task<SliceResult> CopyAsync(PageSpool spool, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            var result = await TrySlicesAsync(spool, Slice, slicesMax: int.MaxValue, cancellationToken);
            if (result != SliceResult.Disturbed)
            {
                return result;
            }
        }

        return await TrySlicesAsync(spool, blockMax, slicesMax: 1, cancellationToken);
    }

    async Task<SliceResult> TrySlicesAsync(PageSpool spool, TimeSpan length, int slicesMax, CancellationToken cancellationToken)
    {
        // A page that differed in an earlier attempt may be as it was by now; then nobody would replace what was spooled.
        spool.Clear();
        uint? counter = null;
        var next = 1u;
        var resized = false;
        for (var slices = 0; slices < slicesMax; slices++)
        {
            var disturbed = !await database.TryWhileUnchangedAsync(() =>
            {
                var now = database.ReadChangeCounter();
                if ((counter ??= now) != now)
                {
                    return false;
                }

                if (database.ReadPageSize() != database.PageSize)
                {
                    resized = true;
                    return false;
                }

                PageCount = DatabaseScan.PageCount(database.File, database.PageSize);
                var started = Stopwatch.GetTimestamp();
                do
                {
                    var last = Math.Min(PageCount, next + StepPages - 1);
                    DatabaseScan.Diff(database.File, database.PageSize, next, last, table, hasher, spool);
                    next = last + 1;
                }
                while (next <= PageCount && Stopwatch.GetElapsedTime(started) < length);

                return true;
            }, cancellationToken);
            if (disturbed)
            {
                return resized ? SliceResult.Resized : SliceResult.Disturbed;
            }

            if (next > PageCount)
            {
                CopiedCounter = counter;
                return SliceResult.Copied;
            }

            await Task.Delay(BetweenSlices, cancellationToken);
        }

        return SliceResult.Disturbed;
    }
}
