using System.Text;
using System.Text.RegularExpressions;
using Salvor.Vault.Format;
using Salvor.Vault.Trees;

namespace Salvor.Postgres.Backup;

/// <summary>
/// Stores what the archives of a base backup hold, as it comes, and remembers what belongs to which file: archives are in the order in
/// which a server happens to read its directories, and a listing is sorted.
/// </summary>
/// <param name="writer">Stores the content.</param>
/// <param name="spill">Takes the names of its chunks.</param>
/// <param name="parent">What an incremental backup is made of; null where the server sends all of it.</param>
sealed partial class BackupIntake(TreeSnapshotWriter writer, ChunkSpill spill, ParentBackup? parent = null)
{
    const uint PrivateDirectory = 0x1C0;
    const string LabelPath = "backup_label";

    readonly Dictionary<string, BackupItem> items = new(StringComparer.Ordinal);
    readonly byte[] buffer = new byte[ContentChunker.BytesMax];
    TarSplitter splitter = new();
    string prefix = "";
    int used;
    uint crc;
    long firstChunk;
    bool isRelation;
    IncrementalFile? incremental;
    (string Path, TarHeader Header)? current;

    /// <summary>What came so far, by path.</summary>
    public IReadOnlyDictionary<string, BackupItem> Items => items;

    /// <summary>What comes now, for progress.</summary>
    public string CurrentPath => current is { } item ? BackupItem.TextOf(item.Path) : "";

    /// <summary>The archive of the data directory, or of a tablespace, begins.</summary>
    public void Begin(uint? tablespace)
    {
        End();
        (splitter, prefix) = (new TarSplitter(), tablespace is { } oid ? $"pg_tblspc/{oid}/" : "");
    }

    /// <summary>No archive goes on.</summary>
    public void End()
    {
        if (!splitter.IsComplete)
        {
            throw BackupErrors.Wrong($"an archive ends within {CurrentPath}");
        }
    }

    /// <summary>Takes more of an archive.</summary>
    public async ValueTask AddAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (splitter.Next(ref bytes) is { IsNothing: false } step)
        {
            if (step.Entry is { } entry)
            {
                BeginItem(entry);
            }
            else if (step.IsEnd)
            {
                await EndItemAsync(cancellationToken);
            }
            else
            {
                await StoreAsync(step.Content, cancellationToken);
            }
        }
    }

    /// <summary>Adds a file that came in no archive.</summary>
    public async Task AddFileAsync(string path, Stream content, long modifiedSeconds, CancellationToken cancellationToken)
    {
        BeginItem(path, new TarHeader(path, TarHeader.File, content.Length, 0x180, modifiedSeconds, []));
        var block = new byte[ContentChunker.BytesMax];
        for (int count; (count = await content.ReadAsync(block, cancellationToken)) > 0;)
        {
            await StoreAsync(block.AsMemory(0, count), cancellationToken);
        }

        await EndItemAsync(cancellationToken);
    }

    /// <summary>All items in the order of the listing, with the directories that no archive names.</summary>
    public IReadOnlyList<BackupItem> Sorted()
    {
        foreach (var item in items.Values.ToArray())
        {
            for (var folder = item.Folder; folder.Length > 0; folder = ParentOf(folder))
            {
                if (!items.TryGetValue(folder, out var above))
                {
                    above = items[folder] = ItemOf(folder, new TarHeader(folder, TarHeader.Directory, 0, PrivateDirectory, 0, []));
                }

                if (above.Entry.Kind != TreeEntryKind.Directory)
                {
                    throw BackupErrors.Wrong($"{item.Text} is in {above.Text}, which is no directory");
                }
            }
        }

        return [.. items.Values.OrderBy(item => item.Order, StringComparer.Ordinal)];
    }

    void BeginItem(TarHeader entry)
    {
        var name = entry.Path.StartsWith("./", StringComparison.Ordinal) ? entry.Path[2..] : entry.Path;

        // The top of an archive may be in it, under a name of its own: what is known of it is enough.
        BeginItem(name is "" or "." && entry.Type == TarHeader.Directory ? prefix.TrimEnd('/') : prefix + name, entry);
    }

    void BeginItem(string path, TarHeader entry)
    {
        if (path.Length > 0 && !BackupItem.IsPath(path))
        {
            throw BackupErrors.Wrong($"an entry has the path {BackupItem.TextOf(path)}");
        }

        if (path.Length == 0 && entry.Type != TarHeader.Directory)
        {
            throw BackupErrors.Wrong("an entry has no path");
        }

        var stored = parent is not null && entry.Type == TarHeader.File ? BackupItem.StoredPathOf(path) : path;
        incremental = stored == path ? null : new IncrementalFile(stored, entry.SizeBytes, parent!, writer.Content, spill);
        current = (stored, entry);
        (used, crc, firstChunk, isRelation) = (0, uint.MaxValue, spill.Count, IsRelation(stored));
    }

    /// <summary>Whether a path is of what has pages that are written in place.</summary>
    public static bool IsRelation(string path) => Relation().IsMatch(path);

    async ValueTask EndItemAsync(CancellationToken cancellationToken)
    {
        var (path, entry) = current!.Value;
        var (sizeBytes, stored) = (entry.SizeBytes, (uint?)~crc);
        if (incremental is not null)
        {
            await incremental.EndAsync(cancellationToken);
            (sizeBytes, stored) = (incremental.SizeBytes, incremental.Crc);
        }
        else if (parent is not null && path == LabelPath)
        {
            (sizeBytes, stored) = MakeLabelWhole();
        }

        await CutAsync(isEnd: true, cancellationToken);
        var item = ItemOf(path, entry with { SizeBytes = sizeBytes }) with
        {
            IsIncremental = incremental is not null, SentBytes = entry.SizeBytes, SentCrc = ~crc, Crc = stored,
            FirstChunk = firstChunk, ChunkCount = spill.Count - firstChunk,
        };
        current = null;
        if (path.Length > 0 && !items.TryAdd(path, item) && entry.Type != TarHeader.Directory)
        {
            throw BackupErrors.Wrong($"{item.Text} comes twice");
        }
    }

    async ValueTask StoreAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        crc = Checksum.Update(crc, bytes.Span);
        if (incremental is not null)
        {
            await incremental.AddAsync(bytes, cancellationToken);
            return;
        }

        while (!bytes.IsEmpty)
        {
            var length = Math.Min(bytes.Length, buffer.Length - used);
            bytes[..length].CopyTo(buffer.AsMemory(used));
            (used, bytes) = (used + length, bytes[length..]);
            await CutAsync(isEnd: false, cancellationToken);
        }
    }

    async ValueTask CutAsync(bool isEnd, CancellationToken cancellationToken)
    {
        var needed = isRelation ? ContentChunker.DatabaseBytes : ContentChunker.BytesMax;
        var start = 0;
        while (used - start >= needed || (isEnd && start < used))
        {
            var rest = buffer.AsMemory(start, used - start);
            var length = isRelation ? Math.Min(rest.Length, ContentChunker.DatabaseBytes) : writer.Chunker.Cut(rest.Span);
            spill.Add(await writer.Content.StoreAsync(rest[..length], cancellationToken));
            start += length;
        }

        buffer.AsSpan(start, used - start).CopyTo(buffer);
        used -= start;
    }

    /// <summary>No server starts from a label that says that the backup is a part of one.</summary>
    (long SizeBytes, uint Crc) MakeLabelWhole()
    {
        if (spill.Count > firstChunk)
        {
            throw BackupErrors.Wrong($"{LabelPath} has more than {ContentChunker.BytesMax} bytes");
        }

        var lines = Encoding.Latin1.GetString(buffer, 0, used).Split('\n');
        used = Encoding.Latin1.GetBytes(
            string.Join('\n', lines.Where(line => !line.StartsWith("INCREMENTAL FROM ", StringComparison.Ordinal))), buffer);
        return (used, ~Checksum.Update(uint.MaxValue, buffer.AsSpan(0, used)));
    }

    static string ParentOf(string folder) => folder.LastIndexOf('/') is >= 0 and var slash ? folder[..slash] : "";

    static BackupItem ItemOf(string path, TarHeader entry) => new(path, new TreeEntry
    {
        Kind = entry.Type switch
        {
            TarHeader.File => TreeEntryKind.File,
            TarHeader.Directory => TreeEntryKind.Directory,
            TarHeader.Link when entry.Target.Length > 0 && Tablespace().IsMatch(path) => TreeEntryKind.Link,
            TarHeader.Link => throw BackupErrors.Wrong($"{BackupItem.TextOf(path)} is a link, and none to a tablespace"),
            _ => throw BackupErrors.Wrong($"{BackupItem.TextOf(path)} is of kind '{entry.Type}'"),
        },
        Name = BackupItem.NameOf(path),
        Permissions = entry.Permissions,
        UserId = entry.UserId,
        GroupId = entry.GroupId,
        User = entry.User,
        Group = entry.Group,
        ModifiedNanoseconds = NanosecondsOf(entry.ModifiedSeconds),
        ChangedNanoseconds = NanosecondsOf(entry.ModifiedSeconds),
        SizeBytes = entry.Type == TarHeader.File ? entry.SizeBytes : 0,
        Target = entry.Target,
    });

    /// <summary>A time beyond what a file system has is none that a server sends.</summary>
    static long NanosecondsOf(long seconds) =>
        seconds <= long.MaxValue / 1_000_000_000 ? seconds * 1_000_000_000 : throw BackupErrors.Wrong($"an entry is of second {seconds}");

    /// <summary>Where a server links to tablespaces; it sends no other links.</summary>
    [GeneratedRegex(@"^pg_tblspc/\d+\z")]
    private static partial Regex Tablespace();

    /// <summary>What has pages that are written in place: relations, their maps, and what they were at the last commit.</summary>
    [GeneratedRegex(@"^(global|base/\d+|pg_tblspc/\d+/[^/]+/\d+)/\d+(_\w+)?(\.\d+)?$")]
    private static partial Regex Relation();
}
