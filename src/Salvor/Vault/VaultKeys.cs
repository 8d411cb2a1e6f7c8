using System.Globalization;
using Salvor.Vault.Format;
using Salvor.Vault.Wal;

namespace Salvor.Vault;

/// <summary>The keys of a vault's objects, inside the vault. Numbers are padded, so key order is number order.</summary>
static class VaultKeys
{
    public const string Identity = "vault";
    public const string Branches = "branches/";
    public const string Claims = "claims/";
    public const string KeySlots = "keys/";
    public const string KeyExported = "keys/exported";
    public const string Logs = "log/";
    public const string Packs = "packs/";
    public const string Snapshots = "snapshots/";
    public const string Moves = "moves/";
    public const string Backups = "backups/";
    public const string Condemned = "condemned/";
    public const string Outcomes = "outcomes/";
    public const string Wals = "wal/";

    /// <summary>Beside the vaults of a destination, and no name of a source begins like it.</summary>
    public const string Heads = "_heads/";

    public static string Branch(uint branch) => string.Create(CultureInfo.InvariantCulture, $"{Branches}{branch:D6}");

    public static string Claim(uint epoch) => string.Create(CultureInfo.InvariantCulture, $"{Claims}{epoch:D10}");

    public static string KeySlot(ulong number) => string.Create(CultureInfo.InvariantCulture, $"{KeySlots}{number:D10}");

    public static string LogsOf(uint branch) => string.Create(CultureInfo.InvariantCulture, $"{Logs}{branch:D6}/");

    public static string Log(uint branch, ulong number) =>
        string.Create(CultureInfo.InvariantCulture, $"{Logs}{branch:D6}/{number:D16}");

    /// <summary>A log object of a listing, compacted or not.</summary>
    public static string Log(uint branch, LogEntry entry) => entry.IsCompacted
        ? string.Create(CultureInfo.InvariantCulture, $"{Logs}{branch:D6}/{entry.First:D16}-{entry.Last:D16}")
        : Log(branch, entry.Last);

    /// <summary>An earlier part of a compacted log object, from 1.</summary>
    public static string LogPart(uint branch, LogEntry entry, uint part) =>
        string.Create(CultureInfo.InvariantCulture, $"{Log(branch, entry)}-{part:D4}");

    /// <summary>A range of the log of PostgreSQL.</summary>
    public static string Wal(uint branch, WalRange range) =>
        string.Create(CultureInfo.InvariantCulture, $"{WalsOf(branch)}{range.First.Value:x16}-{range.End.Value:x16}");

    public static string WalsOf(uint branch) => string.Create(CultureInfo.InvariantCulture, $"{Wals}{branch:D6}/");

    public static string Snapshot(uint branch, Position position) =>
        string.Create(CultureInfo.InvariantCulture, $"{Snapshots}{branch:D6}/{position.Value:D16}");

    public static string Pack(Hash256 hash) => $"{Packs}{hash}";

    /// <summary>Whether a key of a destination is that of a pack: large, and read by restores and verifications alone.</summary>
    public static bool IsPack(string key) => key.Contains("/" + Packs, StringComparison.Ordinal);

    /// <summary>Whether a key of a destination is that of a log object as a writer makes it: small, and merged soon.</summary>
    public static bool IsWrittenLog(string key)
    {
        var at = key.Length - Log(0, 0).Length;
        return at > 0 && key[at - 1] == '/' && TryNumberOfLog(key[at..], out _);
    }

    /// <summary>
    /// Whether a key of a destination is that of an object that is to stay, and is locked where the destination has locks: all but what
    /// lies beside the vaults, which are heads, replaced every few minutes, and what a bench leaves.
    /// </summary>
    public static bool IsLasting(string key) => !key.StartsWith('_');

    public static string Move(ulong number) => string.Create(CultureInfo.InvariantCulture, $"{Moves}{number:D10}");

    public static string Backup(ulong id) => string.Create(CultureInfo.InvariantCulture, $"{Backups}{id:D10}");

    public static string CondemnedBy(ulong number) => string.Create(CultureInfo.InvariantCulture, $"{Condemned}{number:D10}");

    public static string Outcome(ulong number) => string.Create(CultureInfo.InvariantCulture, $"{Outcomes}{number:D10}");

    public static string Head(string writerId, ulong number) =>
        string.Create(CultureInfo.InvariantCulture, $"{Heads}{writerId}/{number:D16}");

    public static string HeadsOf(string writerId) => $"{Heads}{writerId}/";

    /// <summary>
    /// The number that ends a key. Another spelling of a number is refused: it would sort elsewhere, and what follows it would be hidden.
    /// </summary>
    public static ulong NumberOf(string key)
    {
        if (!ulong.TryParse(key.AsSpan(key.LastIndexOf('/') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            throw new DamagedObjectException(key, "its name does not end in a number; it is not an object of Salvor");
        }

        return key == Spelled(key, number)
            ? number
            : throw new DamagedObjectException(key, "its name is not how Salvor writes that number; it is not an object of Salvor");
    }

    /// <summary>As the other; null for a key that is not spelled like that.</summary>
    public static ulong? TryNumberOf(string key)
    {
        try
        {
            return NumberOf(key);
        }
        catch (DamagedObjectException)
        {
            return null;
        }
    }

    /// <summary>The numbers in the key of a log object, and of the part; 0 for the one that completes it, or without parts.</summary>
    public static (LogEntry Entry, uint Part) LogEntryOf(string key, long storedBytes)
    {
        if (TryNumberOfLog(key, out var single))
        {
            return (LogEntry.Of(single, storedBytes), 0);
        }

        var name = key[(key.LastIndexOf('/') + 1)..];
        if (!name.Contains('-'))
        {
            return (LogEntry.Of(NumberOf(key), storedBytes), 0);
        }

        var numbers = new ulong[3];
        var fields = name.Split('-');
        for (var i = 0; i < fields.Length; i++)
        {
            if (i == numbers.Length || !ulong.TryParse(fields[i], NumberStyles.None, CultureInfo.InvariantCulture, out numbers[i]))
            {
                throw new DamagedObjectException(key, "its name does not end in a number; it is not an object of Salvor");
            }
        }

        var entry = new LogEntry(numbers[0], numbers[1], storedBytes);
        var spelled = fields.Length == numbers.Length ? LogPart(BranchOf(key), entry, (uint)numbers[2]) : Log(BranchOf(key), entry);
        return key == spelled && entry.IsCompacted && (fields.Length < numbers.Length || numbers[2] > 0)
            ? (entry, (uint)numbers[2])
            : throw new DamagedObjectException(key, "its name is not how Salvor writes that number; it is not an object of Salvor");
    }

    /// <summary>What the key of an object of the log of PostgreSQL says that it holds.</summary>
    public static WalRef WalOf(string key, long storedBytes)
    {
        const int Digits = 16;
        var name = key.AsSpan(key.LastIndexOf('/') + 1);
        if (name.Length == (2 * Digits) + 1
            && ulong.TryParse(name[..Digits], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var first)
            && ulong.TryParse(name[(Digits + 1)..], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var end))
        {
            var entry = new WalRef(BranchOf(key), new WalRange(new Lsn(first), new Lsn(end)), storedBytes);
            if (key == entry.Key && first < end && (end - 1) / WalRange.BlockBytes == first / WalRange.BlockBytes)
            {
                return entry;
            }
        }

        throw new DamagedObjectException(key, "its name is not a range of the log within one block; it is not an object of Salvor");
    }

    /// <summary>The branch in the key of a log object, a snapshot or an object of the log of PostgreSQL.</summary>
    public static uint BranchOf(string key)
    {
        var (first, last) = (key.IndexOf('/'), key.LastIndexOf('/'));
        return first < last && key.IndexOf('/', first + 1) == last
            && uint.TryParse(key.AsSpan(first + 1, last - first - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var branch)
            ? branch
            : throw new DamagedObjectException(key, "its name does not hold a branch; it is not an object of Salvor");
    }

    /// <summary>
    /// For nearly all keys of a long log, without making a string: a number of the usual length below a branch of the usual length is
    /// spelled as it should be.
    /// </summary>
    static bool TryNumberOfLog(string key, out ulong number)
    {
        const int BranchDigits = 6, NumberDigits = 16;
        var name = Logs.Length + BranchDigits + 1;
        number = 0;
        return key.Length == name + NumberDigits && key[name - 1] == '/' && key.StartsWith(Logs, StringComparison.Ordinal)
            && !key.AsSpan(Logs.Length, BranchDigits).ContainsAnyExceptInRange('0', '9')
            && ulong.TryParse(key.AsSpan(name), NumberStyles.None, CultureInfo.InvariantCulture, out number);
    }

    static string Spelled(string key, ulong number) => key[..(key.IndexOf('/') + 1)] switch
    {
        Branches => Branch((uint)number),
        Claims => Claim((uint)number),
        KeySlots => KeySlot(number),
        Logs => Log(BranchOf(key), number),
        Snapshots => Snapshot(BranchOf(key), new Position(number)),
        Moves => Move(number),
        Backups => Backup(number),
        Condemned => CondemnedBy(number),
        Outcomes => Outcome(number),
        _ => key,
    };
}
