using System.Collections.Concurrent;

namespace Salvor.Storage.Sftp;

/// <summary>The directories of a store: made and flushed once each, and only where the destination really is.</summary>
/// <param name="root">The directory of the store, without a slash at its end.</param>
/// <param name="allowWeak">Whether a directory that cannot be flushed will do.</param>
sealed class SftpFolders(string root, bool allowWeak, SftpErrors errors)
{
    /// <summary>Forgetting them costs a few calls.</summary>
    const int PreparedMax = 4096;

    readonly ConcurrentDictionary<string, bool> prepared = new();
    volatile bool wasMounted;

    /// <summary>Whether the server flushes directories; null before one was prepared.</summary>
    public bool? Flushes { get; private set; }

    /// <summary>The root as a path: that of a whole server is one too.</summary>
    public string Top => root.Length == 0 ? "/" : root;

    /// <summary>The directory of a path below the root.</summary>
    public static string Of(string path) => path.LastIndexOf('/') switch
    {
        < 0 => ".",
        0 => "/",
        var end => path[..end],
    };

    /// <summary>Once per directory: makes it, and its place in every directory above durable.</summary>
    public async Task PrepareAsync(SftpSession session, string directory, string action, CancellationToken cancellationToken)
    {
        if (prepared.ContainsKey(directory))
        {
            return;
        }

        await RequireRootAsync(session, action, mayBeMissing: false, cancellationToken);
        var levels = Levels(directory);
        await MakeAsync(session, levels, action, cancellationToken);

        // Flushed even where they exist: the one who made them may have been stopped before its own flush.
        Flushes = (await Task.WhenAll(levels.Prepend(Top).Select(level => FlushAsync(session, level, cancellationToken)))).All(did => did);
        if (Flushes == false && !allowWeak)
        {
            // The next call looks again: a disk that failed may have been repaired.
            return;
        }

        if (prepared.Count >= PreparedMax)
        {
            prepared.Clear();
        }

        prepared[directory] = true;
    }

    /// <summary>For when a directory that was prepared is missing: someone tidied up.</summary>
    public void Forget() => prepared.Clear();

    /// <summary>
    /// Makes the names in an open directory durable. Some network file systems make them durable at once and refuse to be asked, which is
    /// told as a bad message.
    /// </summary>
    public static async Task<SftpAnswer<bool>> FlushAsync(
        SftpSession session, SftpHandle directory, CancellationToken cancellationToken)
    {
        var flushed = await session.FlushAsync(directory, cancellationToken);
        return flushed.Status == SftpStatus.BadMessage ? flushed with { Status = SftpStatus.Ok } : flushed;
    }

    /// <summary>False where the server does not flush directories.</summary>
    static async Task<bool> FlushAsync(SftpSession session, string directory, CancellationToken cancellationToken)
    {
        if (!session.CanFlush)
        {
            return false;
        }

        var opening = session.OpenAsync(directory, cancellationToken);
        try
        {
            var opened = await opening;
            return opened.IsOk && (await FlushAsync(session, opened.Value, cancellationToken)).IsOk;
        }
        finally
        {
            session.CloseWhenOpened(opening);
        }
    }

    /// <summary>
    /// Throws where the root is not there to be written to, or was on a file system of its own and no longer is: an empty listing would be
    /// a lie, and a write would fill the wrong disk.
    /// </summary>
    /// <param name="mayBeMissing">For reading, where a root that was never made holds nothing.</param>
    public async Task RequireRootAsync(
        SftpSession session, string action, bool mayBeMissing, CancellationToken cancellationToken)
    {
        var looking = session.StatAsync(Top, cancellationToken);
        var spaces = session.KnowsSpace
            ? Task.WhenAll(session.SpaceAsync(Top, cancellationToken), session.SpaceAsync("/", cancellationToken))
            : Task.FromResult<SftpAnswer<SftpSpace>[]>([]);
        var (found, spacesFound) = (await looking, await spaces);
        if (found.Status == SftpStatus.NoSuchFile)
        {
            var above = await session.StatAsync(Of(Top), cancellationToken);
            if (mayBeMissing && !wasMounted && above is { IsOk: true, Value.IsDirectory: true })
            {
                return;
            }

            throw errors.RootMissing();
        }

        if (!found.IsOk)
        {
            throw errors.Refused(found, action);
        }

        if (!found.Value.IsDirectory)
        {
            throw errors.RootNotDirectory();
        }

        if (spacesFound is [{ IsOk: true } own, { IsOk: true } first])
        {
            RequireMounted(own.Value.FileSystemId != first.Value.FileSystemId);
        }
    }

    void RequireMounted(bool isMounted)
    {
        if (wasMounted && !isMounted)
        {
            throw errors.RootUnmounted();
        }

        wasMounted = isMounted;
    }

    async Task MakeAsync(SftpSession session, string[] levels, string action, CancellationToken cancellationToken)
    {
        var made = await Task.WhenAll(levels.Select(level => session.MakeDirectoryAsync(level, cancellationToken)));
        if (made.All(answer => answer.IsOk))
        {
            return;
        }

        // One that exists and one that cannot be made have the same answer.
        var found = await Task.WhenAll(levels.Select(level => session.StatAsync(level, cancellationToken)));
        for (var i = 0; i < levels.Length; i++)
        {
            if (found[i].IsOk && !found[i].Value.IsDirectory)
            {
                throw StorageErrors.InTheWay(levels[i][(root.Length + 1)..], errors.Place);
            }

            if (!found[i].IsOk && !made[i].IsOk)
            {
                throw errors.Refused(made[i], action, await SpaceAsync(session, cancellationToken), neededBytes: 1);
            }
        }
    }

    /// <summary>The room there is; null where the server does not tell.</summary>
    public async Task<SftpSpace?> SpaceAsync(SftpSession session, CancellationToken cancellationToken) =>
        session.KnowsSpace && await session.SpaceAsync(Top, cancellationToken) is { IsOk: true } answer ? answer.Value : null;

    /// <summary>The directories between the root and a directory, and the directory, from above.</summary>
    string[] Levels(string directory)
    {
        var levels = new List<string>();
        for (var end = root.Length; end < directory.Length;)
        {
            var next = directory.IndexOf('/', end + 1);
            end = next < 0 ? directory.Length : next;
            levels.Add(directory[..end]);
        }

        return [.. levels];
    }
}
