using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

public sealed class DaemonTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_healthy_daemon_says_one_line()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        var daemon = await _rig.DaemonAsync("app", "healthy");
        for (var x = 2; x < 12; x++)
        {
            await _rig.CommitAsync(x);
        }

        var result = await CliRig.StopAsync(daemon);

        Assert.Equal($"salvor daemon: 1 database(s) of 1 source(s), from {_rig["salvor.yaml"]}\n", result.Stderr);
        Assert.Equal("", result.Stdout);
    }

    [Fact]
    public async Task One_bad_source_does_not_keep_the_others_from_being_protected()
    {
        await _rig.CreateDatabaseAsync();
        File.WriteAllText(_rig["app/bad.db"], new string('x', 200));
        Directory.CreateDirectory(_rig["app/dir.db"]);
        File.WriteAllText(_rig["app/empty.db"], "");
        _rig.Configure(
            CliRig.Source("bad", "./app/bad.db"),
            CliRig.Source("dir", "./app/dir.db"),
            CliRig.Source("empty", "./app/empty.db"),
            CliRig.Source("missing", "./app/missing.db"),
            CliRig.Source("nowhere", "./nowhere/x.db"),
            CliRig.Source("app", "./app/app.db"));

        await _rig.DaemonAsync("app", "healthy");

        await AssertStateAsync("bad", "failing", $"{_rig["app/bad.db"]} is not a SQLite database");
        await AssertStateAsync("dir", "failing", $"{_rig["app/dir.db"]} is a directory");
        await AssertStateAsync("empty", "waiting", $"{_rig["app/empty.db"]} is empty");
        await AssertStateAsync("missing", "waiting", $"{_rig["app/missing.db"]} does not exist");
        await AssertStateAsync("nowhere", "unprotected", $"{_rig["nowhere/x.db"]} does not exist");
    }

    [Fact]
    public async Task A_folder_without_permission_is_told_and_the_others_go_on()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can run a daemon as somebody else");
        await _rig.CreateDatabaseAsync();
        await Tool.SqlAsync(_rig["app/secret.db"], "CREATE TABLE t(x)");
        _rig.Configure(CliRig.Source("app", "./app/app.db"), CliRig.Source("secret", "./app/secret.db"));
        var all = (UnixFileMode)0b111_111_111;
        File.SetUnixFileMode(_rig.Folder, all);
        File.SetUnixFileMode(_rig["app"], all);
        foreach (var file in Directory.GetFiles(_rig["app"], "app.db*"))
        {
            File.SetUnixFileMode(file, (UnixFileMode)0b110_110_110);
        }

        File.SetUnixFileMode(_rig["app/secret.db"], UnixFileMode.UserRead);
        string[] nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "env", $"TMPDIR={_rig.Folder}"];
        string[] command = ["dotnet", Path.Combine(AppContext.BaseDirectory, "Salvor.Cli.dll"), "daemon", "--config", _rig["salvor.yaml"]];
        await using var daemon = ChildProcess.Start("setpriv", [.. nobody, .. command]);

        await Eventually.HoldsAsync(
            () => daemon.Stderr.Contains($"database {_rig["app/secret.db"]} cannot be opened", StringComparison.Ordinal),
            () => daemon.Stderr);
        await AssertStateAsync("secret", "failing", "Let Salvor run as the user that owns the database");
        await _rig.StateAsync("app", "healthy");
    }

    [Fact]
    public async Task A_reload_changes_what_changed_alone()
    {
        await _rig.CreateDatabaseAsync();
        await _rig.CreateDatabaseAsync("app/old.db");
        await _rig.CreateDatabaseAsync("app/new.db");
        _rig.Configure(CliRig.Source("app", "./app/app.db"), CliRig.Source("old", "./app/old.db"));
        var daemon = await _rig.DaemonAsync("app", "healthy");
        await _rig.StateAsync("old", "healthy");

        _rig.Configure(CliRig.Source("app", "./app/app.db"), CliRig.Source("new", "./app/new.db"));
        daemon.Send(Signal.Hangup);

        await _rig.StateAsync("new", "healthy");
        Assert.Contains("info reloaded ", daemon.Stderr, StringComparison.Ordinal);
        Assert.StartsWith("old  stopped\n", (await _rig.RunAsync("status", "app/old.db")).Stdout, StringComparison.Ordinal);
        Assert.Single(Directory.GetFiles(_rig["vaults/app/claims"]));
        await CliRig.StopAsync(daemon);
    }

    [Fact]
    public async Task A_configuration_that_is_wrong_leaves_everything_as_it_was()
    {
        await _rig.CreateDatabaseAsync();
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        var daemon = await _rig.DaemonAsync("app", "healthy");
        var good = await File.ReadAllTextAsync(_rig["salvor.yaml"]);

        await File.WriteAllTextAsync(_rig["salvor.yaml"], good.Replace("sqlite", "sqlit", StringComparison.Ordinal));
        daemon.Send(Signal.Hangup);

        await Eventually.HoldsAsync(
            () => daemon.Stderr.Contains(
                "going on with the configuration as it was. hint: Did you mean \"sqlite\"?", StringComparison.Ordinal),
            () => daemon.Stderr);
        await File.WriteAllTextAsync(_rig["salvor.yaml"], good);
        await _rig.CommitAsync(2);
        Assert.Equal(0, (await _rig.ConfiguredAsync("sync", "app")).ExitCode);
        await CliRig.StopAsync(daemon);
    }

    [Fact]
    public async Task A_database_that_appears_joins_by_itself()
    {
        Directory.CreateDirectory(_rig["tenants"]);
        await _rig.CreateDatabaseAsync("tenants/a.db");
        _rig.Configure(CliRig.Sources("tenants", "./tenants/*.db"));
        var daemon = await _rig.DaemonAsync("tenants/a.db", "healthy");

        await _rig.CreateDatabaseAsync("tenants/late.db");
        await _rig.CreateDatabaseAsync("tenants/with a spáce.db");

        await _rig.StateAsync("tenants/late.db", "healthy");
        await _rig.StateAsync("tenants/with__20a__20sp__C3__A1ce.db", "healthy");
        var restored = await _rig.ConfiguredAsync("restore", "tenants/with a spáce.db", "--output", "x.db");
        Assert.True(restored.ExitCode == 0, $"{restored}");
        Assert.Equal("1", await CliRig.RowsAsync(_rig["x.db"]));
        await CliRig.StopAsync(daemon);
    }

    [Fact]
    public async Task A_second_daemon_that_finds_everything_served_says_by_whom_and_ends()
    {
        await _rig.CreateDatabaseAsync();
        await _rig.CreateDatabaseAsync("app/b.db");
        _rig.Configure(CliRig.Source("app", "./app/app.db"), CliRig.Source("b", "./app/b.db"));
        var first = await _rig.DaemonAsync("app", "healthy");
        await _rig.StateAsync("b", "healthy");

        var second = await _rig.ConfiguredAsync("daemon");

        Assert.True(second.ExitCode == 7, $"{second}");
        Assert.Contains(
            "salvor: all 2 databases are served by other processes; "
                + $"{_rig["app/.salvor/app.db.lock"]} is held by pid ",
            second.Stderr,
            StringComparison.Ordinal);
        Assert.StartsWith("app  healthy", (await _rig.ConfiguredAsync("status", "app")).Stdout, StringComparison.Ordinal);
        await CliRig.StopAsync(first);
    }

    [Fact]
    public async Task A_second_daemon_with_a_database_of_its_own_goes_on_and_takes_over_what_becomes_free()
    {
        await _rig.CreateDatabaseAsync();
        await _rig.CreateDatabaseAsync("app/own.db");
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        var first = await _rig.DaemonAsync("app", "healthy");
        _rig.Configure(CliRig.Source("app", "./app/app.db"), CliRig.Source("own", "./app/own.db"));
        var second = await _rig.DaemonAsync("own", "healthy");

        await Eventually.HoldsAsync(
            () => second.Stderr.Contains("/app/.salvor/app.db.lock is held by pid ", StringComparison.Ordinal), () => second.Stderr);
        Assert.StartsWith("app  healthy", (await _rig.ConfiguredAsync("status", "app")).Stdout, StringComparison.Ordinal);

        await CliRig.StopAsync(first);
        await _rig.StateAsync("app", "healthy");
        await CliRig.StopAsync(second);
    }

    [Fact]
    public async Task Several_databases_have_to_be_named()
    {
        Directory.CreateDirectory(_rig["tenants"]);
        await _rig.CreateDatabaseAsync("tenants/a.db");
        _rig.Configure(CliRig.Source("app", "./app/app.db"), CliRig.Sources("tenants", "./tenants/*.db"));

        CliRig.AssertError(
            await _rig.ConfiguredAsync("list"), 2, $"{_rig["salvor.yaml"]} has several sources: app and tenants", "Name one of them.");
        CliRig.AssertError(
            await _rig.ConfiguredAsync("list", "tenants"),
            2,
            "source tenants is 1 database(s), each with a name of its own",
            "Name one: tenants/a.db.");
        CliRig.AssertError(
            await _rig.ConfiguredAsync("list", "ap"),
            2,
            $"{_rig["salvor.yaml"]} has no source 'ap'",
            "Did you mean \"app\"? Its sources are app and tenants.");
        CliRig.AssertError(
            await _rig.ConfiguredAsync("list", "tenants/x"),
            2,
            $"source tenants cannot have a database x: {_rig["tenants/x"]} matches none of its patterns",
            $"Its patterns are {_rig["tenants/*.db"]}; 'salvor status tenants' shows its databases.");
        CliRig.AssertError(
            await _rig.ConfiguredAsync("list", "app"),
            6,
            "nothing is backed up yet at any destination of this source",
            "Start 'salvor daemon', then try again.");
    }

    async Task AssertStateAsync(string source, string state, string why) =>
        Assert.Contains(why, await _rig.StateAsync(source, state), StringComparison.Ordinal);
}
