using System.Text;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Files;

/// <summary>
/// Gives a whole stream to a reader, and returns when it is known that it was whole, with what there is to say of it. Throws where it was
/// not: what was read until then is worth nothing.
/// </summary>
public delegate Task<IReadOnlyList<string>> StreamProducer(
    Func<Stream, CancellationToken, Task> readToEnd, CancellationToken cancellationToken);

/// <summary>
/// Makes a backup of one stream, such as a command prints. It is a tree of one file, so that all that looks into backups of files looks
/// into this one. Until the producer says that the stream was whole nothing is offered, and the next run makes use of what was stored.
/// </summary>
/// <param name="vault">The first destination of the source.</param>
/// <param name="fileName">What the file is called.</param>
/// <param name="time">The clock.</param>
public sealed class StreamBackup(VaultAccess vault, string fileName, TimeProvider time)
{
    /// <summary>The kind of a vault of streams.</summary>
    public const string Kind = "command";

    const int BufferBytes = 1 << 20;

    readonly byte[] buffer = new byte[BufferBytes];

    /// <inheritdoc cref="TreeBackup.Damaged"/>
    public IReadOnlySet<string> Damaged { get; init; } = new HashSet<string>();

    /// <summary>Whether nothing at all is something to keep.</summary>
    public bool AllowsEmpty { get; init; }

    /// <summary>Told how far it is; nobody knows how much there is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>Whether a name can be that of the file.</summary>
    public static bool IsName(string name) => TreeEntry.IsName(Encoding.UTF8.GetBytes(name));

    /// <summary>Makes one. Throws what the producer throws, and where there was nothing to read.</summary>
    public async Task<TreeBackupResult> RunAsync(
        BackupRequest request, StreamProducer producer, CancellationToken cancellationToken)
    {
        var started = time.GetUtcNow();
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        if (catalog.IsEmpty)
        {
            await Forks.BeginAsync(catalog, epoch: 0, time, cancellationToken);
        }

        await using var writer = await TreeSnapshotWriter.BeginAsync(catalog, Damaged, cancellationToken);
        var size = 0L;
        var said = await producer(
            async (stream, cancel) => size = await ReadAsync(stream, writer, cancel), cancellationToken);
        if (size == 0 && !AllowsEmpty)
        {
            throw new SalvorException(
                FailureKind.SourceUnreadable,
                $"there was nothing to read for source {vault.Identity.Source}, not one byte; no backup was made",
                "Run the command by itself to see why. Where that is right, say 'allow_empty: true', or '--allow-empty'.");
        }

        await writer.AddAsync(EntryOf(size, started), cancellationToken);
        var totals = new TreeTotals(1, 0, 0, size, 0, 0);
        var stored = await writer.FinishAsync(totals, started, cancellationToken);
        var record = await TreeBackups.PutAsync(vault, request, stored, size, started, time, cancellationToken);
        return new TreeBackupResult(record, totals) { Problems = said, FilesRead = 1, BytesRead = size };
    }

    TreeEntry EntryOf(long size, DateTimeOffset started)
    {
        const uint OwnerOnly = 0b110_000_000;
        var nanoseconds = (started - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;
        return new TreeEntry
        {
            Kind = TreeEntryKind.File, Name = Encoding.UTF8.GetBytes(fileName), Permissions = OwnerOnly, SizeBytes = size,
            ModifiedNanoseconds = nanoseconds, ChangedNanoseconds = nanoseconds,
        };
    }

    /// <summary>
    /// Reads to the end, and returns how much there was. What is read is stored before more is: memory is that of the buffer.
    /// </summary>
    async Task<long> ReadAsync(Stream stream, TreeSnapshotWriter writer, CancellationToken cancellationToken)
    {
        var (total, used) = (0L, 0);
        while (true)
        {
            var read = await stream.ReadAsync(buffer.AsMemory(used), cancellationToken);
            (total, used) = (total + read, used + read);
            if (read == 0 || used == buffer.Length)
            {
                used = await StoreAsync(used, isEnd: read == 0, writer, cancellationToken);
                Progressed?.Invoke(new WorkProgress("reading", total));
            }

            if (read == 0)
            {
                return total;
            }
        }
    }

    /// <summary>Stores the chunks that are complete in the buffer, and moves the rest to its front; returns how much that is.</summary>
    async Task<int> StoreAsync(int used, bool isEnd, TreeSnapshotWriter writer, CancellationToken cancellationToken)
    {
        var start = 0;
        while (used - start >= ContentChunker.BytesMax || (isEnd && start < used))
        {
            var rest = buffer.AsMemory(start, used - start);
            var length = writer.Chunker.Cut(rest.Span);
            await writer.Content.AddAsync(rest[..length], cancellationToken);
            start += length;
        }

        buffer.AsSpan(start, used - start).CopyTo(buffer);
        return used - start;
    }
}
