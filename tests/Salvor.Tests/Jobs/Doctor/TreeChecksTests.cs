using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Jobs.Doctor;

/// <summary>A source of files, looked at before it is too late.</summary>
public sealed class TreeChecksTests : IDisposable
{
    readonly DoctorRig rig = new();

    public TreeChecksTests()
    {
        File.WriteAllText(rig["app/a.txt"], "one");
        Configure("schedule: every 1h");
    }

    public void Dispose() => rig.Dispose();

    [Fact]
    public async Task What_fares_well_is_told_with_its_figures()
    {
        await BackUpAsync();

        var checks = await rig.CheckAsync();

        Assert.Equal(0, Check.ExitCodeOf(checks));
        Assert.Contains("1 file(s), 3 B", DoctorRig.Find(checks, "source", "all can be read").Detail, StringComparison.Ordinal);
        var last = DoctorRig.Find(checks, "daemon", "its last backup");
        var next = DoctorRig.Find(checks, "daemon", "the daemon backs it up");
        Assert.StartsWith("backup 1 of ", last.Detail, StringComparison.Ordinal);
        Assert.StartsWith("the next one is due at ", next.Detail, StringComparison.Ordinal);
        Assert.Equal("1 backup(s)", DoctorRig.Find(checks, "vault", "there are backups at local").Detail);
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(checks, "source", "there is room for a restore into scratch").Level);
    }

    [Fact]
    public async Task A_path_that_is_not_there_fails_and_one_that_was_never_backed_up_is_told()
    {
        Configure("schedule: every 1h", paths: "[./app, ./gone]");

        var checks = await rig.CheckAsync("tree");

        Assert.Equal(3, Check.ExitCodeOf(checks));
        DoctorRig.AssertFound(
            checks, CheckLevel.Fail, "source", "a path is not there", $"cannot open {rig["gone"]}: no such file or directory",
            "namei -l", FailureKind.SourceUnreadable);
        DoctorRig.AssertFound(
            checks, CheckLevel.Warn, "daemon", "tree is configured and was never backed up from here", "", "salvor backup tree");
        DoctorRig.AssertFound(checks, CheckLevel.Warn, "vault", "there is no backup at local", "", "salvor backup tree");
    }

    [Fact]
    public async Task Patterns_that_match_nothing_and_a_missing_schedule_are_told()
    {
        Configure("exclude: [\"*.txt\", \"*.tpm\", /app/chache/]");

        var checks = await rig.CheckAsync();

        DoctorRig.AssertFound(
            checks, CheckLevel.Warn, "source", "2 pattern(s) of exclude match nothing", "*.tpm, /app/chache/", "Correct them");
        DoctorRig.AssertFound(
            checks, CheckLevel.Warn, "daemon", "the daemon makes no backups of it", "no schedule", "schedule: every 1h");
    }

    [Fact]
    public async Task A_destination_in_what_is_backed_up_and_a_database_that_nobody_protects_are_told()
    {
        await rig.CreateDatabaseAsync();
        Configure("schedule: every 1h", paths: "[.]");
        DoctorRig.AssertFound(
            await rig.CheckAsync(), CheckLevel.Warn, "source", "destination local lies in what is backed up", "left out of backups",
            "Give it a place of its own");
        DoctorRig.AssertFound(
            await rig.CheckAsync(), CheckLevel.Warn, "source", $"{rig.Database} is a SQLite database", rig.Database,
            $"{{ type: sqlite, path: {rig.Database}, to: [local] }}");

        rig.Write("tree: { type: files, paths: [./app], to: [local] }\napp: { type: sqlite, path: ./app/app.db, to: [local] }");
        Assert.DoesNotContain(await rig.CheckAsync("tree"), check => check.What.Contains("SQLite", StringComparison.Ordinal));
    }

    [Fact]
    public async Task The_first_name_that_cannot_be_read_is_told()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root can become somebody who may read less");
        Directory.CreateDirectory(rig["app/secret"]);
        File.SetUnixFileMode(rig["app/secret"], UnixFileMode.UserRead);
        File.WriteAllText(rig["app/z"], "x");
        File.SetUnixFileMode(rig["app/z"], UnixFileMode.UserRead);
        await ChildProcess.RunAsync("chmod", ["a+rwx", rig[""], rig["app"], rig["vaults"], rig.ConfigPath]);

        var result = await ChildProcess.RunAsync(
            "setpriv",
            [
                "--reuid=65534", "--regid=65534", "--clear-groups", .. SalvorProcess.CommandLine, "doctor", "tree", "--config",
                rig.ConfigPath,
            ]);

        Assert.Contains("may not read 2 name(s), which backups lack", result.Stdout, StringComparison.Ordinal);
        Assert.Contains($"the first is {rig["app/secret"]}: permission denied", result.Stdout, StringComparison.Ordinal);
    }

    void Configure(string more, string paths = "[./app]") =>
        rig.Write($"tree: {{ type: files, paths: {paths}, to: [local], verify: off, {more} }}");

    async Task BackUpAsync()
    {
        var config = ConfigFile.Load(rig.ConfigPath, _ => null);
        await new TreeSource(config, config.Trees["tree"], TimeProvider.System).BackUpAsync(
            new BackupRequest("", "incremental", RetentionDays: null), keys: null, TestContext.Current.CancellationToken);
    }
}
