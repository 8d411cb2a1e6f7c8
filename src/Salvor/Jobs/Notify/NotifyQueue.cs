using System.Globalization;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Jobs.Notify;

/// <summary>A message that waits for a notifier.</summary>
public sealed record QueuedMessage
{
    public required string Notifier { get; init; }

    public required NotifyMessage Message { get; init; }

    /// <summary>How often it was tried.</summary>
    public int Attempts { get; init; }

    /// <summary>Its file; empty where it could not be written, and is lost with the process.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public string FileName { get; init; } = "";

    /// <summary>How long it is as a file.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public int SizeBytes { get; init; }
}

/// <summary>What became of the messages to one notifier since its local state began.</summary>
public sealed record NotifierCounts
{
    public long Sent { get; init; }

    /// <summary>Attempts that failed.</summary>
    public long Failed { get; init; }

    /// <summary>Messages that were given up.</summary>
    public long Dropped { get; init; }
}

/// <summary>
/// The messages that wait, each in a file of its own: they survive the process, and another process can add some. Bounded for each
/// notifier in count, size and age; what has to go for that is the oldest, and it is said and counted.
/// </summary>
/// <param name="directory">Where the files are; null where there is no place for them.</param>
/// <param name="time">The clock.</param>
/// <param name="random">Names files.</param>
/// <param name="logger">Told of what is lost.</param>
sealed class NotifyQueue(string? directory, TimeProvider time, Random random, ILogger logger)
{
    public const int CountMax = 200;
    public const int BytesMax = 2 << 20;
    public static readonly TimeSpan AgeMax = TimeSpan.FromDays(7);

    const string Pattern = "message-*.json";
    const string CountsName = "counts.json";
    const int FileBytesMax = 256 << 10;

    readonly Lock gate = new();
    readonly List<QueuedMessage> waiting = [];
    readonly HashSet<string> known = [];
    Dictionary<string, NotifierCounts> counts = ReadCounts(directory);
    bool isUnwritable;

    /// <summary>What became of messages, by notifier.</summary>
    public IReadOnlyDictionary<string, NotifierCounts> Counts
    {
        get
        {
            lock (gate)
            {
                return new Dictionary<string, NotifierCounts>(counts);
            }
        }
    }

    /// <summary>The same from another process.</summary>
    public static Dictionary<string, NotifierCounts> ReadCounts(string? directory) => directory is null
        ? []
        : JsonMark.TryRead(Path.Combine(directory, CountsName), NotifyJson.Default.DictionaryStringNotifierCounts) ?? [];

    /// <summary>How many files wait, by notifier, for who does not send them.</summary>
    public static Dictionary<string, int> CountWaiting(string? directory) =>
        Files(directory).Select(Read).OfType<QueuedMessage>().GroupBy(item => item.Notifier)
            .ToDictionary(group => group.Key, group => group.Count());

    /// <summary>How many messages wait for a notifier.</summary>
    public int CountOf(string notifier)
    {
        lock (gate)
        {
            return waiting.Count(item => item.Notifier == notifier);
        }
    }

    /// <summary>Takes in what an earlier run left, and what other processes added.</summary>
    public void Refresh()
    {
        lock (gate)
        {
            foreach (var file in Files(directory).Where(known.Add))
            {
                if (Read(file) is { } item)
                {
                    waiting.Add(item);
                }
                else
                {
                    logger.MessageUnreadable(file);
                }
            }

            foreach (var notifier in waiting.Select(item => item.Notifier).Distinct().ToList())
            {
                Bound(notifier);
            }
        }
    }

    public void Add(string notifier, NotifyMessage message)
    {
        lock (gate)
        {
            waiting.Add(Write(new QueuedMessage { Notifier = notifier, Message = message }));
            Bound(notifier);
        }
    }

    /// <summary>What is to be tried next; null where nothing waits. One that is refused often does not stand before the others.</summary>
    public QueuedMessage? NextOf(string notifier)
    {
        lock (gate)
        {
            return waiting.Where(item => item.Notifier == notifier).OrderBy(item => item.Attempts).ThenBy(item => item.Message.At)
                .FirstOrDefault();
        }
    }

    /// <summary>It arrived.</summary>
    public void Succeeded(QueuedMessage item, bool wholly)
    {
        lock (gate)
        {
            Remove(item);
            Count(item.Notifier, count => count with { Sent = count.Sent + 1, Failed = count.Failed + (wholly ? 0 : 1) });
        }
    }

    /// <summary>It did not.</summary>
    public void Failed(QueuedMessage item)
    {
        lock (gate)
        {
            var place = waiting.IndexOf(item);
            if (place >= 0)
            {
                waiting[place] = Write(item with { Attempts = item.Attempts + 1 });
            }

            Count(item.Notifier, count => count with { Failed = count.Failed + 1 });
        }
    }

    /// <summary>Counts what is not stored and was not sent.</summary>
    public void CountFailure(string notifier)
    {
        lock (gate)
        {
            Count(notifier, count => count with { Failed = count.Failed + 1 });
        }
    }

    /// <summary>Nobody is configured any more who could be told.</summary>
    public void DropAllBut(IReadOnlyCollection<string> notifiers)
    {
        lock (gate)
        {
            foreach (var item in waiting.Where(item => !notifiers.Contains(item.Notifier)).ToList())
            {
                Drop(item, "it is configured no more");
            }
        }
    }

    void Bound(string notifier)
    {
        var mine = waiting.Where(item => item.Notifier == notifier).OrderBy(item => item.Message.At).ToList();
        var (count, bytes) = (mine.Count, mine.Sum(item => (long)item.SizeBytes));
        foreach (var item in mine)
        {
            var why = count > CountMax ? $"more than {CountMax} wait"
                : bytes > BytesMax ? $"more than {SizeText.FormatExact(BytesMax)} wait"
                : time.GetUtcNow() - item.Message.At > AgeMax ? $"it waited for more than {DurationText.Format(AgeMax)}"
                : null;
            if (why is null)
            {
                break;
            }

            Drop(item, why);
            (count, bytes) = (count - 1, bytes - item.SizeBytes);
        }
    }

    void Drop(QueuedMessage item, string why)
    {
        logger.MessageDropped(item.Notifier, why, NotifyText.Subject(item.Message, null));
        Remove(item);
        Count(item.Notifier, count => count with { Dropped = count.Dropped + 1 });
    }

    void Remove(QueuedMessage item)
    {
        waiting.RemoveAll(other => ReferenceEquals(other, item) || (item.FileName.Length > 0 && other.FileName == item.FileName));
        Try(() =>
        {
            if (item.FileName.Length > 0)
            {
                File.Delete(item.FileName);
                known.Remove(item.FileName);
            }
        });
    }

    /// <summary>Where it cannot be written it waits in memory.</summary>
    QueuedMessage Write(QueuedMessage item)
    {
        var content = JsonSerializer.SerializeToUtf8Bytes(item, NotifyJson.Default.QueuedMessage);
        item = item with { SizeBytes = content.Length };
        if (directory is null)
        {
            return item;
        }

        var file = item.FileName.Length > 0 ? item.FileName : Path.Combine(directory, string.Create(
            CultureInfo.InvariantCulture, $"message-{item.Message.At.UtcDateTime:yyyyMMddHHmmssfff}-{random.NextInt64():x16}.json"));
        var isWritten = Try(() =>
        {
            NotifyState.Ensure(directory);
            known.Add(file);
            DurableFile.Replace(file, content);
        });
        return isWritten ? item with { FileName = file } : item;
    }

    void Count(string notifier, Func<NotifierCounts, NotifierCounts> change)
    {
        counts = new(counts) { [notifier] = change(counts.GetValueOrDefault(notifier) ?? new()) };
        Try(() =>
        {
            if (Directory.Exists(directory))
            {
                DurableFile.Replace(
                    Path.Combine(directory, CountsName),
                    JsonSerializer.SerializeToUtf8Bytes(counts, NotifyJson.Default.DictionaryStringNotifierCounts));
            }
        });
    }

    bool Try(Action write)
    {
        try
        {
            write();
            isUnwritable = false;
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or SalvorException)
        {
            // Said once, not for each message: what waits is lost with the process, and nothing else.
            if (!isUnwritable)
            {
                logger.MessagesNotWritten(directory, e.Message);
            }

            isUnwritable = true;
            return false;
        }
    }

    static IEnumerable<string> Files(string? directory)
    {
        try
        {
            return directory is not null && Directory.Exists(directory)
                ? [.. Directory.EnumerateFiles(directory, Pattern).Order(StringComparer.Ordinal)]
                : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A folder of somebody else: what is sent from here waits in memory, which is said when it is written.
            return [];
        }
    }

    static QueuedMessage? Read(string file) => new FileInfo(file) is { Exists: true, Length: <= FileBytesMax } info
        && JsonMark.TryRead(file, NotifyJson.Default.QueuedMessage) is { } item
        ? item with { FileName = file, SizeBytes = (int)info.Length }
        : null;
}
