using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace Salvor.Storage.Sftp;

/// <summary>
/// A destination on an SFTP server, reached by OpenSSH's client. Each object is a file under a directory at the path that its key says, for
/// its owner only: as <see cref="FileStore"/> keeps them, so that either can read what the other wrote.
/// </summary>
public sealed partial class SftpStore : IObjectStore
{
    /// <summary>Far longer than the longest put takes, and than two clocks differ.</summary>
    static readonly TimeSpan leftoverAgeMin = TimeSpan.FromDays(1);

    /// <summary>More leftovers than this wait for the next listing.</summary>
    const int LeftoversMax = 1000;

    readonly string root;
    readonly SftpOptions options;
    readonly TimeProvider time;
    readonly SftpSessions sessions;
    readonly SftpErrors errors;
    readonly SftpFolders folders;
    readonly ConcurrentQueue<string> leftovers = new();

    // No other writer, here or on another machine, gives a file such a name.
    readonly string draftName = SftpDraft.NamePrefix + RandomNumberGenerator.GetHexString(16, lowercase: true);
    long lastDraft;
    volatile bool cannotLink;

    /// <param name="options">Where it is; <see cref="SftpOptions.Problem"/> must find nothing wrong with them.</param>
    /// <param name="time">Measures how long a server is silent, and tells how old a leftover is.</param>
    public SftpStore(SftpOptions options, TimeProvider? time = null)
        : this(options, SftpSessions.To(options, time ?? TimeProvider.System), time ?? TimeProvider.System)
    {
    }

    internal SftpStore(SftpOptions options, SftpSessions sessions, TimeProvider time)
    {
        (this.options, this.sessions, this.time) = (options, sessions, time);
        root = options.Path.TrimEnd('/');
        errors = new(options);
        folders = new(root, options.AllowWeak, errors);
    }

    /// <inheritdoc/>
    public string Location => options.Location;

    /// <summary>
    /// What the server cannot do that backups rest on, each as the end of a sentence that begins with "it"; empty for OpenSSH's server.
    /// What its file system cannot do is known after the first put.
    /// </summary>
    public Task<IReadOnlyList<string>> WeaknessesAsync(CancellationToken cancellationToken) =>
        RunAsync("connect", session => Task.FromResult<IReadOnlyList<string>>(Weaknesses(session)), cancellationToken);

    /// <inheritdoc/>
    public async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var path = PathOf(key);
        return await RunAsync($"write {key}", session => PutAsync(session, key, path, content, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    public async Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var path = PathOf(key);
        await RunAsync($"write {key}", session => ReplaceAsync(session, key, path, content, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var path = PathOf(key);
        return await RunAsync(
            $"read {key}", session => ReadAsync(session, key, path, offset, buffer, cancellationToken), cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<long?> SizeAsync(string key, CancellationToken cancellationToken)
    {
        var path = PathOf(key);
        return await RunAsync<long?>($"look for {key}", SizeAsync, cancellationToken);

        async Task<long?> SizeAsync(SftpSession session)
        {
            var action = $"look for {key}";
            var found = await session.LinkStatAsync(path, cancellationToken);
            if (found is { IsOk: true, Value.IsRegular: true })
            {
                return found.Value.SizeBytes;
            }

            if (!found.IsOk && found.Status != SftpStatus.NoSuchFile)
            {
                throw errors.Refused(found, action);
            }

            await folders.RequireRootAsync(session, action, mayBeMissing: true, cancellationToken);
            return null;
        }
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ObjectKey.CheckPrefix(prefix);
        var range = new KeyRange(prefix, after);
        if (range.IsEmpty)
        {
            yield break;
        }

        var listing = new SftpListing(root, range, errors, folders, NoteTemporary);
        var open = new Stack<Queue<(string Key, SftpAttributes Attributes)>>();
        open.Push(await ReadFolderAsync(range.Start));
        while (open.TryPeek(out var folder))
        {
            if (!folder.TryDequeue(out var next))
            {
                open.Pop();
            }
            else if (next.Key.EndsWith('/'))
            {
                open.Push(await ReadFolderAsync(next.Key));
            }
            else
            {
                cancellationToken.ThrowIfCancellationRequested();
                yield return SftpListing.InfoOf(next.Key, next.Attributes);
            }
        }

        Task<Queue<(string Key, SftpAttributes Attributes)>> ReadFolderAsync(string folder)
        {
            var action = folder.Length == 0 ? "list what is" : $"list {folder}";
            return RunAsync(action, session => listing.ReadFolderAsync(session, folder, action, cancellationToken), cancellationToken);
        }
    }

    /// <inheritdoc/>
    public async Task DeleteAsync(string key, CancellationToken cancellationToken)
    {
        var path = PathOf(key);
        await RunAsync($"delete {key}", DeleteAsync, cancellationToken);

        async Task<bool> DeleteAsync(SftpSession session)
        {
            var removed = await session.RemoveAsync(path, cancellationToken);
            if (removed.IsOk)
            {
                // Not flushed: an object that comes back with the power is deleted again by whoever decided to.
                return true;
            }

            await folders.RequireRootAsync(session, $"delete {key}", mayBeMissing: true, cancellationToken);
            var found = await session.LinkStatAsync(path, cancellationToken);
            return found.Status != SftpStatus.NoSuchFile && !(found.IsOk && !found.Value.IsRegular)
                ? throw errors.Refused(removed, $"delete {key}", await folders.SpaceAsync(session, cancellationToken))
                : false;
        }
    }

    /// <summary>The path of a legal key.</summary>
    string PathOf(string key)
    {
        ObjectKey.Check(key);
        return $"{root}/{key}";
    }

    /// <summary>Runs a call on the connection, and says of what the connection could not do what was to be done.</summary>
    async Task<T> RunAsync<T>(string action, Func<SftpSession, Task<T>> call, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        try
        {
            return await sessions.RunAsync(call, cancellationToken);
        }
        catch (SftpEndedException e)
        {
            throw errors.Ended(e.End, action, e);
        }
    }
}
