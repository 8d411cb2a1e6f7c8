using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class ConfigChecksTests : IDisposable
{
    readonly DoctorRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public void Copies_on_the_disk_of_the_database_are_told()
    {
        rig.Write("app: { type: sqlite, path: ./app/app.db, to: [local] }");

        DoctorRig.AssertFound(
            Judge(), CheckLevel.Warn, "config", "every copy of app is on the disk of the database", rig["vaults"],
            "Add a destination on another disk or machine, and name it in 'to'");
        var elsewhere = ConfigChecks.Judge(Facts() with { DeviceOf = path => path.EndsWith("vaults", StringComparison.Ordinal) ? 1UL : 2 });
        Assert.DoesNotContain(elsewhere, check => check.Level != CheckLevel.Ok);
    }

    [Fact]
    public void What_cannot_be_told_is_never_well()
    {
        var check = DoctorRig.Find(
            ConfigChecks.Judge(Facts() with { DeviceOf = _ => null }), "config", "whether the copies of app are on another disk");
        Assert.Equal((CheckLevel.Warn, false), (check.Level, check.Known));
        Assert.StartsWith("could not tell: ", check.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void A_destination_inside_the_folder_of_the_database_is_told()
    {
        rig.Write("app: { type: sqlite, path: ./app/app.db, to: [local] }", "local: { type: file, path: ./app/backups }");

        DoctorRig.AssertFound(
            Judge(), CheckLevel.Warn, "config", "destination local is in the folder of app", "who deletes the app's folder",
            "Move it: 'path: /var/backups/salvor'");
    }

    [Fact]
    public void Two_sources_that_are_one_database_fail()
    {
        File.WriteAllText(rig.Database, "");
        rig.Write("app: { type: sqlite, paths: ./app/a*.db, to: [local] }\nagain: { type: sqlite, paths: ./app/*.db, to: [local] }");

        DoctorRig.AssertFound(
            Judge(), CheckLevel.Fail, "config", "sources app and again are one database", "refused for the lock of the first",
            "Keep one of them", FailureKind.Usage);
    }

    [Fact]
    public void Restores_that_would_be_protected_themselves_are_told()
    {
        rig.Write("app: { type: sqlite, paths: ./**/*.db, to: [local] }", more: "restore: { scratch: ./restored }");

        DoctorRig.AssertFound(
            Judge(), CheckLevel.Warn, "config", "restores go where app looks for databases", "protected as one more",
            "Set 'restore: { scratch: /var/tmp/restored }'");
        rig.Write("app: { type: sqlite, paths: ./app/*.db, to: [local] }", more: "restore: { scratch: ./app/restored }");
        Assert.DoesNotContain(Judge(), check => check.What.StartsWith("restores go", StringComparison.Ordinal));
    }

    [Fact]
    public void A_secret_in_a_file_that_others_may_read_fails_and_the_group_is_told()
    {
        rig.Write(
            "app: { type: sqlite, path: ./app/app.db, to: [local], encryption: { passphrase: 'correct horse', key_saved: true } }");
        var ownerOnly = DoctorRig.Find(Judge(), "config", "only its owner may read the secrets");
        Assert.Equal((CheckLevel.Ok, "passphrase of encryption of source app; mode 0600"), (ownerOnly.Level, ownerOnly.Detail));

        File.SetUnixFileMode(rig.ConfigPath, (UnixFileMode)0b110_100_000);
        DoctorRig.AssertFound(
            Judge(), CheckLevel.Warn, "config", "the group may read the secrets", "mode 0640", $"chmod 600 {rig.ConfigPath}");
        File.SetUnixFileMode(rig.ConfigPath, (UnixFileMode)0b110_100_100);
        DoctorRig.AssertFound(
            Judge(), CheckLevel.Fail, "config", "everybody may read the secrets", "mode 0644", $"chmod 600 {rig.ConfigPath}",
            FailureKind.Usage);
    }

    IReadOnlyList<Check> Judge() => ConfigChecks.Judge(Facts());

    ConfigFacts Facts()
    {
        var config = ConfigFile.Load(rig.ConfigPath, _ => null);
        return ConfigFacts.Gather(
            config,
            [
                .. config.Sources.Values.SelectMany(
                    source => ConfiguredSources.Members(source, e => throw e).Select(member => (source, member))),
            ]);
    }
}
