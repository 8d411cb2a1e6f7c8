using System.Buffers;
using Salvor.Storage;
using Salvor.Vault.Format;
using Salvor.Vault.Snapshots;

namespace Salvor.Vault.Verify;

/// <summary>A damage while it is passed up: the object's own exception, and the layer in which it was met.</summary>
sealed class LayerException(FindingLayer layer, DamagedObjectException damage) : Exception(damage.Message, damage)
{
    public FindingLayer Layer { get; } = layer;

    public DamagedObjectException Damage { get; } = damage;
}

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
        switch (key[..(key.IndexOf('/') + 1)])
        {
            case VaultKeys.Logs:
                await LogAsync(vault, key, VaultKeys.BranchOf(key), VaultKeys.NumberOf(key), whole: true, cancellationToken);
                break;
            case VaultKeys.Packs:
                await PackAsync(vault, key, whole: true, cancellationToken);
                break;
            case VaultKeys.Snapshots:
                var snapshot = new SnapshotRef(VaultKeys.BranchOf(key), new Position(VaultKeys.NumberOf(key)));
                await SnapshotAsync(vault, key, snapshot, cancellationToken);
                break;
            case VaultKeys.Branches:
                var number = VaultKeys.NumberOf(key);
                await RecordAsync(
                    vault, key, ObjectKind.Branch, VaultJson.Default.BranchRecord,
                    header => header.Branch == number ? null : $"it is branch {header.Branch}, put in this place", cancellationToken);
                break;
            case VaultKeys.Claims:
                var epoch = VaultKeys.NumberOf(key);
                await RecordAsync(
                    vault, key, ObjectKind.Claim, VaultJson.Default.ClaimRecord,
                    header => header.Epoch == epoch ? null : $"it is claim {header.Epoch}, put in this place", cancellationToken);
                break;
            case "" when key == VaultKeys.Identity:
                await RecordAsync(
                    vault, key, ObjectKind.Vault, VaultJson.Default.VaultIdentity, misplaced: null, cancellationToken);
                break;
            default:
                await UnknownAsync(vault, key, cancellationToken);
                break;
        }

        return ObjectBytes.FooterHash(await vault.GetBytesAsync(key, cancellationToken))
            ?? throw new DamagedObjectException(key, "it changed while it was read");
    }

    /// <summary>An object whose details are JSON.</summary>
    public static async Task<T> RecordAsync<T>(
        VaultAccess vault, string key, ObjectKind kind, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type,
        Func<ObjectHeader, string?>? misplaced, CancellationToken cancellationToken)
    {
        using var stored = await OpenAsync(vault, key, kind, whole: true, misplaced, cancellationToken);
        var record = await InLayerAsync(
            FindingLayer.Details, async () => VaultJson.Read(key, await stored.ReadDetailsAsync(cancellationToken), type));
        ExpectHash(stored);
        return record;
    }

    /// <summary>A log object: what the chain needs of it.</summary>
    public static async Task<LogObject> LogAsync(
        VaultAccess vault, string key, uint branch, ulong number, bool whole, CancellationToken cancellationToken)
    {
        using var stored = await OpenAsync(
            vault, key, ObjectKind.Log, whole,
            header => header.Branch == branch && header.Number == number
                ? null
                : $"it is log object {header.Number} of branch {header.Branch}, put in this place",
            cancellationToken);
        var log = await InLayerAsync(FindingLayer.Details, () => VaultCatalog.ReadLogAsync(stored, cancellationToken));
        if (whole)
        {
            await EachFrameAsync(stored, (frame, content) => CheckPages(vault, log, key, frame, content.Span), cancellationToken);
            ExpectHash(stored);
        }

        return log;
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
                    if (Hash256.Of(content.Span.Slice((int)place.Offset, (int)place.Length)) != place.Name)
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
    public static async Task<(ObjectHeader Header, Hash256 DetailsHash, bool IsImage)> SnapshotAsync(
        VaultAccess vault, string key, SnapshotRef snapshot, CancellationToken cancellationToken)
    {
        using var stored = await OpenAsync(
            vault, key, ObjectKind.Snapshot, whole: true,
            header => header.Branch == snapshot.Branch && header.PositionLast == snapshot.Position.Value
                ? null
                : $"it is the snapshot of position {header.PositionLast}",
            cancellationToken);
        var bytes = await InLayerAsync(FindingLayer.Details, () => stored.ReadDetailsAsync(cancellationToken));
        var details = await InLayerAsync(FindingLayer.Details, () => Task.FromResult(SnapshotDetails.Read(key, bytes)));
        ExpectHash(stored);
        return (stored.Header, Hash256.Of(bytes), details.IsImage);
    }

    /// <summary>A kind that this program does not know: all that every object has.</summary>
    static async Task UnknownAsync(VaultAccess vault, string key, CancellationToken cancellationToken)
    {
        var owner = ObjectBytes.VaultOf(key, await vault.GetBytesAsync(key, cancellationToken));
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
        var problem = Hash256.Of(content) != details.FrameHashes[frame] ? $"frame {frame} does not match its hash"
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
            throw new LayerException(layer, new DamagedObjectException("", "it is missing"));
        }
    }
}
