namespace Salvor.Storage.Sftp;

/// <summary>How objects are read and written.</summary>
public sealed partial class SftpStore
{
    /// <summary>
    /// A file of another name is written and flushed, then given its key, then the directory is flushed: four round trips, whatever the
    /// size. Whoever reads finds all of the object or nothing, and the second to give a key fails.
    /// </summary>
    async Task<PutResult> PutAsync(
        SftpSession session, string key, string path, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var action = $"write {key}";
        await PrepareAsync(session, path, action, cancellationToken);
        var finding = session.LinkStatAsync(path, cancellationToken);
        var draft = await CreateDraftAsync(session, path, action, content.Length, cancellationToken);
        try
        {
            var found = await finding;
            if (!found.IsOk)
            {
                await WriteAsync(session, draft, content, action, cancellationToken);
                found = await PublishAsync(session, draft, path, action, cancellationToken);
            }

            if (found is { IsOk: true, Value.IsRegular: false })
            {
                throw StorageErrors.InTheWay(key, errors.Place);
            }

            // Flushed where it exists too: the writer that published it may not have come to that, and our caller counts on it from here.
            await FlushNamesAsync(draft, action, cancellationToken);
            return found.IsOk ? PutResult.AlreadyExists : PutResult.Created;
        }
        finally
        {
            draft.Discard();
        }
    }

    async Task<bool> ReplaceAsync(
        SftpSession session, string key, string path, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        var action = $"write {key}";
        if (!session.CanReplace)
        {
            throw errors.CannotReplace(key);
        }

        await PrepareAsync(session, path, action, cancellationToken);
        var finding = session.LinkStatAsync(path, cancellationToken);
        var draft = await CreateDraftAsync(session, path, action, content.Length, cancellationToken);
        try
        {
            if (await finding is { IsOk: true, Value.IsRegular: false })
            {
                throw StorageErrors.InTheWay(key, errors.Place);
            }

            await WriteAsync(session, draft, content, action, cancellationToken);
            if (await draft.ReplaceAsync(path, cancellationToken) is { IsOk: false } refused)
            {
                throw errors.Refused(refused, action);
            }

            await FlushNamesAsync(draft, action, cancellationToken);
            return true;
        }
        finally
        {
            draft.Discard();
        }
    }

    async Task<int> ReadAsync(
        SftpSession session, string key, string path, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        var finding = session.LinkStatAsync(path, cancellationToken);
        var opening = session.OpenAsync(path, cancellationToken);
        try
        {
            var (found, opened) = (await finding, await opening);
            if (found is { IsOk: true, Value.IsRegular: true } && opened.IsOk)
            {
                return await FillAsync(session, opened.Value, offset, buffer, $"read {key}", cancellationToken);
            }

            // A directory, a link or a pipe of that name is not an object.
            await folders.RequireRootAsync(session, $"read {key}", mayBeMissing: true, cancellationToken);
            throw found.Status == SftpStatus.NoSuchFile || found is { IsOk: true, Value.IsRegular: false }
                || opened.Status == SftpStatus.NoSuchFile
                ? StorageErrors.NotFound(key, errors.Place)
                : errors.Refused(found.IsOk ? opened : opened with { Status = found.Status, Message = found.Message }, $"read {key}");
        }
        finally
        {
            session.CloseWhenOpened(opening);
        }
    }

    /// <summary>All parts at once; what counts is where the first of them ends early.</summary>
    async Task<int> FillAsync(
        SftpSession session, SftpHandle file, long offset, Memory<byte> buffer, string action, CancellationToken cancellationToken)
    {
        var parts = new List<Memory<byte>>();
        for (var start = 0; start < buffer.Length; start += session.ReadBytesMax)
        {
            parts.Add(buffer.Slice(start, Math.Min(session.ReadBytesMax, buffer.Length - start)));
        }

        var filled = await Task.WhenAll(parts.Select((part, i) => FillPartAsync(part, offset + ((long)i * session.ReadBytesMax))));
        var whole = parts.Zip(filled).TakeWhile(pair => pair.Second == pair.First.Length).Count();
        return filled.Take(whole + 1).Sum();

        async Task<int> FillPartAsync(Memory<byte> part, long partOffset)
        {
            var total = 0;
            while (total < part.Length)
            {
                var read = await session.ReadAsync(file, partOffset + total, part[total..], cancellationToken);
                if (!read.IsOk)
                {
                    throw errors.Refused(read, action);
                }

                if (read.Value == 0)
                {
                    break;
                }

                total += read.Value;
            }

            return total;
        }
    }

    /// <summary>Makes the directory of a path, and refuses a server that cannot do what backups rest on.</summary>
    async Task PrepareAsync(SftpSession session, string path, string action, CancellationToken cancellationToken)
    {
        RefuseWeak(session, !session.CanFlush || !session.CanLink);
        await folders.PrepareAsync(session, SftpFolders.Of(path), action, cancellationToken);
        RefuseWeak(session, folders.Flushes == false);
        while (leftovers.TryDequeue(out var leftover))
        {
            session.Remove(leftover);
        }
    }

    async Task<SftpDraft> CreateDraftAsync(
        SftpSession session, string path, string action, long neededBytes, CancellationToken cancellationToken)
    {
        var draftPath = $"{SftpFolders.Of(path)}/{draftName}-{Interlocked.Increment(ref lastDraft)}";
        var (created, draft) = await SftpDraft.CreateAsync(session, draftPath, cancellationToken);
        if (created.Status == SftpStatus.NoSuchFile)
        {
            // Someone tidied up a directory that was prepared earlier.
            folders.Forget();
            await folders.PrepareAsync(session, SftpFolders.Of(path), action, cancellationToken);
            (created, draft) = await SftpDraft.CreateAsync(session, draftPath, cancellationToken);
        }

        return draft ?? throw errors.Refused(created, action, await folders.SpaceAsync(session, cancellationToken), neededBytes);
    }

    async Task WriteAsync(
        SftpSession session, SftpDraft draft, ReadOnlyMemory<byte> content, string action, CancellationToken cancellationToken)
    {
        if (await draft.WriteAsync(content, cancellationToken) is { IsOk: false } refused)
        {
            throw errors.Refused(refused, action, await folders.SpaceAsync(session, cancellationToken), content.Length);
        }
    }

    /// <summary>Gives a draft its key. The answer is good where the key exists, with what has it.</summary>
    async Task<SftpAnswer<SftpAttributes>> PublishAsync(
        SftpSession session, SftpDraft draft, string path, string action, CancellationToken cancellationToken)
    {
        var linked = session.CanLink
            ? await draft.LinkAsync(path, cancellationToken)
            : new SftpAnswer<bool>(SftpStatus.Unsupported, false, "");
        if (linked.IsOk)
        {
            cannotLink = false;
            return new(SftpStatus.NoSuchFile, default, "");
        }

        // That the name exists is told as any other failure is.
        var found = await session.LinkStatAsync(path, cancellationToken);
        var space = await folders.SpaceAsync(session, cancellationToken);
        if (found.IsOk)
        {
            return found;
        }

        if (linked.Status == SftpStatus.NoSuchFile || space is { FreeBytes: 0 } or { IsReadOnly: true })
        {
            throw errors.Refused(linked, action, space, neededBytes: 1);
        }

        cannotLink = true;
        RefuseWeak(session, isWeak: true);
        var renamed = await draft.RenameAsync(path, cancellationToken);
        return renamed.IsOk ? new(SftpStatus.NoSuchFile, default, "")
            : await session.LinkStatAsync(path, cancellationToken) is { IsOk: true } other ? other
            : throw errors.Refused(renamed, action, space, neededBytes: 1);
    }

    async Task FlushNamesAsync(SftpDraft draft, string action, CancellationToken cancellationToken)
    {
        if (await draft.FlushNamesAsync(cancellationToken) is { IsOk: false } refused && !options.AllowWeak)
        {
            throw errors.Refused(refused, action);
        }
    }

    void RefuseWeak(SftpSession session, bool isWeak)
    {
        if (isWeak && !options.AllowWeak)
        {
            throw errors.Weak(Weaknesses(session));
        }
    }

    List<string> Weaknesses(SftpSession session)
    {
        List<string> found = [];
        if (!session.CanFlush)
        {
            found.Add("does not make files durable when asked (fsync@openssh.com)");
        }
        else if (folders.Flushes == false)
        {
            found.Add("does not make the names of files durable when asked (fsync@openssh.com of a directory)");
        }

        if (!session.CanLink)
        {
            found.Add("does not create files without replacing others (hardlink@openssh.com)");
        }
        else if (cannotLink)
        {
            found.Add("has a file system without hard links");
        }

        return found;
    }

    void NoteTemporary(string path, uint writtenSeconds)
    {
        var age = time.GetUtcNow() - DateTimeOffset.FromUnixTimeSeconds(writtenSeconds);
        if (age > leftoverAgeMin && leftovers.Count < LeftoversMax)
        {
            leftovers.Enqueue(path);
        }
    }
}
