using System.Collections.Concurrent;
using System.Security.Cryptography;
using Salvor.Vault.Format;

namespace Salvor.Vault.Keys;

/// <summary>
/// The secret of a source, read once when it is first needed, and the data keys that it opened: deriving one is slow on purpose, and a
/// file descriptor can be read only once.
/// </summary>
/// <param name="read">Reads the secret from where the operator keeps it.</param>
/// <param name="isSaved">Whether the operator said that the key is safe, so that no export is waited for.</param>
public sealed class Keyring(Func<CancellationToken, Task<VaultSecret>> read, bool isSaved)
{
    readonly Lock gate = new();
    readonly ConcurrentDictionary<Guid, byte[]> opened = [];
    Task<VaultSecret>? reading;

    /// <summary>Whether the key is elsewhere for certain: somebody said so, or it is an export that was given.</summary>
    public bool IsSaved => isSaved || reading is { IsCompletedSuccessfully: true, Result.Export: not null };

    /// <summary>A keyring of a secret that was read already.</summary>
    public static Keyring Of(VaultSecret secret, bool isSaved = false) => new(_ => Task.FromResult(secret), isSaved);

    /// <summary>The secret. What could not be read is tried again the next time.</summary>
    public Task<VaultSecret> SecretAsync(CancellationToken cancellationToken)
    {
        lock (gate)
        {
            return reading is null or { IsFaulted: true } or { IsCanceled: true } ? reading = read(cancellationToken) : reading;
        }
    }

    /// <summary>The secrets of an encrypted vault. Throws where this key is not one of its keys.</summary>
    internal async Task<VaultSecrets> OpenAsync(
        KeySlots slots, Guid vaultId, VaultIdentity identity, string location, CancellationToken cancellationToken)
    {
        var given = await SecretAsync(cancellationToken);
        if (!opened.TryGetValue(vaultId, out var dataKey))
        {
            dataKey = given.Export is { } export
                ? export.DataKey.ToArray()
                : (await OpenSlotAsync(slots, vaultId, given, location, cancellationToken)).DataKey;
        }

        var secrets = VaultSecrets.Of(vaultId, dataKey);
        if (!identity.IsProvedBy(secrets))
        {
            reading = null;
            throw given.Export is { } other && other.VaultId != vaultId
                ? KeyException.ExportOfAnother(location, given.Origin, other, vaultId)
                : new DamagedObjectException(VaultKeys.Identity, "it is not what it was when the key of this vault was made");
        }

        opened[vaultId] = dataKey;
        return secrets;
    }

    /// <summary>
    /// The id and the data key of a vault that is being made. A slot that is there already is of somebody who did not get further, and is
    /// taken up: so that whenever this ends, no vault is ever without the key that it was made with.
    /// </summary>
    internal async Task<(Guid VaultId, byte[] DataKey)> BeginAsync(
        KeySlots slots, string location, TimeProvider time, CancellationToken cancellationToken)
    {
        var given = await SecretAsync(cancellationToken);
        var id = new Guid(RandomNumberGenerator.GetBytes(16));
        if (given.Export is { } export)
        {
            return (id, export.DataKey.ToArray());
        }

        if ((await slots.ListAsync(damaged => throw damaged, cancellationToken)).Count == 0)
        {
            var dataKey = RandomNumberGenerator.GetBytes(VaultSecrets.DataKeyBytes);
            if (await slots.AddFirstAsync(id, dataKey, given, time, cancellationToken))
            {
                return (id, dataKey);
            }
        }

        var (begun, slot) = await OpenSlotAsync(slots, vaultId: null, given, location, cancellationToken);
        return (slot.VaultId, begun);
    }

    async Task<(byte[] DataKey, KeySlot Slot)> OpenSlotAsync(
        KeySlots slots, Guid? vaultId, VaultSecret given, string location, CancellationToken cancellationToken)
    {
        DamagedObjectException? damage = null;
        var all = await slots.ListAsync(e => damage ??= e, cancellationToken);
        foreach (var slot in all.Where(slot => slot.Record.Kind == given.Kind))
        {
            try
            {
                if (vaultId is { } id && slot.VaultId != id)
                {
                    throw new DamagedObjectException(
                        VaultKeys.KeySlot(slot.Number), $"it belongs to vault {slot.VaultId}, not to {id}");
                }

                if (KeySlots.TryUnwrap(slot, given) is { } dataKey)
                {
                    return (dataKey, slot);
                }
            }
            catch (DamagedObjectException e)
            {
                // Another slot may open the vault; if none does, this is the reason to name.
                damage ??= e;
            }
        }

        // Read anew the next time: until then the operator may have put it right.
        reading = null;
        throw damage
            ?? (all.Count == 0 ? KeySlots.AllMissing(location) : (SalvorException)KeyException.Wrong(location, given.Origin, all));
    }
}
