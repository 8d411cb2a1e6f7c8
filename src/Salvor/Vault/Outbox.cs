using Salvor.Storage;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>What became of the objects of an outbox when its vault was entered again.</summary>
/// <param name="Stored">How many went to the vault.</param>
/// <param name="Refused">How many do not continue it: another writer went on in the meantime. They are still in the outbox.</param>
public sealed record OutboxReplay(int Stored, int Refused);

/// <summary>
/// Log objects that wait on a local disk for a destination that does not work, sealed as they will be stored there and under the same keys,
/// so that every commit of an outage is a restore point afterwards, also where the process was killed in between. A cache like all local
/// state: without it the next session compares, and the commits of the outage are one restore point.
/// </summary>
/// <param name="vault">The vault at its destination.</param>
/// <param name="local">The folder of the outbox.</param>
/// <param name="bytesMax">How much may wait.</param>
/// <param name="freeBytes">How much room the disk has; null where that cannot be said.</param>
public sealed class Outbox(VaultAccess vault, IObjectStore local, long bytesMax, Func<long?> freeBytes)
{
    /// <summary>The disk is the application's: an outbox that fills it would stop what it protects.</summary>
    public const long FreeBytesMin = 1L << 30;

    readonly VaultAccess kept = vault.At(local);
    long waitingBytes;

    /// <summary>How many bytes wait.</summary>
    public long Bytes => Interlocked.Read(ref waitingBytes);

    /// <summary>Why nothing more can be kept; null where something can.</summary>
    public string? Obstacle { get; private set; }

    /// <summary>Keeps an object durably; false where there is no room, or the disk fails.</summary>
    public async Task<bool> TryKeepAsync(string key, ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        Obstacle = Bytes + bytes.Length > bytesMax ? "the outbox is full"
            : freeBytes() is { } free && free - bytes.Length < FreeBytesMin ? "the disk of the outbox is nearly full"
            : null;
        if (Obstacle is not null)
        {
            return false;
        }

        try
        {
            if (!await kept.PutAsync(key, bytes, cancellationToken))
            {
                // Of an attempt that was cut off; what is kept under a key is only ever replaced before it was counted.
                await kept.ReplaceAsync(key, bytes, cancellationToken);
            }
        }
        catch (StorageException e)
        {
            Obstacle = e.Message;
            return false;
        }

        Interlocked.Add(ref waitingBytes, bytes.Length);
        return true;
    }

    /// <summary>An object that is kept.</summary>
    public async Task<byte[]> ReadAsync(string key, CancellationToken cancellationToken) =>
        await local.GetAsync(kept.KeyOf(key), ObjectWriter.ObjectBytesMax, cancellationToken)
            ?? throw new DamagedObjectException(key, $"it is missing from the outbox {local.Location}");

    /// <summary>An object is stored at the destination.</summary>
    public async Task DropAsync(string key, int bytes, CancellationToken cancellationToken)
    {
        await local.DeleteAsync(kept.KeyOf(key), cancellationToken);
        Interlocked.Add(ref waitingBytes, -bytes);
    }

    /// <summary>
    /// Stores what an earlier process kept, before anything else is written: the next objects of the newest branch, each following from the
    /// one before it. Stops at the first that does not continue the vault.
    /// </summary>
    public async Task<OutboxReplay> ReplayAsync(CancellationToken cancellationToken)
    {
        var rows = new List<ObjectInfo>();
        await foreach (var row in kept.ListAsync(VaultKeys.Logs, after: null, cancellationToken))
        {
            rows.Add(row);
        }

        if (rows.Count == 0)
        {
            return new OutboxReplay(0, 0);
        }

        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        var stored = 0;
        if (!catalog.IsEmpty)
        {
            var branch = catalog.Branches.Last();
            var number = catalog.Logs(branch.Number).Last;
            var link = number == 0
                ? catalog.LineageStart(branch)
                : (await catalog.ReadLogAsync(branch.Number, number, cancellationToken)).Header.LineageAfter;
            while (stored < rows.Count
                && await TryReplayAsync(rows[stored].Key, branch.Number, number, link, cancellationToken) is { } end)
            {
                (number, link) = end;
                stored++;
            }
        }

        return new OutboxReplay(stored, rows.Count - stored);
    }

    /// <summary>Where the log ends with this object; null where the object does not belong there.</summary>
    async Task<(ulong Number, Hash256 Link)?> TryReplayAsync(
        string key, uint branch, ulong number, Hash256 link, CancellationToken cancellationToken)
    {
        ObjectHeader header;
        try
        {
            using var read = await kept.OpenAsync(key, ObjectKind.Log, whole: true, cancellationToken);
            header = read.Header;
        }
        catch (SalvorException e) when (StoredObject.IsBad(e))
        {
            return null;
        }

        var bytes = await ReadAsync(key, cancellationToken);
        if (header.Branch != branch || key != VaultKeys.Log(branch, header.Number))
        {
            return null;
        }

        if (header.Number <= number)
        {
            // Its answer was lost, or the process died before it was dropped here.
            if (!await vault.HoldsAsync(key, bytes, cancellationToken))
            {
                return null;
            }

            await DropAsync(key, 0, cancellationToken);
            return (number, link);
        }

        if (header.Number != number + 1
            || header.LineageBefore != link
            || (!await vault.PutAsync(key, bytes, cancellationToken) && !await vault.HoldsAsync(key, bytes, cancellationToken)))
        {
            return null;
        }

        await DropAsync(key, 0, cancellationToken);
        return (header.Number, header.LineageAfter);
    }
}
