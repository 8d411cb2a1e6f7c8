using Salvor.Jobs.Doctor;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Doctor;

/// <summary>The whole of it, in this process.</summary>
public sealed class DoctorRunTests : IDisposable
{
    readonly DoctorRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public async Task A_new_configuration_works_and_nothing_is_made_by_asking()
    {
        await rig.CreateDatabaseAsync();
        var before = Directory.GetFileSystemEntries(rig[""], "*", SearchOption.AllDirectories);

        var checks = await rig.CheckAsync();

        Assert.Equal(0, Check.ExitCodeOf(checks));
        Assert.Equal(
            ["config", "source", "daemon", "destination", "vault", "machine", "posture"], checks.Select(check => check.Area).Distinct());
        Assert.All(checks, check => Assert.Equal(check.Level == CheckLevel.Ok, check.Fix.Length == 0));
        Assert.Equal(before, Directory.GetFileSystemEntries(rig[""], "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task The_gravest_failure_gives_the_exit_code()
    {
        await rig.CreateDatabaseAsync();
        rig.Write(
            "app: { type: sqlite, path: ./app/app.db, to: [local, other] }",
            "local: { type: file, path: ./vaults }\nother: { type: file, path: ./salvor.yaml }");

        var checks = await rig.CheckAsync();

        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(checks.Where(check => check.Subject == "local"), "destination", "put, get, list").Level);
        Assert.Equal(4, Check.ExitCodeOf(checks));
        Assert.DoesNotContain(checks, check => check.Area == "vault" && check.What.Contains("other", StringComparison.Ordinal));
        Assert.Equal(5, Check.ExitCodeOf([.. checks, new Check(CheckLevel.Fail, "vault", "", "") { Kind = FailureKind.Integrity }]));
        Assert.Equal(0, Check.ExitCodeOf([new Check(CheckLevel.Warn, "vault", "", "")]));
        Assert.Equal(1, Check.ExitCodeOf([new Check(CheckLevel.Fail, "machine", "", "") { Kind = FailureKind.Failure }]));
    }

    [Fact]
    public async Task One_destination_alone_is_looked_at_and_one_that_is_not_configured_is_named()
    {
        await rig.CreateDatabaseAsync();
        rig.Write(
            "app: { type: sqlite, path: ./app/app.db, to: [local, other] }",
            "local: { type: file, path: ./vaults }\nother: { type: file, path: ./salvor.yaml }");

        var checks = await rig.CheckAsync("app", "local");

        Assert.DoesNotContain(checks, check => check.Subject == "other");
        var e = await Assert.ThrowsAsync<SalvorException>(() => rig.CheckAsync(destination: "othre"));
        Assert.Equal($"{rig.ConfigPath} has no destination 'othre'", e.Message);
        Assert.Equal("Did you mean \"other\"? Its destinations are local and other.", e.Hint);
    }

    [Fact]
    public async Task What_is_well_of_many_databases_is_not_told_one_by_one()
    {
        for (var i = 0; i < 9; i++)
        {
            File.WriteAllText(rig[$"app/{i}.db"], "");
        }

        await Tool.SqlAsync(rig["app/9.db"], "PRAGMA journal_mode = WAL; CREATE TABLE t(x);");
        rig.Write("app: { type: sqlite, paths: ./app/*.db, to: [local] }");

        var checks = await rig.CheckAsync();

        Assert.Equal(9, checks.Count(check => check is { What: "the database is empty", Level: CheckLevel.Warn }));
        Assert.Equal(
            CheckLevel.Ok, DoctorRig.Find(checks, "source", "1 of 10 databases have nothing to report").Level);
    }

    [Fact]
    public async Task A_source_without_a_database_is_told()
    {
        rig.Write("app: { type: sqlite, paths: ./app/*.db, to: [local] }");

        DoctorRig.AssertFound(
            await rig.CheckAsync(), CheckLevel.Warn, "source", "app has no database yet", "*.db", "Correct 'paths', or start the app.");
    }

    [Fact]
    public async Task A_vault_alone_is_read_and_not_written_to()
    {
        await rig.CreateVaultAsync();
        var run = new DoctorRun(TimeProvider.System, new Random(1)) { Patience = TimeSpan.FromMinutes(1) };
        var before = Directory.GetFileSystemEntries(rig["vaults"], "*", SearchOption.AllDirectories);

        var checks = await run.CheckVaultAsync(rig["vaults"], null, null, rig["restored"], default);

        Assert.DoesNotContain(checks, check => check.Level == CheckLevel.Fail);
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(checks, "vault", $"{rig["vaults"]} can restore position 1").Level);
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(checks, "source", "there is room for a restore into scratch").Level);
        Assert.Equal(before, Directory.GetFileSystemEntries(rig["vaults"], "*", SearchOption.AllDirectories));
        Assert.Equal(6, Check.ExitCodeOf(await run.CheckVaultAsync(rig["app"], null, null, rig["restored"], default)));
        Assert.Equal(4, Check.ExitCodeOf(await run.CheckVaultAsync("/no/such/place", null, null, rig["restored"], default)));
    }
}
