using System.Collections.Concurrent;
using Salvor.Platform;

namespace Salvor.Storage;

/// <summary>
/// A destination in a directory: a local disk, or a share that is mounted. Each object is a file under the root at the path
/// that its key says, for its owner only.
/// </summary>
/// <param name="root">The directory.</param>
/// <param name="createRoot">
/// Whether to create the directory with the first object. Otherwise it must exist: a disk that is not mounted must not be filled
/// underneath its mount point.
/// </param>
/// <param name="time">Tells how old a leftover is.</param>
public sealed class FileStore(string root, bool createRoot = false, TimeProvider? time = null) : IObjectStore
{
    /// <summary>Far longer than the longest put takes, so that no other writer's unfinished file is taken for a leftover.</summary>
    static readonly TimeSpan leftoverAgeMin = TimeSpan.FromHours(1);

    /// <summary>Directories are prepared once each; forgetting them costs a few flushes.</summary>
    const int PreparedMax = 4096;

    /// <summary>How many beginnings one thread reads before it takes the next ones.</summary>
    const int StartsInARow = 64;

    readonly string root = Path.TrimEndingDirectorySeparator(Path.GetFullPath(root));
    readonly TimeProvider time = time ?? TimeProvider.System;
    readonly ConcurrentDictionary<string, bool> prepared = new();
    volatile bool wasMounted;

    /// <inheritdoc/>
    public string Location => root;

    /// <summary>Creates the root and the directories above it, for their owner only, durably. Does nothing where it exists.</summary>
    public void CreateRoot()
    {
        try
        {
            CreateDurably(root);
        }
        catch (PosixException e)
        {
            throw FileStoreErrors.From(e, "create the destination", root);
        }
    }

    /// <inheritdoc/>
    public async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var path = await BeginAsync(key, cancellationToken);
        try
        {
            RequireRoot();
            return Put(key, path, content.Span);
        }
        catch (Exception e) when (Errno.Of(e) != 0)
        {
            throw FileStoreErrors.From(e, $"write {key}", root);
        }
    }

    /// <inheritdoc/>
    public async Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var path = await BeginAsync(key, cancellationToken);
        try
        {
            RequireRoot();
            Replace(key, path, content.Span);
        }
        catch (Exception e) when (Errno.Of(e) != 0)
        {
            throw FileStoreErrors.From(e, $"write {key}", root);
        }
    }

    /// <inheritdoc/>
    public async Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var path = await BeginAsync(key, cancellationToken);
        return Read(key, path, offset, buffer.Span);
    }

    /// <inheritdoc/>
    public async Task ReadStartsAsync(
        int count, Func<int, string> keyOf, int length, StartRead read, CancellationToken cancellationToken)
    {
        var options = new ParallelOptions { MaxDegreeOfParallelism = InFlight.Calls, CancellationToken = cancellationToken };
        await Parallel.ForAsync(0, (count + StartsInARow - 1) / StartsInARow, options, (row, _) =>
        {
            // On this thread to the end: for so few bytes, a change of threads costs more than the file does.
            var buffer = new byte[length];
            for (var i = row * StartsInARow; i < Math.Min(count, (row + 1) * StartsInARow); i++)
            {
                ReadStart(i, keyOf(i), buffer, read);
            }

            return ValueTask.CompletedTask;
        });
    }

    /// <inheritdoc/>
    public async Task<long?> SizeAsync(string key, CancellationToken cancellationToken)
    {
        var path = await BeginAsync(key, cancellationToken);
        try
        {
            if (FileStat.Of(path, followLinks: false) is { Kind: FileKind.Regular } stat)
            {
                return stat.SizeBytes;
            }

            RequireMounted();
            return null;
        }
        catch (PosixException e)
        {
            throw FileStoreErrors.From(e, $"look for {key}", root);
        }
    }

    /// <inheritdoc/>
    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
        new FileListing(root, prefix, after, RequireMounted).ReadAsync(cancellationToken);

    /// <inheritdoc/>
    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        var path = await BeginAsync(key, cancellationToken);
        try
        {
            // Not flushed: an object that comes back with the power is deleted again by whoever decided to.
            if (!Posix.Unlink(path))
            {
                RequireMounted();
            }
        }
        catch (PosixException e) when (e.Error is Errno.NotDirectory or Errno.IsDirectory)
        {
            RequireMounted();
        }
        catch (PosixException e)
        {
            throw FileStoreErrors.From(e, $"delete {key}", root);
        }
    }

    /// <summary>Leaves the caller's thread, because a disk may take its time, and returns the path of a legal key.</summary>
    async ValueTask<string> BeginAsync(string key, CancellationToken cancellationToken)
    {
        ObjectKey.Check(key);
        cancellationToken.ThrowIfCancellationRequested();
        await Task.Yield();
        return Path.Join(root, key);
    }

    PutResult Put(string key, string path, ReadOnlySpan<byte> content)
    {
        var directory = Path.GetDirectoryName(path)!;
        if (FileStat.Of(path, followLinks: false) is not null)
        {
            return Exists(key, path, directory);
        }

        var temporary = WriteTemporary(directory, content);
        bool published;
        try
        {
            published = DurableFile.RenameNoReplace(temporary, path);
        }
        catch (PosixException)
        {
            Posix.Unlink(temporary);
            throw;
        }

        if (!published)
        {
            Posix.Unlink(temporary);
            return Exists(key, path, directory);
        }

        DurableFile.FlushDirectory(directory);
        return PutResult.Created;
    }

    void Replace(string key, string path, ReadOnlySpan<byte> content)
    {
        if (FileStat.Of(path, followLinks: false) is { Kind: not FileKind.Regular })
        {
            throw StorageErrors.InTheWay(key, root);
        }

        var directory = Path.GetDirectoryName(path)!;
        var temporary = WriteTemporary(directory, content);
        try
        {
            Posix.Rename(temporary, path);
        }
        catch (PosixException)
        {
            Posix.Unlink(temporary);
            throw;
        }

        DurableFile.FlushDirectory(directory);
    }

    PutResult Exists(string key, string path, string directory)
    {
        if (FileStat.Of(path, followLinks: false) is { Kind: not FileKind.Regular })
        {
            throw StorageErrors.InTheWay(key, root);
        }

        // The writer that published it may not have come to its own flushes, and our caller counts on the object from here on.
        Prepare(directory);
        DurableFile.FlushDirectory(directory);
        return PutResult.AlreadyExists;
    }

    string WriteTemporary(string directory, ReadOnlySpan<byte> content)
    {
        Prepare(directory);
        try
        {
            return DurableFile.WriteTemporary(directory, content);
        }
        catch (PosixException e) when (e.Error == Errno.NoEntry)
        {
            // Someone tidied up a directory that was prepared earlier.
            prepared.Clear();
            RequireRoot();
            Prepare(directory);
            return DurableFile.WriteTemporary(directory, content);
        }
    }

    void ReadStart(int index, string key, byte[] buffer, StartRead read)
    {
        var (bytes, failure) = (0, (StorageException?)null);
        try
        {
            ObjectKey.Check(key);
            bytes = Read(key, Path.Join(root, key), offset: 0, buffer);
        }
        catch (StorageException e)
        {
            failure = e;
        }

        read(index, buffer.AsSpan(0, bytes), failure);
    }

    int Read(string key, string path, long offset, Span<byte> buffer)
    {
        try
        {
            // Not blocking: a pipe of that name would make us wait for whoever writes to it.
            return Posix.Read(path, Posix.NoFollow | Posix.NonBlocking, offset, buffer);
        }
        catch (PosixException e) when (e.Error
            is Errno.NoEntry or Errno.NotDirectory or Errno.IsDirectory or Errno.TooManyLinks or Errno.CannotSeek)
        {
            // A directory, a link or a pipe of that name is not an object.
            RequireMounted();
            throw StorageErrors.NotFound(key, root);
        }
        catch (PosixException e)
        {
            throw FileStoreErrors.From(e, $"read {key}", root);
        }
    }

    /// <summary>Once per directory: makes it and its place in every directory above durable, and removes what dead writers left.</summary>
    void Prepare(string directory)
    {
        if (prepared.ContainsKey(directory))
        {
            return;
        }

        for (var end = root.Length; end < directory.Length;)
        {
            var above = directory[..end];
            var next = directory.IndexOf('/', end + 1);
            end = next < 0 ? directory.Length : next;

            // Flushed even where it exists: the one who made it may have been stopped before its own flush.
            Posix.MakeDirectory(directory[..end]);
            DurableFile.FlushDirectory(above.Length == 0 ? "/" : above);
        }

        RemoveLeftovers(directory);
        if (prepared.Count >= PreparedMax)
        {
            prepared.Clear();
        }

        prepared[directory] = true;
    }

    void RemoveLeftovers(string directory)
    {
        var oldestKept = (time.GetUtcNow() - leftoverAgeMin - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;
        try
        {
            foreach (var path in Directory.EnumerateFiles(directory, DurableFile.TemporaryPrefix + "*", AllNames))
            {
                if (FileStat.Of(path, followLinks: false) is { Kind: FileKind.Regular } stat && stat.ModifiedNanoseconds < oldestKept)
                {
                    Posix.Unlink(path);
                }
            }
        }
        catch (Exception e) when (Errno.Of(e) != 0)
        {
            // A leftover costs space and nothing else; the put that found it must not fail for it. The next process tries again.
        }
    }

    // Names that start with a dot are skipped by default.
    static EnumerationOptions AllNames => new() { AttributesToSkip = 0 };

    /// <summary>Throws where objects cannot be put because there is no root.</summary>
    void RequireRoot()
    {
        RequireMounted();
        if (FileStat.Of(root) is null)
        {
            if (!createRoot)
            {
                throw FileStoreErrors.RootMissing(root);
            }

            CreateDurably(root);
        }
    }

    /// <summary>
    /// Throws where the root was on a disk or share of its own and is no longer. What is found underneath the mount point then is
    /// not the destination: an empty listing would be a lie, and a write would fill the wrong disk.
    /// </summary>
    void RequireMounted()
    {
        FileStat? stat;
        try
        {
            stat = FileStat.Of(root);
        }
        catch (PosixException e)
        {
            throw FileStoreErrors.From(e, "look", root);
        }

        if (stat is { Kind: not FileKind.Directory })
        {
            throw FileStoreErrors.RootNotDirectory(root);
        }

        if (stat is { } found && found.Identity.Device != FileStat.Of("/")?.Identity.Device)
        {
            wasMounted = true;
        }
        else if (wasMounted)
        {
            throw FileStoreErrors.RootUnmounted(root);
        }
    }

    static void CreateDurably(string directory)
    {
        if (FileStat.Of(directory) is not null)
        {
            return;
        }

        var above = Path.GetDirectoryName(directory)!;
        CreateDurably(above);
        Posix.MakeDirectory(directory);
        DurableFile.FlushDirectory(above);
    }
}
