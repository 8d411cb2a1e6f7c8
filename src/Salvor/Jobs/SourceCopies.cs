using Salvor.Jobs.Config;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;

namespace Salvor.Jobs;

/// <summary>What one destination has of a source.</summary>
/// <param name="Location">Where the vault is, or would be.</param>
/// <param name="Store">The destination.</param>
/// <param name="Vault">The vault; null where there is none, or none that can be opened.</param>
/// <param name="Failure">Why it cannot be opened; null where it was, and where there is none.</param>
public sealed record SourceCopy(string Location, IObjectStore Store, VaultAccess? Vault, SalvorException? Failure);

/// <summary>Finds the copies of a source's vault at all destinations that are known for it.</summary>
public static class SourceCopies
{
    /// <summary>The copies at configured destinations, in their order.</summary>
    public static async Task<IReadOnlyList<SourceCopy>> FindAsync(
        SalvorConfig config, string source, IEnumerable<string> destinations, Keyring? keys, CancellationToken cancellationToken,
        bool maintains = false)
    {
        var copies = new List<SourceCopy>();
        foreach (var destination in destinations.Select(name => config.Destinations[name]))
        {
            var open = copies.FirstOrDefault(copy => copy.Vault is not null)?.Vault;
            copies.Add(await LookAsync(Destinations.Open(destination, maintains), source, open, keys, cancellationToken));
        }

        return copies;
    }

    /// <summary>
    /// The copies at what <c>--from</c> names, in that order. One that cannot be opened is passed over where another can; the failure of
    /// the first is thrown where none can.
    /// </summary>
    public static async Task<IReadOnlyList<SourceCopy>> FindAsync(
        IReadOnlyList<string> froms, string? source, Keyring? keys, CancellationToken cancellationToken)
    {
        var copies = new List<SourceCopy>();
        foreach (var from in froms)
        {
            try
            {
                // The first that can be opened says which source the others are asked for.
                source ??= copies.FirstOrDefault(copy => copy.Vault is not null)?.Vault!.Identity.Source;
                var vault = await Destinations.FindVaultAsync(from, source, keys, cancellationToken);
                copies.Add(new SourceCopy(vault.Location, vault.Store, vault, null));
            }
            catch (SalvorException e) when (froms.Count > 1 && e.Kind != FailureKind.Usage)
            {
                var store = Destinations.Open(DestinationUrl.Parse(from));
                copies.Add(new SourceCopy(store.Location, store, null, e));
            }
        }

        return copies.Any(copy => copy.Vault is not null) ? copies : throw copies[0].Failure!;
    }

    /// <summary>
    /// The vault at the first destination that has one, with the others as its copies. Null where there is none; throws where there may be
    /// one that cannot be opened.
    /// </summary>
    /// <param name="copies">Where to look.</param>
    /// <param name="passedOver">Told of each destination before the first that could be used, and why it could not.</param>
    /// <param name="fellThrough">See <see cref="VaultAccess.FellThrough"/>.</param>
    public static VaultAccess? Join(
        IReadOnlyList<SourceCopy> copies, Action<SourceCopy> passedOver, Action<VaultAccess, DamagedObjectException> fellThrough)
    {
        if (copies.FirstOrDefault(copy => copy.Vault is not null) is not { Vault: { } first } found)
        {
            return copies.FirstOrDefault(copy => copy.Failure is not null)?.Failure is { } failure ? throw failure : null;
        }

        foreach (var copy in copies.TakeWhile(copy => copy != found).Where(copy => copy.Failure is not null))
        {
            passedOver(copy);
        }

        return first.With(copies.Where(copy => copy != found).Select(copy => CopyAt(first, copy)).OfType<VaultAccess>(), fellThrough);
    }

    /// <summary>
    /// The copy at another destination. Where only its identity is damaged, its other objects may be the last good ones: each of them says
    /// which vault it belongs to, and is refused where that is another.
    /// </summary>
    static VaultAccess? CopyAt(VaultAccess first, SourceCopy copy) =>
        copy.Vault ?? (copy.Failure is DamagedObjectException ? first.At(copy.Store) : null);

    /// <param name="open">A copy that is open already: its keys open this one too, whatever became of the key slots here.</param>
    static async Task<SourceCopy> LookAsync(
        IObjectStore store, string source, VaultAccess? open, Keyring? keys, CancellationToken cancellationToken)
    {
        var location = VaultAccess.LocationOf(store, source);
        try
        {
            var vault = open is null
                ? await VaultAccess.FindAsync(store, source, keys, cancellationToken)
                : await open.FindCopyAsync(store, keys, cancellationToken);
            return new SourceCopy(location, store, vault, null);
        }
        catch (SalvorException e) when (open is not null || e.Kind is FailureKind.Integrity or FailureKind.DestinationUnreachable)
        {
            return new SourceCopy(location, store, null, e);
        }
    }
}
