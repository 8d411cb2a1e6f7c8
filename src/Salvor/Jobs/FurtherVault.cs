using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Copies;

namespace Salvor.Jobs;

/// <summary>The copy of a vault at a further destination.</summary>
static class FurtherVault
{
    /// <summary>
    /// What keeps it up to date. Where no copy was known it makes the folder for it; where one was, and is not there, its first pass throws
    /// <see cref="FailureKind.DestinationUnreachable"/> and makes nothing: the disk may be away.
    /// </summary>
    /// <param name="markPath">The file that says where copies are.</param>
    /// <param name="vault">The vault at the first destination.</param>
    /// <param name="store">The further destination.</param>
    /// <param name="incomplete">What becomes of a copy that lacks history.</param>
    /// <param name="startedAt">A vault that was made since then is new itself.</param>
    /// <param name="lacks">Told what the copy lacks, and null once it lacks nothing.</param>
    public static VaultMirror Mirror(
        string markPath, VaultAccess vault, IObjectStore store, IncompleteCopy incomplete, DateTimeOffset startedAt,
        Action<string?> lacks)
    {
        var location = VaultAccess.LocationOf(store, vault.Name);
        return new VaultMirror(vault, store)
        {
            Incomplete = incomplete,
            IsNew = vault.Identity.CreatedAt >= startedAt,
            Lacks = lacks,
            Found = there =>
            {
                if (there is not null)
                {
                    VaultMark.WriteCopy(markPath, vault, location);
                    return;
                }

                VaultMark.ExpectNoCopy(markPath, vault, location);
                Destinations.MakeFolder(store);
            },
        };
    }
}
