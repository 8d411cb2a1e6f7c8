using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Salvor.Files;
using Salvor.Platform;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Tests.Tidy;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;
using Salvor.Vault.Restore;
using Salvor.Vault.Trees;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Vault.Vectors;

/// <summary>
/// One of the vaults in <c>tests/vectors</c> and what every reader must make of it; <c>tests/vectors/README.md</c> has the fields.
/// </summary>
/// <param name="Expect">
/// By restore point (<c>BRANCH:POSITION</c>): the SHA-256 of the database, or the refusal: <c>damaged OBJECT LAYER</c>,
/// <c>unknown_version OBJECT</c>, <c>wrong_key</c>, <c>missing_key</c>, <c>no_such_point</c>. Two of them with <c>or</c> are both right.
/// </param>
sealed record Vector(
    string Name, string What, string? Base, IReadOnlyList<string>? Remove, string? KeyFile, string? Passphrase,
    IReadOnlyDictionary<string, string> Expect)
{
    const int DigestLength = 64;

    static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    public static string Root { get; } = Path.Combine(Checkout.Root, "tests", "vectors");

    public static IReadOnlyList<Vector> All { get; } =
        JsonSerializer.Deserialize<Vector[]>(File.ReadAllText(Path.Combine(Root, "manifest.json")), Json)!;

    /// <summary>The points that must restore, each with the SHA-256 of the database.</summary>
    public IEnumerable<KeyValuePair<string, string>> Restorable => Expect.Where(item => item.Value.Length == DigestLength);

    /// <summary>Its objects, below <c>app/</c>: those of the vector that it changes, and its own.</summary>
    public async Task<FrozenStore> LoadAsync()
    {
        var store = await FrozenStore.CopyAsync(new MemoryStore());
        foreach (var name in (string?[])[Base, Name])
        {
            if (name is not null && Directory.Exists(Path.Combine(Root, name)))
            {
                // As the store of a directory does, which passes over what begins with a dot.
                var paths = Directory.EnumerateFiles(Path.Combine(Root, name), "*", SearchOption.AllDirectories);
                foreach (var path in paths.Where(path => !Path.GetFileName(path).StartsWith('.')))
                {
                    var key = Path.GetRelativePath(Path.Combine(Root, name), path);
                    store = store.With($"app/{key}", await File.ReadAllBytesAsync(path));
                }
            }
        }

        return (Remove ?? []).Aggregate(store, (left, key) => left.Without($"app/{key}"));
    }

    /// <summary>What our reader makes of a restore point, in the words of the manifest, but for the layer.</summary>
    public async Task<string> JudgeAsync(IObjectStore store, string point)
    {
        try
        {
            if (await VaultAccess.FindAsync(store, "app", Keys(), default) is not { } vault)
            {
                return "damaged vault";
            }

            if (point == "verify")
            {
                var report = await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default);
                return report.Findings.Count == 0 ? "sound" : $"damaged {string.Join(", ", report.Findings.Select(item => item.Key))}";
            }

            if (point.StartsWith("wal:", StringComparison.Ordinal))
            {
                return await ReadWalAsync(vault, point.Split(':', '-'));
            }

            var catalog = await VaultCatalog.LoadAsync(vault, default);
            if (vault.Identity.IsTree)
            {
                return await RestoreTreeAsync(catalog, point.Split(':')[1]);
            }

            var (branch, position) = await PlaceAsync(catalog, point.Split(':'));
            var plan = await new RestorePlanner(catalog).PlanAsync(branch, new Position(position), default);
            return Convert.ToHexStringLower(SHA256.HashData(await VaultReading.WriteAsync(catalog, plan)));
        }
        catch (DamagedObjectException e)
        {
            return $"damaged {e.Key}";
        }
        catch (NewerFormatException e)
        {
            return $"unknown_version {e.Key}";
        }
        catch (KeyException e)
        {
            return e.Message.Contains("no key is given", StringComparison.Ordinal) ? "missing_key" : "wrong_key";
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable)
        {
            return "no_such_point";
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Integrity)
        {
            return e.Message.Contains("key slots", StringComparison.Ordinal) ? "damaged keys"
                : e.Message.Contains("no snapshot", StringComparison.Ordinal) ? "damaged snapshots"
                : e.Message;
        }
    }

    /// <summary>The SHA-256 of a range of the log of PostgreSQL on the way to a branch.</summary>
    static async Task<string> ReadWalAsync(VaultAccess vault, string[] point)
    {
        var (first, end) = (Convert.ToUInt64(point[2], 16), Convert.ToUInt64(point[3], 16));
        var bytes = new byte[end - first];
        using var reader = new WalReader(await WalCatalog.LoadAsync(vault, default));
        await reader.ReadAsync(uint.Parse(point[1]), new Lsn(first), bytes, default);
        return Convert.ToHexStringLower(SHA256.HashData(bytes));
    }

    /// <summary>
    /// Restores a backup of files, or of a command, and looks at it with another program. Of what is refused nothing may be left.
    /// </summary>
    static async Task<string> RestoreTreeAsync(VaultCatalog catalog, string id)
    {
        using var directory = new TemporaryDirectory();
        var target = Path.Combine(directory.Path, "out");
        try
        {
            var snapshot = await TreeBackups.OpenAsync(catalog.Vault, await TreeBackups.FindAsync(catalog, id, default), default);
            if (catalog.Vault.Identity.Kind == StreamBackup.Kind)
            {
                await new StreamRestorer(snapshot).WriteFileAsync(target, replaces: false, progressed: null, default);
                return Convert.ToHexStringLower(SHA256.HashData(await File.ReadAllBytesAsync(target)));
            }

            var options = new TreeRestoreOptions { Owners = new Ownership(OwnerBy.Number, null, null), Flushes = false };
            await new TreeRestorer(snapshot, options).RunAsync(target, default);
            var result = await Tool.RunAsync("tree_digest.py", target);
            return result.Stdout.Trim();
        }
        catch (SalvorException)
        {
            Assert.Empty(Directory.EnumerateFileSystemEntries(directory.Path));
            throw;
        }
        finally
        {
            // Its names need not be text, which .NET cannot delete.
            using var opened = DirectoryCalls.OpenRoot(directory.Path);
            DirectoryCalls.RemoveTree(opened, "out"u8);
        }
    }

    /// <summary>The outcomes that are right, as our reader says them: which object, and not at which layer.</summary>
    public static IEnumerable<string> WithoutLayer(string expected) =>
        expected.Split(" or ").Select(outcome => string.Join(' ', outcome.Split(' ').Take(2)));

    public override string ToString() => Name;

    static async Task<(uint Branch, ulong Position)> PlaceAsync(VaultCatalog catalog, string[] point)
    {
        if (point[0] != "backup")
        {
            return (uint.Parse(point[0]), ulong.Parse(point[1]));
        }

        var backup = await Backups.ReadAsync(catalog, ulong.Parse(point[1]), default);
        return (backup.Branch, backup.Position);
    }

    Keyring? Keys() =>
        KeyFile is not null ? Keyring.Of(VaultSecret.KeyFile(Encoding.UTF8.GetBytes(KeyFile), "the key file"))
        : Passphrase is not null ? Keyring.Of(TestKeys.Passphrase(Passphrase))
        : null;
}
