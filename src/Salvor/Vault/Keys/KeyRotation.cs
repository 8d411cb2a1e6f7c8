namespace Salvor.Vault.Keys;

/// <summary>Changes which secrets open a vault. The data key stays, so nothing that is stored changes.</summary>
public static class KeyRotation
{
    /// <summary>Adds a slot for another secret, and proves that it opens the vault. Returns its number.</summary>
    public static async Task<ulong> AddAsync(
        VaultAccess vault, VaultSecret secret, string label, TimeProvider time, CancellationToken cancellationToken)
    {
        if (secret.Export is not null)
        {
            throw new KeyException(
                $"{secret.Origin} is an exported key, which needs no slot",
                "Whoever has it opens the vault as it is. Name a passphrase or another key file.");
        }

        var number = await vault.KeySlots.AddAsync(
            vault.Id, vault.Secrets.DataKey.ToArray(), secret, label, time, cancellationToken);

        // Read back from where it was stored: what cannot be opened must not count as a key.
        var opened = await VaultAccess.FindAsync(vault.Store, vault.Name, Keyring.Of(secret), cancellationToken);
        Invariant.Check(opened!.Id == vault.Id);
        return number;
    }

    /// <summary>
    /// Gives the vault a slot for the new secret and then removes those that the old one opens. Ended at any moment, it leaves at least
    /// one of the two working, and at worst both.
    /// </summary>
    public static async Task<(ulong Added, IReadOnlyList<ulong> Removed)> RotateAsync(
        VaultAccess vault, VaultSecret old, VaultSecret next, string label, TimeProvider time, CancellationToken cancellationToken)
    {
        var before = await vault.KeySlots.ListAsync(damaged => throw damaged, cancellationToken);
        var olds = before.Where(slot => Fits(slot, old)).ToList();
        if (olds.Any(slot => Fits(slot, next)))
        {
            throw new KeyException($"{next.Origin} is what opens vault {vault.Location} now", "Name another one to replace it.");
        }

        // A rotation that was cut goes on where it was.
        var added = before.FirstOrDefault(slot => Fits(slot, next))?.Number
            ?? await AddAsync(vault, next, label, time, cancellationToken);
        var removed = new List<ulong>();
        foreach (var slot in olds)
        {
            await vault.KeySlots.RemoveAsync(slot.Number, cancellationToken);
            removed.Add(slot.Number);
        }

        return (added, removed);
    }

    /// <summary>Whether a secret opens a slot.</summary>
    public static bool Fits(KeySlot slot, VaultSecret secret) =>
        secret.Export is null && slot.Record.Kind == secret.Kind && KeySlots.TryUnwrap(slot, secret) is not null;

    /// <summary>The data key of an open vault, for a file or for paper.</summary>
    public static KeyExport Export(VaultAccess vault) => new(vault.Id, vault.Identity.Source, vault.Secrets.DataKey);
}
