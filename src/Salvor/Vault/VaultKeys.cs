using System.Globalization;
using Salvor.Vault.Format;

namespace Salvor.Vault;

/// <summary>The keys of a vault's objects, inside the vault. Numbers are padded, so key order is number order.</summary>
static class VaultKeys
{
    public const string Identity = "vault";
    public const string Branches = "branches/";
    public const string Claims = "claims/";
    public const string Logs = "log/";
    public const string Packs = "packs/";
    public const string Snapshots = "snapshots/";

    /// <summary>Beside the vaults of a destination, and no name of a source begins like it.</summary>
    public const string Heads = "_heads/";

    public static string Branch(uint branch) => string.Create(CultureInfo.InvariantCulture, $"{Branches}{branch:D6}");

    public static string Claim(uint epoch) => string.Create(CultureInfo.InvariantCulture, $"{Claims}{epoch:D10}");

    public static string LogsOf(uint branch) => string.Create(CultureInfo.InvariantCulture, $"{Logs}{branch:D6}/");

    public static string Log(uint branch, ulong number) =>
        string.Create(CultureInfo.InvariantCulture, $"{Logs}{branch:D6}/{number:D16}");

    public static string Snapshot(uint branch, Position position) =>
        string.Create(CultureInfo.InvariantCulture, $"{Snapshots}{branch:D6}/{position.Value:D16}");

    public static string Pack(Hash256 hash) => $"{Packs}{hash}";

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

    /// <summary>The branch in the key of a log object or a snapshot.</summary>
    public static uint BranchOf(string key)
    {
        var parts = key.Split('/');
        return parts.Length == 3 && uint.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var branch)
            ? branch
            : throw new DamagedObjectException(key, "its name does not hold a branch; it is not an object of Salvor");
    }

    static string Spelled(string key, ulong number) => key[..(key.IndexOf('/') + 1)] switch
    {
        Branches => Branch((uint)number),
        Claims => Claim((uint)number),
        Logs => Log(BranchOf(key), number),
        Snapshots => Snapshot(BranchOf(key), new Position(number)),
        _ => key,
    };
}
