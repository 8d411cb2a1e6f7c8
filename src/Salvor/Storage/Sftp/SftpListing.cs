namespace Salvor.Storage.Sftp;

/// <summary>
/// What directories hold, in the order of whole keys: of each directory only what can be of the listing.
/// </summary>
/// <param name="root">The directory of the store.</param>
/// <param name="range">Which keys.</param>
/// <param name="folders">Tells whether the destination is there.</param>
/// <param name="noteTemporary">Told the path of each unfinished file, and when it was last written, since 1970.</param>
sealed class SftpListing(string root, KeyRange range, SftpErrors errors, SftpFolders folders, Action<string, uint> noteTemporary)
{
    /// <summary>A directory is read by so many requests at once, in the end: each answer has about a hundred names.</summary>
    const int RequestsMax = 16;

    public static ObjectInfo InfoOf(string key, SftpAttributes attributes) => new(key, attributes.SizeBytes ?? 0)
    {
        StoredAt = attributes.ModifiedSeconds is { } seconds ? DateTimeOffset.FromUnixTimeSeconds(seconds) : null,
    };

    /// <summary>Keys in order, those of directories with a slash at their end. None where the directory is not there.</summary>
    public async Task<Queue<(string Key, SftpAttributes Attributes)>> ReadFolderAsync(
        SftpSession session, string folder, string action, CancellationToken cancellationToken)
    {
        var path = PathOf(folder);
        var opening = session.OpenDirectoryAsync(path, cancellationToken);
        try
        {
            await folders.RequireRootAsync(session, action, mayBeMissing: true, cancellationToken);
            var opened = await opening;
            if (!opened.IsOk)
            {
                await ExpectAbsentAsync(session, opened, path, action, cancellationToken);
                return [];
            }

            var found = new List<(string Key, SftpAttributes Attributes)>();
            var requests = 1;
            while (await ReadSomeAsync(requests))
            {
                requests = Math.Min(2 * requests, RequestsMax);
            }

            found.Sort((a, b) => string.CompareOrdinal(a.Key, b.Key));
            return new(found);

            async Task<bool> ReadSomeAsync(int requests)
            {
                var answers = await Task.WhenAll(
                    Enumerable.Range(0, requests).Select(_ => session.ReadDirectoryAsync(opened.Value, cancellationToken)));
                foreach (var answer in answers.Where(answer => answer.IsOk))
                {
                    await TakeAsync(session, folder, answer.Value, found, cancellationToken);
                }

                return answers.FirstOrDefault(answer => !answer.IsOk) is var failed && failed.Status switch
                {
                    SftpStatus.Ok => true,
                    SftpStatus.EndOfFile => false,
                    _ => throw errors.Refused(failed, action),
                };
            }
        }
        finally
        {
            session.CloseWhenOpened(opening);
        }
    }

    async Task TakeAsync(
        SftpSession session, string folder, List<SftpName> names, List<(string Key, SftpAttributes Attributes)> found,
        CancellationToken cancellationToken)
    {
        foreach (var (name, told) in names)
        {
            if (name.StartsWith(SftpDraft.NamePrefix, StringComparison.Ordinal)
                && told is { IsRegular: true, ModifiedSeconds: { } written })
            {
                noteTemporary($"{PathOf(folder)}/{name}", written);
            }

            if (!KeyRange.CanBeName(folder, name))
            {
                continue;
            }

            // Not every server says all that it could.
            var attributes = told is { Mode: not null, SizeBytes: not null }
                ? told
                : (await session.LinkStatAsync($"{PathOf(folder)}/{name}", cancellationToken)).Value;
            if (attributes.IsRegular && range.Wants(folder, name))
            {
                found.Add((folder + name, attributes));
            }
            else if (attributes.IsDirectory && range.Wants(folder, name + "/"))
            {
                found.Add(($"{folder}{name}/", attributes));
            }
        }
    }

    /// <summary>Returns where the directory was never written to, was removed meanwhile, or is a file.</summary>
    async Task ExpectAbsentAsync(
        SftpSession session, SftpAnswer<SftpHandle> opened, string path, string action, CancellationToken cancellationToken)
    {
        if (opened.Status != SftpStatus.NoSuchFile
            && await session.StatAsync(path, cancellationToken) is not ({ Status: SftpStatus.NoSuchFile } or { Value.IsRegular: true }))
        {
            throw errors.Refused(opened, action);
        }
    }

    /// <summary>Without a slash at its end.</summary>
    string PathOf(string folder) => folder.Length == 0 ? folders.Top : $"{root}/{folder[..^1]}";
}
