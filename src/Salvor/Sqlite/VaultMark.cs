using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Vault;

namespace Salvor.Sqlite;

/// <summary>
/// Which vault a source was last written to, and where. The mount point of a disk that is away looks like a destination that nobody has
/// used yet: a second history would begin there, unseen as soon as the disk is back, and all would be reported well meanwhile.
/// </summary>
/// <param name="VaultId">The vault.</param>
/// <param name="Location">Where it is, as messages call it.</param>
sealed record VaultMark(Guid VaultId, string Location)
{
    /// <summary>Throws where there was a vault at this location, so that no other one may begin there.</summary>
    /// <param name="path">The file of the mark.</param>
    /// <param name="location">Where a vault is missing.</param>
    public static void ExpectNone(string path, string location)
    {
        if (JsonMark.TryRead(path, VaultMarkJson.Default.VaultMark) is { } mark && mark.Location == location)
        {
            throw new SalvorException(
                FailureKind.DestinationUnreachable,
                $"vault {location} is not there any more (it was {mark.VaultId})",
                $"Mount the disk or share. If the vault is gone for good, remove {path}: then a new one begins.");
        }
    }

    /// <summary>Notes which vault is in use.</summary>
    public static void Write(string path, VaultAccess vault)
    {
        var mark = new VaultMark(vault.Id, vault.Location);
        if (JsonMark.TryRead(path, VaultMarkJson.Default.VaultMark) == mark)
        {
            return;
        }

        try
        {
            DurableFile.Replace(path, JsonSerializer.SerializeToUtf8Bytes(mark, VaultMarkJson.Default.VaultMark));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // A full disk must not end protection for the sake of a mark: the next start writes it.
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(VaultMark))]
sealed partial class VaultMarkJson : JsonSerializerContext;
