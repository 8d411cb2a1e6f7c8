using System.Text.Json;
using System.Text.Json.Serialization;
using Salvor.Platform;
using Salvor.Vault;

namespace Salvor.Sqlite;

/// <summary>
/// Which vault a source was last written to, and where. The mount point of a disk that is away looks like a destination that nobody has
/// used yet: a second history, or a second copy, would begin there, unseen as soon as the disk is back, and all would be reported well
/// meanwhile.
/// </summary>
/// <param name="VaultId">The vault.</param>
/// <param name="Location">Where it is written, as messages call it.</param>
sealed record VaultMark(Guid VaultId, string Location)
{
    static readonly Lock gate = new();

    /// <summary>Where copies of it are; null where none is known.</summary>
    public IReadOnlyList<string>? Copies { get; init; }

    /// <summary>Throws where there was a vault at this location, so that no other one may begin there.</summary>
    /// <param name="path">The file of the mark.</param>
    /// <param name="location">Where a vault is missing.</param>
    public static void ExpectNone(string path, string location)
    {
        if (Read(path) is { } mark && (mark.Location == location || mark.HasCopyAt(location)))
        {
            throw mark.Gone(location, $"If the vault is gone for good, remove {path}: then a new one begins.");
        }
    }

    /// <summary>Throws where there was a copy of a vault at this location, so that no second one is made in its place.</summary>
    /// <param name="path">The file of the mark.</param>
    /// <param name="vault">The vault at the first destination.</param>
    /// <param name="location">Where its copy is missing.</param>
    public static void ExpectNoCopy(string path, VaultAccess vault, string location)
    {
        if (Read(path) is { } mark && mark.VaultId == vault.Id && mark.HasCopyAt(location))
        {
            throw mark.Gone(location, $"If that copy is gone for good, run 'salvor repair {vault.Name}': it makes a new one.");
        }
    }

    /// <summary>Notes which vault is in use.</summary>
    public static void Write(string path, VaultAccess vault) => Change(
        path, before => before?.VaultId == vault.Id ? before with { Location = vault.Location } : new(vault.Id, vault.Location));

    /// <summary>Notes that a copy of it is at a location.</summary>
    public static void WriteCopy(string path, VaultAccess vault, string location) => Change(path, before =>
    {
        var mark = before?.VaultId == vault.Id ? before : new(vault.Id, vault.Location);
        return mark.HasCopyAt(location) ? mark : mark with { Copies = [.. mark.Copies ?? [], location] };
    });

    static VaultMark? Read(string path) => JsonMark.TryRead(path, VaultMarkJson.Default.VaultMark);

    /// <summary>All destinations of a source share one file.</summary>
    static void Change(string path, Func<VaultMark?, VaultMark> change)
    {
        lock (gate)
        {
            var before = Read(path);
            var mark = change(before);
            if (mark == before)
            {
                return;
            }

            try
            {
                DurableFile.Replace(path, JsonSerializer.SerializeToUtf8Bytes(mark, VaultMarkJson.Default.VaultMark));
            }
            catch (Exception e) when (e is PosixException or IOException or UnauthorizedAccessException)
            {
                // A full disk must not end protection for the sake of a mark: the next start writes it.
            }
        }
    }

    bool HasCopyAt(string location) => Copies?.Contains(location) is true;

    SalvorException Gone(string location, string hint) => new(
        FailureKind.DestinationUnreachable,
        $"vault {location} is not there any more (it was {VaultId})",
        $"Mount the disk or share. {hint}");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, WriteIndented = true)]
[JsonSerializable(typeof(VaultMark))]
sealed partial class VaultMarkJson : JsonSerializerContext;
