using System.Buffers;
using System.Text.Json.Serialization.Metadata;
using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;
using Salvor.Vault.Pruning;
using Salvor.Vault.Snapshots;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Vault.Verify;

/// <summary>A damage while it is passed up: the object's own exception, and the layer in which it was met.</summary>
sealed class LayerException(FindingLayer layer, DamagedObjectException damage) : Exception(damage.Message, damage)
{
    public FindingLayer Layer { get; } = layer;

    public DamagedObjectException Damage { get; } = damage;
}

/// <summary>What a range of the log of PostgreSQL says of where it belongs.</summary>
readonly record struct WalFacts(WalRef Ref, uint Timeline, WalShape Shape);

/// <summary>
/// The checks of one object by itself, one function for each kind. What is read whole is held to the hash in its footer, and each of its
/// frames to its checksum and to the hashes of its content; otherwise header, frame index and details are checked.
/// </summary>
static class ObjectCheck
{
    /// <summary>
    /// All that an object shows by itself, whatever its kind, as its key says. Returns the hash in its footer: two copies that pass with
    /// the same one are the same bytes.
    /// </summary>
    public static async Task<Hash256> WholeAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        Task check = key[..(key.IndexOf('/') + 1)] switch
        {
            VaultKeys.Logs => LogAsync(vault, key, whole: true, cancellationToken),
            VaultKeys.Packs => PackAsync(vault, key, whole: true, cancellationToken),
            VaultKeys.Snapshots => SnapshotAsync(
                vault, key, new SnapshotRef(VaultKeys.BranchOf(key), new Position(VaultKeys.NumberOf(key))), cancellationToken),
            VaultKeys.Wals => WalAsync(vault, key, whole: true, cancellationToken),
            VaultKeys.Branches => BranchAsync(vault, key, cancellationToken),
            VaultKeys.Claims => ClaimAsync(vault, key, cancellationToken),
            VaultKeys.Moves => MoveAsync(vault, key, cancellationToken),
            VaultKeys.Backups => BackupAsync(vault, key, cancellationToken),
            VaultKeys.KeySlots => KeyAsync(vault, key, cancellationToken),
            "" when key == VaultKeys.Identity => IdentityAsync(vault, key, cancellationToken),
            _ => UnknownAsync(vault, key, cancellationToken),
        };
        await check;
        return ObjectBytes.FooterHash(await vault.GetAsync(key, cancellationToken))
            ?? throw new DamagedObjectException(key, "it changed while it was read");
    }

    /// <summary>The identity.</summary>
    public static Task<VaultIdentity> IdentityAsync(VaultAccess vault, string key, CancellationToken cancellationToken) =>
        RecordAsync(vault, key, ObjectKind.Vault, VaultJson.Default.VaultIdentity, misplaced: null, cancellationToken);

    /// <summary>A branch.</summary>
    public static async Task<BranchRecord> BranchAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var number = VaultKeys.NumberOf(key);
        var record = await RecordAsync(
            vault, key, ObjectKind.Branch, VaultJson.Default.BranchRecord,
            header => header.Branch == number ? null : $"it is branch {header.Branch}, put in this place", cancellationToken);
        if (vault.Identity.IsPostgres)
        {
            WalBranches.HistoryOf(new Branch((uint)number, record));
        }

        return record.Parent < number && Hash256.TryParse(record.ForkLineage, out _)
            ? record
            : throw new DamagedObjectException(key, $"it claims to leave branch {record.Parent}, which it cannot");
    }

    /// <summary>A claim.</summary>
    public static Task<ClaimRecord> ClaimAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var epoch = VaultKeys.NumberOf(key);
        return RecordAsync(
            vault, key, ObjectKind.Claim, VaultJson.Default.ClaimRecord,
            header => header.Epoch == epoch ? null : $"it is claim {header.Epoch}, put in this place", cancellationToken);
    }

    /// <summary>A record of where chunks went.</summary>
    public static async Task<MoveRecord> MoveAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var record = await RecordAsync(
            vault, key, ObjectKind.Move, VaultJson.Default.MoveRecord, Numbered("move", VaultKeys.NumberOf(key)), cancellationToken);
        return record.Packs.SelectMany(move => (string[])[move.Pack, .. move.Into]).FirstOrDefault(name => !Hash256.TryParse(name, out _))
            is { } wrong
            ? throw new DamagedObjectException(key, $"'{wrong}' is not the name of a pack")
            : record;
    }

    /// <summary>A backup. Whether its snapshot is there is another question.</summary>
    public static async Task<(BackupRecord Record, Hash256 DetailsHash)> BackupAsync(
        VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var number = VaultKeys.NumberOf(key);
        using var stored = await OpenAsync(vault, key, ObjectKind.Backup, whole: true, Numbered("backup", number), cancellationToken);
        var bytes = await InLayerAsync(FindingLayer.Details, () => stored.ReadDetailsAsync(cancellationToken));
        var record = await InLayerAsync(FindingLayer.Details, () => Task.FromResult(
            Backups.Expect(key, number, VaultJson.Read(key, bytes, VaultJson.Default.BackupRecord))));
        ExpectHash(stored);
        return (record, vault.Secrets.NameOf(bytes));
    }

    /// <summary>What a prune condemned, or what became of it.</summary>
    public static async Task<bool> CondemnedAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var numbered = Numbered("record", VaultKeys.NumberOf(key));
        if (key.StartsWith(VaultKeys.Condemned, StringComparison.Ordinal))
        {
            await RecordAsync(vault, key, ObjectKind.Condemned, VaultJson.Default.CondemnedRecord, numbered, cancellationToken);
            await InLayerAsync(FindingLayer.Details, () => Condemnations.ReadRecordAsync(vault, key, cancellationToken));
        }
        else
        {
            await RecordAsync(vault, key, ObjectKind.Outcome, VaultJson.Default.OutcomeRecord, numbered, cancellationToken);
            await InLayerAsync(FindingLayer.Details, () => Condemnations.ReadOutcomeAsync(vault, key, cancellationToken));
        }

        return true;
    }

    /// <summary>A key slot, or the note that the key was exported. What it opens only its secret tells.</summary>
    public static async Task<bool> KeyAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        if (key == VaultKeys.KeyExported)
        {
            await RecordAsync(vault, key, ObjectKind.Key, KeyJson.Default.KeyExportedRecord, misplaced: null, cancellationToken);
        }
        else
        {
            await RecordAsync(
                vault, key, ObjectKind.Key, KeyJson.Default.KeySlotRecord, Numbered("key slot", VaultKeys.NumberOf(key)),
                cancellationToken);
        }

        return true;
    }

    static Func<ObjectHeader, string?> Numbered(string what, ulong number) =>
        header => header.Number == number ? null : $"it is {what} {header.Number}, put in this place";

    /// <summary>An object whose details are JSON.</summary>
    static async Task<T> RecordAsync<T>(
        VaultAccess vault, string key, ObjectKind kind, JsonTypeInfo<T> type,
        Func<ObjectHeader, string?>? misplaced, CancellationToken cancellationToken)
    {
        using var stored = await OpenAsync(vault, key, kind, whole: true, misplaced, cancellationToken);
        var record = await InLayerAsync(
            FindingLayer.Details, async () => VaultJson.Read(key, await stored.ReadDetailsAsync(cancellationToken), type));
        ExpectHash(stored);
        return record;
    }

    /// <summary>A log object, compacted or not, or a part of one: what the chain needs of it.</summary>
    public static async Task<LogObject> LogAsync(VaultAccess vault, string key, bool whole, CancellationToken cancellationToken)
    {
        using var stored = await OpenAsync(
            vault, key, ObjectKind.Log, whole, header => VaultCatalog.Misplaced(key, header), cancellationToken);
        var log = await InLayerAsync(
            FindingLayer.Details, () => VaultCatalog.ReadDetailsAsync(vault.Secrets, stored, cancellationToken));
        if (whole)
        {
            await EachFrameAsync(stored, (frame, content) => CheckPages(vault, log, key, frame, content.Span), cancellationToken);
            ExpectHash(stored);
        }

        return log;
    }

    /// <summary>A log object and all its parts, read whole.</summary>
    public static async Task<LogObject> LogWithPartsAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var log = await LogAsync(vault, key, whole: true, cancellationToken);
        foreach (var part in log.Details.Parts)
        {
            var partKey = VaultKeys.LogPart(log.Header.Branch, VaultKeys.LogEntryOf(key, 0).Entry, part.Number);
            await LogAsync(vault, partKey, whole: true, cancellationToken);
        }

        return log;
    }

    /// <summary>
    /// A range of the log of PostgreSQL: that it has the bytes that its details were made with, and read whole also that a recovery can
    /// read them, and that its index tells what is in them.
    /// </summary>
    public static async Task<WalFacts> WalAsync(VaultAccess vault, string key, bool whole, CancellationToken cancellationToken)
    {
        var stored = await InLayerAsync(
            FindingLayer.Envelope, () => WalObject.OpenEnvelopeAsync(vault, key, whole, cancellationToken));
        using var wal = await InLayerAsync(FindingLayer.Details, () => WalObject.ReadAsync(vault, stored, cancellationToken));
        if (whole)
        {
            var range = wal.Ref.Range;
            var content = ArrayPool<byte>.Shared.Rent((int)range.Length);
            try
            {
                await InLayerAsync(FindingLayer.Frame, async () =>
                {
                    await wal.ReadAsync(range, content.AsMemory(0, (int)range.Length), cancellationToken);
                    return true;
                });
                CheckRecords(key, range, wal.Details, content.AsSpan(0, (int)range.Length));
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(content);
            }

            ExpectHash(stored);
        }

        return new WalFacts(wal.Ref, wal.Details.Timeline, wal.Details.Shape);
    }

    static void CheckRecords(string key, WalRange range, WalDetails details, ReadOnlySpan<byte> content)
    {
        var events = new List<WalEvent>();
        var records = new WalRecords(details.Shape, details.Timeline, range.First, events.Add);
        records.Add(content);
        var (found, told) = (WalIndex.Of(events, range), details.Index);

        // What begins before the range, only a writer that had that could count.
        var problem = records.Problem is { } wrong ? $"no recovery gets past {wrong.At}: {wrong.What}"
            : found.Commits > told.Commits || (found.Commits > 0 && found.Last != told.Last)
                || !found.Names.SequenceEqual(told.Names.TakeLast(found.Names.Count))
                ? "its index does not tell the commits and restore points that it holds"
            : null;
        if (problem is not null)
        {
            throw new LayerException(FindingLayer.Details, new DamagedObjectException(key, problem));
        }
    }

    /// <summary>A pack, by its name.</summary>
    public static async Task PackAsync(VaultAccess vault, string key, bool whole, CancellationToken cancellationToken)
    {
        using var stored = await OpenAsync(vault, key, ObjectKind.Pack, whole, misplaced: null, cancellationToken);
        if (VaultKeys.Pack(stored.FooterHash) != key)
        {
            throw new LayerException(FindingLayer.Envelope, new DamagedObjectException(key, "its name is not its hash"));
        }

        if (!whole)
        {
            return;
        }

        var places = await InLayerAsync(
            FindingLayer.Details, async () => ChunkPlace.Read(stored, await stored.ReadDetailsAsync(cancellationToken)));
        var byFrame = places.Values.ToLookup(place => place.Frame);
        await EachFrameAsync(
            stored,
            (frame, content) =>
            {
                foreach (var place in byFrame[(ushort)frame])
                {
                    if (vault.Secrets.NameOf(content.Span.Slice((int)place.Offset, (int)place.Length)) != place.Name)
                    {
                        throw new LayerException(
                            FindingLayer.Chunk, new DamagedObjectException(key, $"chunk {place.Name} does not match its name"));
                    }
                }
            },
            cancellationToken);
        ExpectHash(stored);
    }

    /// <summary>The root of a snapshot. Whether its chunks are there is another question.</summary>
    public static async Task<(ObjectHeader Header, Hash256 DetailsHash, SnapshotRoot Root)> SnapshotAsync(
        VaultAccess vault, string key, SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        using var stored = await OpenAsync(
            vault, key, ObjectKind.Snapshot, whole: true,
            header => header.Branch == snapshot.Branch && header.PositionLast == snapshot.Position.Value
                ? null
                : $"it is the snapshot of position {header.PositionLast}",
            cancellationToken);
        var bytes = await InLayerAsync(FindingLayer.Details, () => stored.ReadDetailsAsync(cancellationToken));
        var details = await InLayerAsync(FindingLayer.Details, () => Task.FromResult(SnapshotRoot.Read(key, bytes)));
        ExpectHash(stored);
        return (stored.Header, vault.Secrets.NameOf(bytes), details);
    }

    /// <summary>A kind that this program does not know: all that every object has.</summary>
    static async Task UnknownAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var owner = ObjectBytes.VaultOf(key, await vault.GetAsync(key, cancellationToken));
        if (owner != vault.Id)
        {
            throw new DamagedObjectException(
                key, owner is null ? "it does not match the hash in its footer" : $"it belongs to vault {owner}, not to {vault.Id}");
        }
    }

    static Task<StoredObject> OpenAsync(
        VaultAccess vault, string key, ObjectKind kind, bool whole, Func<ObjectHeader, string?>? misplaced,
        CancellationToken cancellationToken) =>
        InLayerAsync(FindingLayer.Envelope, () => vault.OpenAsync(key, kind, whole, cancellationToken, misplaced));

    /// <summary>Last, so that damage is told by the innermost layer that notices it: this one notices all of it.</summary>
    static void ExpectHash(StoredObject stored)
    {
        if (!stored.MatchesItsHash())
        {
            throw new LayerException(
                FindingLayer.Envelope, new DamagedObjectException(stored.Key, "it does not match the hash in its footer"));
        }
    }

    static void CheckPages(VaultAccess vault, LogObject log, string key, int frame, ReadOnlySpan<byte> content)
    {
        var details = log.Details;
        var first = frame * details.PagesPerFrame;
        var count = Math.Min(details.PagesPerFrame, details.Pages.Count - first);
        var problem = vault.Secrets.NameOf(content) != details.FrameHashes[frame] ? $"frame {frame} does not match its hash"
            : content.Length < count * (long)details.PageSize ? "a frame is shorter than its pages"
            : null;
        for (var i = 0; problem is null && i < count; i++)
        {
            var page = details.Pages[first + i];
            var bytes = content.Slice(i * (int)details.PageSize, (int)details.PageSize);
            problem = vault.Hasher.Hash(page.Number, bytes) == page.Hash ? null : $"page {page.Number} does not match its hash";
        }

        if (problem is not null)
        {
            throw new LayerException(FindingLayer.Frame, new DamagedObjectException(key, problem));
        }
    }

    /// <summary>All frames but the details.</summary>
    static async Task EachFrameAsync(StoredObject stored, Action<int, ReadOnlyMemory<byte>> check, CancellationToken cancellationToken)
    {
        var rented = ArrayPool<byte>.Shared.Rent(SealedFrame.ContentBytesMax);
        try
        {
            for (var i = 0; i < stored.Frames.Count - 1; i++)
            {
                var content = rented.AsMemory(0, (int)stored.Frames[i].ContentBytes);
                await InLayerAsync(FindingLayer.Frame, async () =>
                {
                    await stored.ReadFrameAsync(i, content, cancellationToken);
                    return true;
                });
                check(i, content);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(rented);
        }
    }

    static async Task<T> InLayerAsync<T>(FindingLayer layer, Func<Task<T>> step)
    {
        try
        {
            return await step();
        }
        catch (DamagedObjectException e)
        {
            throw new LayerException(layer, e);
        }
        catch (StorageException e) when (e.Failure == StorageFailure.NotFound)
        {
            throw new LayerException(layer, new DamagedObjectException("", "it is missing") { IsMissing = true });
        }
    }
}
