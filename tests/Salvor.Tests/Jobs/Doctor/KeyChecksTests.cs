using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Jobs.Keys;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Keys;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class KeyChecksTests : IDisposable
{
    readonly DoctorRig rig = new();
    readonly MemoryStore store = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public async Task A_wrong_key_fails()
    {
        await CreateAsync();

        DoctorRig.AssertFound(
            Judge(await GatherAsync(TestKeys.Keyring("other"))), CheckLevel.Fail, "key", "the vault at local does not open",
            "key file other does not open vault", "Its key slots are 1 (key_file)", FailureKind.Usage);
    }

    [Fact]
    public async Task No_key_fails_in_other_words()
    {
        await CreateAsync();

        DoctorRig.AssertFound(
            Judge(await GatherAsync(keys: null)), CheckLevel.Fail, "key", "the vault at local does not open",
            "is encrypted, and no key is given",
            "--key-file FILE", FailureKind.Usage);
    }

    [Fact]
    public async Task A_key_file_that_is_missing_or_open_to_others_fails_each_in_its_own_words()
    {
        await rig.CreateDatabaseAsync();
        rig.Write("app: { type: sqlite, path: ./app/app.db, to: [local], encryption: { key_file: ./app.key } }");
        DoctorRig.AssertFound(
            await rig.CheckAsync(), CheckLevel.Fail, "key", "the key cannot be had", $"key file {rig["app.key"]} does not exist",
            "bring the file back from where its copy is kept", FailureKind.Usage);

        File.WriteAllText(rig["app.key"], new string('k', 64));
        File.SetUnixFileMode(rig["app.key"], (UnixFileMode)0b110_100_100);
        var checks = await rig.CheckAsync();
        DoctorRig.AssertFound(
            checks, CheckLevel.Fail, "key", "the key cannot be had", "has mode 0644, so others than its owner may use it",
            $"chmod 600 {rig["app.key"]}", FailureKind.Usage);
        Assert.Equal(2, Check.ExitCodeOf(checks));
    }

    [Fact]
    public async Task A_key_that_nobody_exported_fails_and_one_secret_alone_is_told()
    {
        await CreateAsync();
        var facts = await GatherAsync(TestKeys.Keyring());

        DoctorRig.AssertFound(
            Judge(facts), CheckLevel.Fail, "key", "the key at local was not exported, so nothing is written", "app",
            "salvor key export FILE app", FailureKind.Usage);

        await facts.Vault!.ExpectSavedKeyAsync(TestKeys.Keyring(isSaved: true), TimeProvider.System, default);
        DoctorRig.AssertFound(
            Judge(await GatherAsync(TestKeys.Keyring())), CheckLevel.Warn, "key", "one secret alone opens the vault at local",
            "no export was made of it", "salvor key add app");

        Assert.DoesNotContain(
            Judge(facts with { Exported = new KeyExportedRecord { At = default, Host = "", Waived = false } }),
            check => check.Level != CheckLevel.Ok);
    }

    [Fact]
    public async Task A_damaged_key_slot_is_told()
    {
        await CreateAsync();
        var facts = await GatherAsync(TestKeys.Keyring());

        DoctorRig.AssertFound(
            Judge(facts with { DamagedSlots = [new(VaultKeys.KeySlot(2), "it is cut off")] }), CheckLevel.Warn, "key",
            "a key slot at local is damaged", "it is cut off", "salvor key add");
    }

    [Fact]
    public void A_key_beside_the_copies_is_told_and_one_among_them_fails()
    {
        var local = new FileDestinationConfig { Name = "local", Path = "/backups" };

        DoctorRig.AssertFound(
            KeyChecks.Judge("app", new KeySource.KeyFile("/etc/app.key"), [], [local], _ => 1), CheckLevel.Warn, "key",
            "the key is on the disk of destination local", "/etc/app.key, /backups: who takes the disk has both", "systemd credential");
        DoctorRig.AssertFound(
            KeyChecks.Judge("app", new KeySource.PassphraseFile("/backups/app.txt"), [], [local], _ => 1), CheckLevel.Fail, "key",
            "the key lies in destination local", "who has the copies has the key", "Keep the key on another disk", FailureKind.Usage);
        Assert.Empty(KeyChecks.Judge("app", new KeySource.KeyFile("/etc/app.key"), [], [local], path => (ulong)path.Length));
        Assert.Empty(KeyChecks.Judge("app", new KeySource.Credential("app"), [], [local], _ => 1));
    }

    [Fact]
    public async Task A_plain_vault_has_no_key_to_speak_of()
    {
        await DatabaseVault.CreateAsync(4096, 4, store);

        Assert.Empty(Judge(await GatherAsync(keys: null)));
    }

    Task<VaultAccess> CreateAsync() => VaultAccess.OpenOrCreateAsync(
        store, "app", "sqlite", "/data/app.db", TestKeys.Keyring(isSaved: false), TimeProvider.System, default);

    Task<VaultFacts> GatherAsync(Keyring? keys) => VaultFacts.GatherAsync(store, "local", "app", keys, default);

    static IReadOnlyList<Check> Judge(VaultFacts facts) => KeyChecks.Judge("app", key: null, [facts], [], _ => null);
}
