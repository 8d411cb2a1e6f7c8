using System.Text.Json;
using Salvor.Postgres.Restore;
using Salvor.Tests.Cli;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>A cluster is restored over one that is there, or over what a restore that was killed left: what is the same stays.</summary>
public sealed class ClusterDeltaTests(ClusterVault real) : IClassFixture<ClusterVault>, IAsyncLifetime
{
    readonly ScratchDirectory scratch = new();
    readonly Random random = new(TestSeed.Take());

    string Target => scratch["restored"];

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
        return default;
    }

    [Fact]
    public async Task What_a_server_changed_comes_back_and_what_is_the_same_is_not_fetched()
    {
        var whole = await RestoreAsync("--xid", $"{real.Moments[5].Xid}");
        await using (var server = await StartAsync())
        {
            await SqlAsync(server, "create table other as select i from generate_series(1, 3000) i; update t set body = 'x' where id < 9");
            await SqlAsync(server, "checkpoint");
        }

        Assert.False(Directory.Exists(Path.Combine(Target, ".salvor-restoring")));
        File.WriteAllText(Path.Combine(Target, "standby.signal"), "");
        File.WriteAllText(Path.Combine(Target, "base/1/pgsql_note"), "");
        Forget();
        string[] links = ["server.key", "log"];
        Array.ForEach(links, name => File.CreateSymbolicLink(Path.Combine(Target, name), scratch["elsewhere"]));
        var result = await RunAsync("--xid", $"{real.Moments[4].Xid}", "--delta", "--json");

        Assert.True(result.ExitCode == 0, $"{result}");
        JsonTests.AssertDocument("restore", result);
        Assert.All(links, name => Assert.Equal(scratch["elsewhere"], new FileInfo(Path.Combine(Target, name)).LinkTarget));
        var (first, document) = (JsonElement.Parse(whole.Stdout), JsonElement.Parse(result.Stdout));
        var kept = document.GetProperty("cluster").GetProperty("reused_bytes").GetInt64();
        var size = document.GetProperty("size_bytes").GetInt64();
        Assert.Equal(first.GetProperty("size_bytes").GetInt64(), size);
        Assert.InRange(kept, size * 8 / 10, size - 1);

        // What changed is in nearly each frame of so small a cluster; none of them is fetched again and again for that.
        Assert.InRange(
            document.GetProperty("downloaded_bytes").GetInt64(), 1, first.GetProperty("downloaded_bytes").GetInt64() * 3 / 2);
        Assert.InRange(document.GetProperty("cluster").GetProperty("removed_count").GetInt64(), 3, 1000);
        string[] gone = ["standby.signal", "base/1/pgsql_note", RestoreMark.Name, "global/pg_control.salvor"];
        Assert.DoesNotContain(gone, name => File.Exists(Path.Combine(Target, name)));
        Assert.Empty(Directory.GetFiles(Path.Combine(Target, "pg_wal")));
        await ExpectAsync(real.Moments[4]);
    }

    [Fact]
    public async Task A_restore_that_was_killed_at_any_moment_never_starts_and_goes_on()
    {
        const int Kills = 3;
        var whole = await RestoreAsync();
        var total = Directory.GetFiles(Target, "*", SearchOption.AllDirectories).Length;
        Directory.Delete(Target, recursive: true);
        var interrupted = 0;
        for (var kill = 0; kill < Kills; kill++)
        {
            var files = random.Next(total);
            await KillAsync(() => Directory.Exists(Target) && FilesIn(Target) > files, kill == 0 ? [] : ["--delta"]);
            if (!File.Exists(Path.Combine(Target, "global/pg_control")))
            {
                interrupted++;
                await ExpectNeverStartsAsync();
                CliRig.AssertError(
                    await RunAsync(), 2, $"an earlier restore into {Target} did not end",
                    "Add '--delta' to go on with it: what is there already is kept. Or choose another directory.");
            }
        }

        var result = await RunAsync("--delta", "--xid", $"{real.Moments[4].Xid}");

        Assert.True(interrupted > 0, "each restore ended before it was killed");
        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Matches(@"\nkept [0-9.]+ \w+ of [0-9.]+ MiB, which was there already, and removed \d+ name\(s\)\n", result.Stdout);
        Assert.False(File.Exists(Path.Combine(Target, RestoreMark.Name)));
        Assert.False(Directory.Exists(Path.Combine(Target, ".salvor-restoring")), $"{whole}");
        await ExpectAsync(real.Moments[4]);
    }

    [Fact]
    public async Task A_restore_over_a_cluster_that_was_killed_at_any_moment_never_starts_half_done_and_goes_on()
    {
        const int Kills = 3;
        string[] over = ["--delta", "--xid", $"{real.Moments[4].Xid}"];
        await RestoreAsync();
        for (var kill = 0; kill < Kills; kill++)
        {
            await using (var server = await StartAsync())
            {
                await SqlAsync(server, $"create table other_{kill} as select i from generate_series(1, 3000) i; checkpoint");
            }

            Forget();
            Damage();
            var moment = Task.Delay(random.Next(2500), Cancel);
            await KillAsync(() => moment.IsCompleted, over);
            if (!File.Exists(Path.Combine(Target, "global/pg_control")))
            {
                await ExpectNeverStartsAsync();
            }

            var result = await RunAsync(over);
            Assert.True(result.ExitCode == 0, $"{result}");
            await ExpectAsync(real.Moments[4]);
            Forget();
        }
    }

    [Fact]
    public async Task A_directory_that_is_new_or_empty_is_simply_restored_to()
    {
        scratch.Subdirectory("restored");
        var empty = await RunAsync("--delta", "--immediate");
        var missing = await RunAsync("--delta", "--immediate", "--dry-run");

        Assert.True(empty.ExitCode == 0, $"{empty}");
        Assert.Contains("\nkept 0 B of ", empty.Stdout, StringComparison.Ordinal);
        Assert.True(missing.ExitCode == 0, $"{missing}");
        await ExpectAsync(real.Moments[2]);
    }

    [Fact]
    public async Task What_is_no_such_cluster_is_refused_and_stays()
    {
        const string Aside = "Choose a directory that is new or empty, or move what is there aside.";
        File.WriteAllText(Path.Combine(scratch.Subdirectory("restored"), "letter"), "dear");
        CliRig.AssertError(await RunAsync("--delta"), 2, $"{Target} is not empty, and no data directory: it has no PG_VERSION", Aside);

        File.Delete(Path.Combine(Target, "letter"));
        File.WriteAllText(Path.Combine(Target, "PG_VERSION"), "15\n");
        CliRig.AssertError(await RunAsync("--delta"), 2, $"nothing says of which cluster {Target} is: it has no global/pg_control", Aside);

        Directory.Delete(Target, recursive: true);
        await RestoreAsync();
        File.WriteAllBytes(Path.Combine(Target, "global/pg_control"), [7, 0, 0, 0, 0, 0, 0, 0, .. new byte[8184]]);
        var own = (await real.PlanAsync(new RecoveryTarget.Latest())).Branch.Record.SystemId;
        CliRig.AssertError(
            await RunAsync("--delta"), 2,
            $"{Target} is of the cluster with system identifier 7, and the backup of that with {own}", Aside);
        Assert.True(File.Exists(Path.Combine(Target, "global/pg_control")));
        Assert.False(File.Exists(Path.Combine(Target, RestoreMark.Name)));
    }

    [Fact]
    public async Task What_an_unfinished_restore_of_another_cluster_left_is_refused()
    {
        await RestoreAsync();
        File.Delete(Path.Combine(Target, "global/pg_control"));
        File.WriteAllText(Path.Combine(Target, RestoreMark.Name), "12\nand more\n");
        var own = (await real.PlanAsync(new RecoveryTarget.Latest())).Branch.Record.SystemId;

        CliRig.AssertError(
            await RunAsync("--delta"), 2, $"{Target} is of the cluster with system identifier 12, and the backup of that with {own}",
            "Choose a directory that is new or empty, or move what is there aside.");
    }

    [Fact]
    public async Task Another_version_and_a_server_that_runs_are_refused()
    {
        await RestoreAsync();
        await using (await StartAsync())
        {
            var running = await RunAsync("--delta");
            Assert.True(running.ExitCode == 7, $"{running}");
            Assert.StartsWith($"salvor: a server runs in {Target}: process ", running.Stderr, StringComparison.Ordinal);
        }

        Forget();
        File.WriteAllText(Path.Combine(Target, "PG_VERSION"), "11\n");
        CliRig.AssertError(
            await RunAsync("--delta"), 2, $"{Target} is of PostgreSQL 11, and the backup of PostgreSQL {PostgresServer.Major}",
            "Choose a directory that is new or empty, or move what is there aside.");
        Assert.True(File.Exists(Path.Combine(Target, "global/pg_control")));
    }

    [Theory]
    [InlineData("1\n/var/lib/postgresql/data\n")]
    [InlineData("4194303\n")]
    [InlineData("-12\n")]
    [InlineData("")]
    public async Task A_server_of_which_no_process_is_seen_is_taken_to_run(string pidFile)
    {
        await RestoreAsync("--immediate");
        File.WriteAllText(Path.Combine(Target, "postmaster.pid"), pidFile);

        CliRig.AssertError(
            await RunAsync("--delta"), 7,
            $"a server may run in {Target}: postmaster.pid is there, which one that is stopped in order removes",
            "Start and stop that server in order, where it runs, or remove the file if it is certain that none does.");
        Assert.True(File.Exists(Path.Combine(Target, "global/pg_control")));
        Assert.False(File.Exists(Path.Combine(Target, RestoreMark.Name)));
    }

    [Fact]
    public async Task What_should_go_and_cannot_be_removed_is_a_failure_and_no_server_starts()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root makes files that stay");
        await RestoreAsync();
        var stray = Path.Combine(Target, "base/1/pgsql_note");
        File.WriteAllText(stray, "");
        var fixing = await ChildProcess.RunAsync("chattr", ["+i", stray]);
        Assert.SkipUnless(fixing.ExitCode == 0, $"{fixing}");

        var failed = await RunAsync("--delta");
        await ChildProcess.RunAsync("chattr", ["-i", stray]);

        Assert.True(failed.ExitCode == 1, $"{failed}");
        Assert.Contains("salvor: cannot remove /base/1/pgsql_note: ", failed.Stderr, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(Target, "global/pg_control")));
        Assert.Equal(0, (await RunAsync("--delta")).ExitCode);
        Assert.False(File.Exists(stray));
    }

    [Fact]
    public async Task Two_restores_into_one_directory_are_refused_and_the_first_goes_on()
    {
        scratch.Subdirectory("restored");
        using (RestoreMark.Take(Target, 12))
        {
            var second = await RunAsync("--delta");
            CliRig.AssertError(
                second, 7, $"another restore writes to {Target}", "Let it end, or name another directory with '--output'.");
        }
    }

    public ValueTask DisposeAsync()
    {
        scratch.Dispose();
        return default;
    }

    static int FilesIn(string folder) => Directory.GetFiles(
        folder, "*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = 0 }).Length;

    Task<ProcessResult> RunAsync(params IEnumerable<string> options) =>
        SalvorProcess.RunAsync(["restore", "pg", "--config", real.Config, "--output", Target, .. options]);

    async Task<ProcessResult> RestoreAsync(params IEnumerable<string> options)
    {
        var result = await RunAsync(["--json", .. options]);
        Assert.True(result.ExitCode == 0, $"{result}");
        return result;
    }

    /// <summary>Another byte in some of the files, as a disk that lies makes it: size and time stay the same.</summary>
    void Damage()
    {
        foreach (var path in Directory.GetFiles(Path.Combine(Target, "base/5")).Where(_ => random.Next(4) == 0))
        {
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite);
            if (RandomAccess.GetLength(file) is > 0 and var length)
            {
                RandomAccess.Write(file, [(byte)random.Next(256)], random.NextInt64(length));
            }
        }
    }

    /// <summary>As one does who is certain that the server that was killed runs nowhere.</summary>
    void Forget() => File.Delete(Path.Combine(Target, "postmaster.pid"));

    async Task KillAsync(Func<bool> isTime, params IEnumerable<string> options)
    {
        await using var process = SalvorProcess.Start(
            ["restore", "pg", "--config", real.Config, "--output", Target, .. options]);
        await Eventually.HoldsAsync(() => process.HasExited || isTime(), () => process.Stderr, Eventually.StartMax);
        await process.KillAsync();
    }

    async Task ExpectNeverStartsAsync()
    {
        var started = await PostgresServer.RunAsync("pg_ctl", "-D", Target, "-w", "-t", "5", "-o", $"-c data_directory={Target}", "start");
        Assert.True(started.ExitCode != 0, $"{started}");
    }

    Task<PrivateServer> StartAsync() => StartedAsync(Target);

    static async Task<PrivateServer> StartedAsync(string target)
    {
        var server = await PrivateServer.StartAsync(new ClusterDirectory(target), "postgres", TimeProvider.System, Cancel);
        await server.RecoveredAsync(default, Cancel);
        return server;
    }

    static Task<string?> SqlAsync(PrivateServer server, string sql) => ClusterRestoreTests.AskAsync(server, $"{sql}; select 1");

    async Task ExpectAsync(ClusterVault.Moment moment)
    {
        await using var server = await StartAsync();
        Assert.Equal(moment.Digest, await ClusterRestoreTests.AskAsync(server, ClusterVault.DigestSql));
        Assert.Equal("0", await ClusterRestoreTests.AskAsync(server, "select count(*) from pg_class where relname like 'other%'"));
        Assert.Equal("pg_amcheck", await server.CheckAsync(Cancel));
    }
}
