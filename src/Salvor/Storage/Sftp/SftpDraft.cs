using Salvor.Platform;

namespace Salvor.Storage.Sftp;

/// <summary>
/// An object that is being put: a file with a name of its own in the directory of the object, which is given its key when its content is
/// durable. What fails on the way removes it.
/// </summary>
sealed class SftpDraft
{
    /// <summary>Names of unfinished files begin with this.</summary>
    public const string NamePrefix = DurableFile.TemporaryPrefix;

    /// <summary>So much is sent before the first answer is waited for.</summary>
    const int BytesInFlightMax = 4 << 20;

    readonly SftpSession session;
    readonly string path;
    readonly SftpHandle file;
    readonly SftpAnswer<SftpHandle> directory;
    bool isOpen = true;
    bool isNamed = true;

    SftpDraft(SftpSession session, string path, SftpHandle file, SftpAnswer<SftpHandle> directory) =>
        (this.session, this.path, this.file, this.directory) = (session, path, file, directory);

    /// <summary>
    /// Creates the file, and opens its directory, by which the name of the object will be flushed. The draft is null where the file could
    /// not be created.
    /// </summary>
    public static async Task<(SftpAnswer<SftpHandle> Created, SftpDraft? Draft)> CreateAsync(
        SftpSession session, string path, CancellationToken cancellationToken)
    {
        var creating = session.CreateAsync(path, cancellationToken);
        var opening = session.OpenAsync(SftpFolders.Of(path), cancellationToken);
        try
        {
            var (created, directory) = (await creating, await opening);
            if (created.IsOk)
            {
                return (created, new(session, path, created.Value, directory));
            }

            session.CloseWhenOpened(opening);
            return (created, null);
        }
        catch (OperationCanceledException)
        {
            // The file may be there all the same.
            session.CloseWhenOpened(creating);
            session.CloseWhenOpened(opening);
            session.Remove(path);
            throw;
        }
    }

    /// <summary>
    /// Writes the content, makes it durable where the server can, and closes the file. The first answer that is not good.
    /// </summary>
    public async Task<SftpAnswer<bool>> WriteAsync(ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var unanswered = new Queue<Task<SftpAnswer<bool>>>();
        var first = new SftpAnswer<bool>(SftpStatus.Ok, true, "");
        for (var offset = 0; offset < content.Length && first.IsOk; offset += session.WriteBytesMax)
        {
            var part = content.Slice(offset, Math.Min(session.WriteBytesMax, content.Length - offset));
            unanswered.Enqueue(session.WriteAsync(file, offset, part, cancellationToken));
            if (unanswered.Count > BytesInFlightMax / session.WriteBytesMax)
            {
                first = await unanswered.Dequeue();
            }
        }

        if (session.CanFlush && first.IsOk)
        {
            unanswered.Enqueue(session.FlushAsync(file, cancellationToken));
        }

        isOpen = false;
        unanswered.Enqueue(session.CloseAsync(file, cancellationToken));
        foreach (var answer in await Task.WhenAll(unanswered))
        {
            first = first.IsOk ? answer : first;
        }

        return first;
    }

    /// <summary>Gives the file a second name, which must not exist.</summary>
    public Task<SftpAnswer<bool>> LinkAsync(string name, CancellationToken cancellationToken) =>
        session.LinkAsync(path, name, cancellationToken);

    /// <summary>Renames the file; where the name exists, the server decides what that means.</summary>
    public Task<SftpAnswer<bool>> RenameAsync(string name, CancellationToken cancellationToken) =>
        session.RenameAsync(path, name, cancellationToken);

    /// <summary>Renames the file over what has the name.</summary>
    public Task<SftpAnswer<bool>> ReplaceAsync(string name, CancellationToken cancellationToken) =>
        session.ReplaceAsync(path, name, cancellationToken);

    /// <summary>Removes the name of its own, where it still has one, and makes the names in the directory durable.</summary>
    public Task<SftpAnswer<bool>> FlushNamesAsync(CancellationToken cancellationToken)
    {
        RemoveName();
        return directory.IsOk
            ? SftpFolders.FlushAsync(session, directory.Value, cancellationToken)
            : Task.FromResult(new SftpAnswer<bool>(directory.Status, false, directory.Message));
    }

    /// <summary>Closes what is open, and removes the name of its own.</summary>
    public void Discard()
    {
        if (isOpen)
        {
            session.Close(file);
        }

        if (directory.IsOk)
        {
            session.Close(directory.Value);
        }

        RemoveName();
    }

    void RemoveName()
    {
        if (isNamed)
        {
            session.Remove(path);
        }

        isNamed = false;
    }
}
