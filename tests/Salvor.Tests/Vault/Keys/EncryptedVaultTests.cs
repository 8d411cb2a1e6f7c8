using System.Text;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;

namespace Salvor.Tests.Vault.Keys;

public sealed class EncryptedVaultTests
{
    readonly MemoryStore store = new();

    [Fact]
    public async Task An_encrypted_vault_opens_with_its_key_and_keeps_its_secrets()
    {
        var made = await OpenAsync(TestKeys.Keyring());
        var found = await OpenAsync(TestKeys.Keyring());

        Assert.Equal((made.Id, made.Hasher), (found.Id, found.Hasher));
        Assert.Equal(made.Secrets.NameOf([1]), found.Secrets.NameOf([1]));
        Assert.Null(made.Identity.PageSeed);
        Assert.Equal("aes-256-gcm", made.Identity.Encryption!.Cipher);
        Assert.Equal(["app/keys/0000000001", "app/vault"], await KeysAsync());
    }

    [Fact]
    public async Task Wrong_missing_and_needless_keys_are_three_different_refusals()
    {
        await OpenAsync(TestKeys.Keyring());
        await VaultAccess.OpenOrCreateAsync(store, "plain", "sqlite", "/data/app.db", TimeProvider.System, default);

        var wrong = await Assert.ThrowsAsync<KeyException>(() => OpenAsync(TestKeys.Keyring("other")));
        var missing = await Assert.ThrowsAsync<KeyException>(() => OpenAsync(null));
        var needless = await Assert.ThrowsAsync<KeyException>(() => VaultAccess.FindAsync(store, "plain", TestKeys.Keyring(), default));

        Assert.Equal("key file other does not open vault memory/app", wrong.Message);
        Assert.Equal("Its key slots are 1 (key_file). An exported key opens it too: '--key-file EXPORT'.", wrong.Hint);
        Assert.Equal("vault memory/app is encrypted, and no key is given", missing.Message);
        Assert.Equal("vault memory/plain is not encrypted, and key file one is given for it", needless.Message);
        Assert.All([wrong, missing, needless], failure => Assert.Equal(FailureKind.Usage, failure.Kind));
    }

    [Fact]
    public async Task A_passphrase_opens_its_slot_and_no_other_text_does()
    {
        var made = await OpenAsync(Keyring.Of(TestKeys.Passphrase("correct horse")));

        Assert.Equal(made.Id, (await OpenAsync(Keyring.Of(TestKeys.Passphrase("correct horse")))).Id);
        foreach (var text in (string[])["correct horse\n", "Correct horse", "correct hors"])
        {
            await Assert.ThrowsAsync<KeyException>(() => OpenAsync(Keyring.Of(TestKeys.Passphrase(text))));
        }

        Assert.Equal("argon2id", (await SlotsAsync()).Single().Record.Kdf.Name);
    }

    [Fact]
    public async Task Without_the_library_a_slot_is_made_by_pbkdf2_and_opens_everywhere()
    {
        var id = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff");
        var (secret, dataKey) = (TestKeys.Passphrase("correct horse"), new byte[32]);
        var record = KeySlots.Wrap(id, 1, dataKey, secret, "", DateTimeOffset.UnixEpoch, KeyDerivation.ForPassphraseWithoutArgon2());

        Assert.Equal(("pbkdf2-sha256", 600_000u), (record.Kdf.Name, record.Kdf.Iterations));
        Assert.Equal(dataKey, KeySlots.TryUnwrap(new KeySlot(1, id, record), secret));
        Assert.Null(KeySlots.TryUnwrap(new KeySlot(1, id, record), TestKeys.Passphrase("correct house")));
    }

    [Fact]
    public async Task A_wrapped_key_opens_only_in_its_own_slot_of_its_own_vault()
    {
        var vault = await OpenAsync(TestKeys.Keyring());
        var slot = (await SlotsAsync()).Single();

        Assert.NotNull(KeySlots.TryUnwrap(slot, TestKeys.KeyFile()));
        Assert.Null(KeySlots.TryUnwrap(slot with { Number = 2 }, TestKeys.KeyFile()));
        Assert.Null(KeySlots.TryUnwrap(slot with { VaultId = Guid.Empty }, TestKeys.KeyFile()));
        Assert.Null(KeySlots.TryUnwrap(slot with { Record = slot.Record with { Label = "mine" } }, TestKeys.KeyFile()));
        var otherSalt = slot.Record.Kdf with { Salt = new string('0', 64) };
        Assert.Null(KeySlots.TryUnwrap(slot with { Record = slot.Record with { Kdf = otherSalt } }, TestKeys.KeyFile()));
    }

    [Theory]
    [InlineData("argon2id", 600u << 10, 1u, 1u)]
    [InlineData("argon2id", 64u << 10, 1000u, 1u)]
    [InlineData("argon2id", 64u << 10, 3u, 4000u)]
    [InlineData("argon2id", 4u, 3u, 1u)]
    [InlineData("argon2id", 64u << 10, 0u, 1u)]
    [InlineData("argon2id", uint.MaxValue, uint.MaxValue, uint.MaxValue)]
    [InlineData("pbkdf2-sha256", 0u, 0u, 0u)]
    [InlineData("pbkdf2-sha256", 0u, uint.MaxValue, 0u)]
    [InlineData("md5", 0u, 1u, 0u)]
    public void A_slot_that_asks_for_more_than_any_slot_does_is_refused_before_it_costs_anything(
        string name, uint memory, uint iterations, uint parallelism)
    {
        var kdf = KeyDerivation.ForPassphrase() with
        {
            Name = name, MemoryKib = memory, Iterations = iterations, Parallelism = parallelism,
        };

        var failure = Assert.Throws<DamagedObjectException>(() => kdf.Derive("x"u8, "keys/0000000001"));

        Assert.StartsWith("object keys/0000000001 is damaged: ", failure.Message);
    }

    [Fact]
    public async Task More_slots_than_any_vault_has_are_refused()
    {
        var vault = await OpenAsync(TestKeys.Keyring());
        for (var number = 2UL; number <= 33; number++)
        {
            await vault.KeySlots.PutAsync(vault.Id, number, (await SlotsAsync())[0].Record, default);
            if (number == 32)
            {
                Assert.Equal(vault.Id, (await OpenAsync(TestKeys.Keyring())).Id);
                var full = await Assert.ThrowsAsync<SalvorException>(
                    () => KeyRotation.AddAsync(vault, TestKeys.KeyFile("two"), "", TimeProvider.System, default));
                Assert.Equal("vault memory/app has 32 key slots, and that is the most it may have", full.Message);
            }
        }

        var failure = await Assert.ThrowsAsync<SalvorException>(() => OpenAsync(TestKeys.Keyring()));
        Assert.Equal("vault memory/app has more than 32 key slots, which no vault has", failure.Message);
    }

    [Fact]
    public async Task A_damaged_slot_does_not_hide_one_that_opens_and_is_named_where_none_does()
    {
        var vault = await OpenAsync(TestKeys.Keyring());
        await KeyRotation.AddAsync(vault, TestKeys.KeyFile("two"), "", TimeProvider.System, default);
        var frozen = await FrozenStore.CopyAsync(store);
        var broken = frozen.With("app/keys/0000000001", Forge.Change(frozen["app/keys/0000000001"], bytes => bytes[^60] ^= 1));

        Assert.Equal(vault.Id, (await VaultAccess.FindAsync(broken, "app", TestKeys.Keyring("two"), default))!.Id);
        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            () => VaultAccess.FindAsync(broken, "app", TestKeys.Keyring("one"), default));
        Assert.Equal("keys/0000000001", failure.Key);
    }

    [Fact]
    public async Task An_identity_that_was_changed_is_named()
    {
        await OpenAsync(TestKeys.Keyring());
        var frozen = await FrozenStore.CopyAsync(store);
        var forged = await Forge.ResealAsync(frozen, "app/vault", changeDetails: details =>
            Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(details).Replace("/data/app.db", "/etc/passwd")));

        var failure = await Assert.ThrowsAsync<DamagedObjectException>(
            () => VaultAccess.FindAsync(frozen.With("app/vault", forged), "app", TestKeys.Keyring(), default));

        Assert.Equal("object vault is damaged: it is not what it was when the key of this vault was made", failure.Message);
    }

    [Fact]
    public async Task Whoever_races_to_make_a_vault_or_dies_half_way_leaves_one_that_opens()
    {
        var vaults = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => OpenAsync(TestKeys.Keyring()))));
        Assert.Single(vaults.Select(vault => (vault.Id, vault.Hasher)).Distinct());

        // A slot without its identity: the process died in between.
        await store.DeleteAsync("app/vault", default);
        var again = await OpenAsync(TestKeys.Keyring());
        Assert.Equal((vaults[0].Id, vaults[0].Hasher), (again.Id, again.Hasher));
        Assert.Equal(["app/keys/0000000001", "app/vault"], await KeysAsync());
    }

    [Fact]
    public async Task Rotation_ended_at_any_call_leaves_a_key_that_works() => Assert.True(await EveryFault.TryAsync(
        createStore: () =>
        {
            var made = new MemoryStore();
            OpenAsync(made, TestKeys.Keyring()).GetAwaiter().GetResult();
            return made;
        },
        operation: async faulty =>
        {
            if (await IsOpenedAsync(faulty, TestKeys.Keyring("two")) && !await IsOpenedAsync(faulty, TestKeys.Keyring()))
            {
                return;
            }

            var vault = (await VaultAccess.FindAsync(faulty, "app", TestKeys.Keyring(), default))!;
            await KeyRotation.RotateAsync(vault, TestKeys.KeyFile(), TestKeys.KeyFile("two"), "", TimeProvider.System, default);
        },
        check: async after =>
        {
            Assert.NotNull(await VaultAccess.FindAsync(after, "app", TestKeys.Keyring("two"), default));
            await Assert.ThrowsAsync<KeyException>(() => VaultAccess.FindAsync(after, "app", TestKeys.Keyring(), default));
        }) > 0);

    [Fact]
    public async Task A_rotation_that_was_cut_leaves_both_keys_and_shows_it()
    {
        var vault = await OpenAsync(TestKeys.Keyring());
        var failing = new FaultyStore(store, call => call.Operation == StoreOperation.Delete ? Fault.Before : Fault.None);
        var through = (await VaultAccess.FindAsync(failing, "app", TestKeys.Keyring(), default))!;

        await Assert.ThrowsAnyAsync<SalvorException>(() => KeyRotation.RotateAsync(
            through, TestKeys.KeyFile(), TestKeys.KeyFile("two"), "", TimeProvider.System, default));

        Assert.Equal(vault.Id, (await OpenAsync(TestKeys.Keyring())).Id);
        Assert.Equal(vault.Id, (await OpenAsync(TestKeys.Keyring("two"))).Id);
        Assert.Equal([1UL, 2UL], (await SlotsAsync()).Select(slot => slot.Number));
    }

    [Fact]
    public async Task The_last_slot_is_not_removed()
    {
        var vault = await OpenAsync(TestKeys.Keyring());

        var last = await Assert.ThrowsAsync<SalvorException>(() => vault.KeySlots.RemoveAsync(1, default));
        var none = await Assert.ThrowsAsync<SalvorException>(() => vault.KeySlots.RemoveAsync(7, default));

        Assert.Equal("key slot 1 is the last one of vault memory/app", last.Message);
        Assert.Equal("vault memory/app has no key slot 7", none.Message);
    }

    [Fact]
    public async Task An_exported_key_opens_a_vault_that_lost_all_its_slots()
    {
        var vault = await OpenAsync(TestKeys.Keyring());
        var export = KeyRotation.Export(vault);
        await store.DeleteAsync("app/keys/0000000001", default);

        var lost = await Assert.ThrowsAsync<SalvorException>(() => OpenAsync(TestKeys.Keyring()));
        var opened = await OpenAsync(Keyring.Of(TestKeys.Exported(export)));
        await KeyRotation.AddAsync(opened, TestKeys.KeyFile(), "", TimeProvider.System, default);

        Assert.Equal((FailureKind.Integrity, "vault memory/app has lost all its key slots"), (lost.Kind, lost.Message));
        Assert.Equal(vault.Secrets.NameOf([1]), opened.Secrets.NameOf([1]));
        Assert.Equal(vault.Id, (await OpenAsync(TestKeys.Keyring())).Id);
    }

    [Fact]
    public async Task The_export_of_another_vault_is_refused_and_named()
    {
        var vault = await OpenAsync(TestKeys.Keyring());
        var other = await VaultAccess.OpenOrCreateAsync(
            store, "other", "sqlite", "/data/other.db", TestKeys.Keyring(), TimeProvider.System, default);

        var failure = await Assert.ThrowsAsync<KeyException>(() => OpenAsync(Keyring.Of(TestKeys.Exported(KeyRotation.Export(other)))));

        Assert.Equal(
            $"key file export does not open vault memory/app: it is the key of vault {other.Id}, and this is vault {vault.Id}",
            failure.Message);
    }

    [Fact]
    public async Task Nothing_is_written_to_a_new_vault_before_its_key_is_elsewhere()
    {
        var waiting = TestKeys.Keyring(isSaved: false);
        var vault = await OpenAsync(waiting);

        var failure = await Assert.ThrowsAsync<KeyNotSavedException>(
            () => vault.ExpectSavedKeyAsync(waiting, TimeProvider.System, default));
        Assert.Equal("the key of vault memory/app was not exported yet, so nothing is written to it", failure.Message);

        await vault.NoteExportedAsync(TimeProvider.System, default);
        await vault.ExpectSavedKeyAsync(waiting, TimeProvider.System, default);
        Assert.Contains("app/keys/exported", await KeysAsync());
    }

    [Fact]
    public async Task Who_says_that_the_key_is_saved_is_believed_and_it_is_noted()
    {
        var vault = await OpenAsync(TestKeys.Keyring());

        await vault.ExpectSavedKeyAsync(TestKeys.Keyring(), TimeProvider.System, default);

        Assert.True(await vault.KeySlots.IsExportedAsync(default));
    }

    static async Task<bool> IsOpenedAsync(IObjectStore store, Keyring keys)
    {
        try
        {
            return await VaultAccess.FindAsync(store, "app", keys, default) is not null;
        }
        catch (KeyException)
        {
            return false;
        }
    }

    Task<VaultAccess> OpenAsync(Keyring? keys) => OpenAsync(store, keys);

    static Task<VaultAccess> OpenAsync(IObjectStore store, Keyring? keys) =>
        VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/data/app.db", keys, TimeProvider.System, default);

    Task<IReadOnlyList<KeySlot>> SlotsAsync() =>
        new KeySlots(store, "app/", "memory/app").ListAsync(damaged => throw damaged, default);

    async Task<string[]> KeysAsync() => await store.ListAsync("", null, default).Select(row => row.Key).ToArrayAsync();
}
