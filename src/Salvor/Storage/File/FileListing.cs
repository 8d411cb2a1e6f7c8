using System.IO.Enumeration;
using System.Runtime.CompilerServices;
using Microsoft.Win32.SafeHandles;
using Salvor.Platform;

namespace Salvor.Storage;

/// <summary>
/// The objects under a root in the order of their whole keys. Only the names of the directories on the way to the current object
/// are held in memory, and directories that cannot hold what is asked for are not read.
/// </summary>
/// <param name="root">The directory of the store.</param>
/// <param name="prefix">What keys start with.</param>
/// <param name="after">The key after which to begin, or null.</param>
/// <param name="requireMounted">Throws where what is found at the root is not the destination.</param>
sealed class FileListing(string root, string prefix, string? after, Action requireMounted)
{
    static readonly EnumerationOptions everything = new() { AttributesToSkip = 0, IgnoreInaccessible = false };

    readonly KeyRange range = new(prefix, after);

    public async IAsyncEnumerable<ObjectInfo> ReadAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.CheckPrefix(prefix);
        if (range.IsEmpty)
        {
            yield break;
        }

        var folders = new Stack<Folder>();
        folders.Push(await OpenAsync(range.Start, cancellationToken));

        while (folders.TryPeek(out var folder))
        {
            if (folder.IsLookDue)
            {
                await folder.LookAsync(root, cancellationToken);
            }

            if (!folder.TryNext(out var key, out var file))
            {
                folders.Pop();
            }
            else if (key.EndsWith('/'))
            {
                folders.Push(await OpenAsync(key, cancellationToken));
            }
            else if (file is { } row)
            {
                cancellationToken.ThrowIfCancellationRequested();
                yield return row;
            }
        }
    }

    async ValueTask<Folder> OpenAsync(string folder, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();

        // A disk may take its time, and the caller's thread has better things to do.
        await Task.Yield();
        requireMounted();
        try
        {
            return new(folder, NamesIn(folder));
        }
        catch (Exception e) when (Errno.Of(e) == Errno.NoEntry || (folder.Length > 0 && Errno.Of(e) == Errno.NotDirectory))
        {
            // Never written to, or removed since the directory above was read.
            requireMounted();
            return new(folder, []);
        }
        catch (Exception e) when (Errno.Of(e) != 0)
        {
            throw FileStoreErrors.From(e, folder.Length == 0 ? "list what is" : $"list {folder}", root);
        }
    }

    /// <summary>
    /// Sorted names, those of directories with the slash that their keys go on with: "a/" sorts after "a.b" as "a/x" does.
    /// </summary>
    List<string> NamesIn(string folder)
    {
        var found = new FileSystemEnumerable<string>(
            Path.Join(root, folder),
            (ref entry) => entry.IsDirectory ? string.Concat(entry.FileName, "/") : entry.FileName.ToString(),
            everything)
        {
            ShouldIncludePredicate = (ref entry) => KeyRange.CanBeName(folder, entry.FileName),
        };

        var names = found.Where(name => range.Wants(folder, name)).ToList();
        names.Sort(string.CompareOrdinal);
        return names;
    }

    /// <summary>The names of a directory, and what is known of the next ones of them.</summary>
    sealed class Folder(string keyPrefix, List<string> names)
    {
        const int AheadMin = 32, AheadMax = 1024;

        /// <summary>So many are looked at by one thread in a row.</summary>
        const int RowLength = 32;

        ObjectInfo?[] ahead = [];
        int aheadFrom;
        int next;

        /// <summary>Whether the next name is of a file about which nothing is known yet.</summary>
        public bool IsLookDue => next < names.Count && next - aheadFrom >= ahead.Length && !names[next].EndsWith('/');

        /// <summary>
        /// Looks at the next files, several at once, because on a share each is a round trip; at ever more, because few may be wanted.
        /// </summary>
        public async Task LookAsync(string root, CancellationToken cancellationToken)
        {
            (ahead, aheadFrom) = (new ObjectInfo?[Math.Min(names.Count - next, Math.Clamp(2 * ahead.Length, AheadMin, AheadMax))], next);
            using var directory = Posix.TryOpen(Path.Join(root, keyPrefix), Posix.ReadOnly | Posix.DirectoryOnly, out var error);
            if (directory is null && error is Errno.NoEntry or Errno.NotDirectory)
            {
                // Removed since it was read, and its files with it.
                return;
            }

            if (directory is null)
            {
                throw FileStoreErrors.From(new PosixException(error, "open", keyPrefix), $"list {keyPrefix}", root);
            }

            var options = new ParallelOptions { MaxDegreeOfParallelism = InFlight.Calls, CancellationToken = cancellationToken };
            await Parallel.ForAsync(0, (ahead.Length + RowLength - 1) / RowLength, options, (row, _) =>
            {
                for (var i = row * RowLength; i < Math.Min(ahead.Length, (row + 1) * RowLength); i++)
                {
                    ahead[i] = InfoOf(root, directory, names[aheadFrom + i]);
                }

                return ValueTask.CompletedTask;
            });
        }

        /// <summary>Null for what is not an object, or is one no more.</summary>
        ObjectInfo? InfoOf(string root, SafeFileHandle directory, string name)
        {
            if (name.EndsWith('/'))
            {
                return null;
            }

            try
            {
                return FileStat.In(directory, name) is { Kind: FileKind.Regular } stat
                    ? new(keyPrefix + name, stat.SizeBytes)
                    {
                        StoredAt = DateTimeOffset.UnixEpoch.AddTicks(stat.ModifiedNanoseconds / TimeSpan.NanosecondsPerTick),
                    }
                    : null;
            }
            catch (PosixException e)
            {
                throw FileStoreErrors.From(e, $"look at {keyPrefix}{name}", root);
            }
        }

        /// <summary>False at the end. A directory has a key that ends with a slash; what is no object any more is null.</summary>
        public bool TryNext(out string key, out ObjectInfo? file)
        {
            (key, file) = ("", null);
            if (next == names.Count)
            {
                return false;
            }

            if (names[next].EndsWith('/'))
            {
                key = keyPrefix + names[next];
            }
            else
            {
                file = ahead[next - aheadFrom];
            }

            next++;
            return true;
        }
    }
}
