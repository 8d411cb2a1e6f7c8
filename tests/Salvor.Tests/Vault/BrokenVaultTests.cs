using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;

namespace Salvor.Tests.Vault;

/// <summary>
/// Breaks every object of a vault in every way: a restore gives what was committed, or is refused by name. Never a wrong byte.
/// </summary>
public sealed class BrokenVaultTests
{
    /// <summary>Every test takes one offset in so many, from a start of its own; with SALVOR_ALL it takes all.</summary>
    static readonly int Stride = Environment.GetEnvironmentVariable("SALVOR_ALL") is null ? 61 : 1;

    const int FooterHashStart = 40;
    const int FooterHashEnd = 8;

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_undamaged_vault_gives_every_point(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);

        Assert.Equal(0, await vault.RefusalsAsync(vault.Whole, "nothing"));
        string[] keys = isEncrypted ? ["keys"] : [];
        Assert.Equal(
            ["branches", "claims", .. keys, "log", "packs", "snapshots", "vault"],
            vault.Keys.Select(key => key.Split('/')[1]).Distinct().Order());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task A_flipped_bit_is_noticed_and_its_object_named(bool isEncrypted) => Seeds.ForEachAsync(1, async seed =>
    {
        var (vault, random) = (await BrokenVault.CreateAsync(seed, isEncrypted), new Random(seed));
        foreach (var key in vault.Keys)
        {
            var bytes = vault.Whole[key];
            for (var offset = random.Next(Stride); offset < bytes.Length; offset += Stride)
            {
                var flipped = Forge.Change(bytes, copy => copy[offset] ^= (byte)(1 << random.Next(8)));
                var what = $"flipping a bit at {offset} of {bytes.Length} in {key}";
                var refusals = await vault.RefusalsAsync(vault.Whole.With(key, flipped), what, named: NameIn(key));

                // A restore reads everything but the hash in the footer, which is for verify and repair.
                var inHash = offset >= bytes.Length - FooterHashStart && offset < bytes.Length - FooterHashEnd;
                Assert.True(refusals > 0 || inHash || !IsRead(bytes, offset), $"after {what}: nobody noticed");
            }
        }
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public Task A_truncated_object_is_named(bool isEncrypted) => Seeds.ForEachAsync(1, async seed =>
    {
        var (vault, random) = (await BrokenVault.CreateAsync(seed, isEncrypted), new Random(seed));
        foreach (var key in vault.Keys)
        {
            var bytes = vault.Whole[key];
            for (var length = random.Next(Stride); length < bytes.Length; length += Stride)
            {
                var what = $"cutting {key} to {length} of {bytes.Length}";
                var refusals = await vault.RefusalsAsync(vault.Whole.With(key, bytes[..length]), what, named: NameIn(key));
                Assert.True(refusals > 0 || KindOf(key) == "claims", $"after {what}: nobody noticed");
            }
        }
    });

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_object_that_something_was_appended_to_is_named(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);
        foreach (var key in vault.Keys.Where(key => KindOf(key) != "claims"))
        {
            var longer = vault.Whole.With(key, [.. vault.Whole[key], 0]);
            Assert.NotEqual(0, await vault.RefusalsAsync(longer, $"appending to {key}", named: NameIn(key)));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_missing_object_is_noticed(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);
        foreach (var key in vault.Keys)
        {
            // Without a later snapshot, or a branch that forked off later, there is still a way; and claims are for writers.
            var refusals = await vault.RefusalsAsync(vault.Whole.Without(key), $"removing {key}", mayHide: true);
            Assert.True(refusals > 0 || key is "app/snapshots/000001/0000000000000007" || KindOf(key) == "claims", $"{key} is not missed");
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_object_in_the_place_of_another_is_noticed(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);
        foreach (var key in vault.Keys)
        {
            foreach (var other in vault.Keys.Where(other => other != key))
            {
                var what = $"putting {other} in the place of {key}";
                var refusals = await vault.RefusalsAsync(vault.Whole.With(key, vault.Whole[other]), what);
                Assert.True(refusals > 0 || KindOf(key) == "claims", $"after {what}: nobody noticed");
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Two_objects_that_were_swapped_are_noticed(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);
        foreach (var (key, other) in vault.Keys.SelectMany(key => vault.Keys.Select(other => (key, other))))
        {
            if (string.CompareOrdinal(key, other) < 0 && KindOf(key) == KindOf(other))
            {
                var swapped = vault.Whole.With(key, vault.Whole[other]).With(other, vault.Whole[key]);
                var refusals = await vault.RefusalsAsync(swapped, $"swapping {key} and {other}");
                Assert.True(refusals > 0 || KindOf(key) == "claims", $"{key} and {other} are the same to everybody");
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_copy_under_another_key_leads_nowhere_else(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);
        foreach (var key in vault.Keys)
        {
            foreach (var copy in OtherKeys(key).Where(copy => !vault.Keys.Contains(copy)))
            {
                await vault.RefusalsAsync(vault.Whole.With(copy, vault.Whole[key]), $"copying {key} to {copy}");
            }
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_branch_under_another_number_is_named(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);

        var copied = vault.Whole.With("app/branches/000004", vault.Whole["app/branches/000003"]);

        var named = "object branches/000004 is damaged: it is branch 3, put in this place";
        Assert.NotEqual(0, await vault.RefusalsAsync(copied, "copying a branch", named));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_object_of_another_vault_is_named(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);
        var other = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);
        foreach (var key in vault.Keys.Where(key => KindOf(key) is not ("claims" or "vault") && other.Keys.Contains(key)))
        {
            var foreign = vault.Whole.With(key, other.Whole[key]);
            Assert.NotEqual(0, await vault.RefusalsAsync(foreign, $"taking {key} of another vault", named: NameIn(key)));
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_identity_of_another_vault_makes_every_object_foreign(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);
        var other = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);

        var refusals = await vault.RefusalsAsync(vault.Whole.With("app/vault", other.Whole["app/vault"]), "taking another identity");

        Assert.Equal(vault.Model.Points.Count(), refusals);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_object_of_a_newer_format_is_refused_and_the_version_named(bool isEncrypted)
    {
        var vault = await BrokenVault.CreateAsync(isEncrypted: isEncrypted);
        foreach (var key in vault.Keys.Where(key => KindOf(key) != "claims"))
        {
            var newer = vault.Whole.With(key, Forge.WithVersion(vault.Whole[key], 2));
            var named = $"object {NameIn(key)} has format version 2, and this program reads version 1";
            Assert.NotEqual(0, await vault.RefusalsAsync(newer, $"making {key} newer", named));
        }
    }

    [Fact]
    public async Task Nothing_of_a_plain_vault_is_taken_by_an_encrypted_one()
    {
        var (vault, plain) = (await BrokenVault.CreateAsync(isEncrypted: true), await BrokenVault.CreateAsync());
        foreach (var key in vault.Keys.Where(key => KindOf(key) is not ("claims" or "vault" or "keys") && plain.Keys.Contains(key)))
        {
            // Whoever may write knows the format and the vault's id; what they do not have is its key.
            var forged = await Forge.ResealAsync(plain.Whole, key, header => header with { VaultId = vault.Model.Vault.Id });
            Assert.NotEqual(0, await vault.RefusalsAsync(vault.Whole.With(key, forged), $"forging {key}", named: NameIn(key)));
        }
    }

    [Fact]
    public async Task A_plain_vault_in_the_place_of_an_encrypted_one_is_refused()
    {
        var plain = await BrokenVault.CreateAsync();

        var failure = await Assert.ThrowsAsync<KeyException>(
            () => VaultAccess.FindAsync(plain.Whole, "app", TestKeys.Keyring(), default));

        Assert.Equal(FailureKind.Usage, failure.Kind);
    }

    /// <summary>Frames are read where a point needs them; those of a part that was left over are not.</summary>
    static bool IsRead(byte[] bytes, int offset) =>
        Forge.KindOf(bytes) != ObjectKind.Claim
        && (Forge.KindOf(bytes) != ObjectKind.Log || offset < ObjectHeader.SizeBytes || offset >= DetailsStart(bytes));

    static int DetailsStart(byte[] bytes)
    {
        var last = bytes.Length - ObjectWriter.FooterBytes - FrameInfo.SizeBytes;
        return (int)FrameInfo.Read(bytes.AsSpan(last)).Offset;
    }

    static IEnumerable<string> OtherKeys(string key)
    {
        var parts = key.Split('/');
        if (parts.Length > 2 && ulong.TryParse(parts[^1], out var number))
        {
            var folder = string.Join('/', parts[..^1]);
            foreach (var name in (string[])[$"{number + 1:D16}", $"{number + 1:D6}", $"{number}", $"0{parts[^1]}", "4294967297", "x"])
            {
                yield return $"{folder}/{name}";
            }

            yield return $"{key}/{number:D16}";
            yield return $"app/{parts[1]}/000009/{number:D16}";
            yield return $"app/{parts[1]}/1/{number:D16}";
            yield return $"app/{parts[1]}/4294967297/{number:D16}";
        }
        else
        {
            yield return key + "0";
        }
    }

    static string KindOf(string key) => key.Split('/')[1];

    /// <summary>The key as messages have it: inside of the vault.</summary>
    static string NameIn(string key) => key["app/".Length..];
}
