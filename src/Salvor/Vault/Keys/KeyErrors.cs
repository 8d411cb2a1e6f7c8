using Salvor.Text;

namespace Salvor.Vault.Keys;

/// <summary>A vault cannot be opened with the key that was given, or without one. Trying again changes nothing.</summary>
public sealed class KeyException(string message, string hint) : SalvorException(FailureKind.Usage, message, hint)
{
    internal static KeyException Missing(string location) => new(
        $"vault {location} is encrypted, and no key is given",
        "Give it with '--key-file FILE' or in the variable SALVOR_PASSPHRASE; in a configuration with 'encryption' of the source.");

    internal static KeyException Plain(string location, string origin) => new(
        $"vault {location} is not encrypted, and {origin} is given for it",
        "A vault stays what it was made as: leave the key out, or give the source another name or destination for an encrypted one.");

    internal static KeyException Wrong(string location, string origin, IReadOnlyList<KeySlot> slots) => new(
        $"{origin} does not open vault {location}",
        $"Its key slots are {Suggestion.Enumerate([.. slots.Select(slot => $"{slot.Number} ({slot.Record.Kind})")])}. "
            + "An exported key opens it too: '--key-file EXPORT'.");

    internal static KeyException ExportOfAnother(string location, string origin, KeyExport export, Guid vaultId) => new(
        $"{origin} does not open vault {location}: it is the key of vault {export.VaultId}, and this is vault {vaultId}",
        $"It was exported of source {export.Source}; look for the export of this one.");
}

/// <summary>
/// The vault is encrypted and new, and losing its key would lose everything: nothing is written before the key is elsewhere.
/// </summary>
public sealed class KeyNotSavedException(string source, string location) : SalvorException(
    FailureKind.Usage,
    $"the key of vault {location} was not exported yet, so nothing is written to it",
    $"Run 'salvor key export FILE {source}' (without a configuration: 'salvor key export FILE --from {location}'), and keep the file "
        + "elsewhere; or say that the key is safe: '--i-have-saved-the-key', in a configuration 'key_saved: true'.");
