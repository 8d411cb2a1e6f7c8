using System.Text.Json;
using Salvor.Postgres.Restore;
using Salvor.Tests.Cli;
using Salvor.Tests.Support;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>What an operator types to see what a cluster can be recovered to, and to get it back.</summary>
public sealed class ClusterCommandTests(ClusterVault real) : IClassFixture<ClusterVault>, IDisposable
{
    readonly ScratchDirectory scratch = new();

    string Target => scratch["restored"];

    ClusterVault.Moment Wanted => real.Moments[4];

    [Fact]
    public async Task A_plan_names_the_backup_the_log_and_where_it_stops_and_writes_nothing()
    {
        var typed = Wanted.At.ToString("yyyy-MM-dd HH:mm:ss.ffffff", System.Globalization.CultureInfo.InvariantCulture);
        var plan = await real.PlanAsync(new RecoveryTarget.Time(Wanted.At));

        var result = await RunAsync("restore", "pg", "--timestamp", typed, "--output", Target, "--dry-run");

        var stop = Assert.IsType<RecoveryStop.At>(plan.End.Stop);
        Assert.Equal(
            $"""
            would restore "pg" -> {Target}
            target: {InstantText.Format(Wanted.At)} (given without a zone: that is UTC)
            base backup 1 of {InstantText.Format(real.Backup.Time)}, consistent at {real.Backup.Log.End}
            log: {plan.Log} of timeline 1, {SizeText.Format(plan.Log.Length)}
            stopping at: before the record at {stop.Record}
            last transaction: {InstantText.Format(Micros.ToTime(plan.LastCommit!.Value.TimeMicros))}, at {plan.LastCommit.Value.End}
            promised: the server has everything up to {plan.Promised}

            """,
            result.Stdout);
        Assert.Equal("", result.Stderr);
        Assert.False(Directory.Exists(Target));
    }

    [Theory]
    [InlineData("--lsn")]
    [InlineData("--xid")]
    [InlineData("--exclusive")]
    [InlineData("--restore-point")]
    [InlineData("--immediate")]
    [InlineData("latest")]
    public async Task Each_target_is_planned_as_the_library_does_it(string kind)
    {
        var xid = $"{Wanted.Xid}";
        (RecoveryTarget target, string[] options) = kind switch
        {
            "--lsn" => ((RecoveryTarget)new RecoveryTarget.Address(Wanted.Address), (string[])["--lsn", $"{Wanted.Address}"]),
            "--xid" => (new RecoveryTarget.Transaction(Wanted.Xid), ["--xid", xid]),
            "--exclusive" => (new RecoveryTarget.Transaction(Wanted.Xid, Inclusive: false), ["--xid", xid, "--exclusive"]),
            "--restore-point" => (new RecoveryTarget.Named("before the drop"), ["--restore-point", "before the drop"]),
            "--immediate" => (new RecoveryTarget.Immediate(), ["--immediate"]),
            _ => (new RecoveryTarget.Latest(), ["--snapshot", "latest", "--timeline", "1"]),
        };
        var plan = await real.PlanAsync(target);

        var result = await RunAsync(["restore", "pg", "--output", Target, "--dry-run", "--json", "--target-action", "pause", .. options]);

        JsonTests.AssertDocument("restore", result);
        var cluster = JsonElement.Parse(result.Stdout).GetProperty("cluster");
        Assert.Equal($"{target}", cluster.GetProperty("target").GetString());
        Assert.Equal($"{plan.Promised}", cluster.GetProperty("promised").GetString());
        Assert.Equal($"{plan.Log.End}", cluster.GetProperty("log_to").GetString());
        Assert.Equal("pause", cluster.GetProperty("target_action").GetString());
        Assert.Equal(plan.LastCommit?.End.ToString(), cluster.GetProperty("last_commit").GetString());
    }

    [Fact]
    public async Task A_server_that_was_started_goes_on_alone_with_what_was_there_at_that_moment()
    {
        await using var free = await PostgresServer.AtAsync(scratch, "free");
        string[] at = ["--timestamp", InstantText.Format(Wanted.At), "--output", Target];

        // In a process of its own, from a directory that the user of the server may not enter.
        await using var process = SalvorProcess.StartIn(
            scratch.Subdirectory("mine"),
            ["restore", "pg", .. at, "--config", real.Config, "--start", "--port", $"{free.Port}", "--json"]);
        var result = await process.ExitAsync();

        Assert.True(result.ExitCode == 0, $"{result}");
        JsonTests.AssertDocument("restore", result);
        var cluster = JsonElement.Parse(result.Stdout).GetProperty("cluster");
        var server = cluster.GetProperty("server");
        try
        {
            Assert.Equal(free.Port, server.GetProperty("port").GetInt32());
            Assert.Equal(cluster.GetProperty("owner").GetString(), Environment.IsPrivilegedProcess ? "postgres" : Environment.UserName);
            string[] connection = ["-h", server.GetProperty("socket_folder").GetString()!, "-p", $"{free.Port}", "-U", "postgres"];
            Assert.Equal(Wanted.Digest, await SqlAsync(connection, ClusterVault.DigestSql));
            Assert.Equal("f|localhost", await SqlAsync(connection, "select pg_is_in_recovery(), current_setting('listen_addresses')"));
            Assert.Equal(Target, await SqlAsync(connection, "show data_directory"));
            Assert.False(File.Exists(real.PidFile));
            Assert.Equal("1", await SqlAsync(connection, "insert into t (body) values ('after') returning 1"));
            Assert.False(Directory.Exists(Path.Combine(Target, "salvor_recovery")));
            var again = await RunAsync(["restore", "pg", .. at]);
            CliRig.AssertError(
                again, 7, $"a server runs in {Target}: process {server.GetProperty("process").GetInt32()}",
                $"Stop it first: pg_ctl -D {Target} stop. Or restore elsewhere.");
        }
        finally
        {
            await PostgresServer.RunAsync("pg_ctl", "-D", Target, "-m", "immediate", "-w", "stop");
        }
    }

    [Fact]
    public async Task A_restore_says_what_is_there_and_how_it_is_started()
    {
        var result = await RunAsync("restore", "pg", "--immediate", "--output", Target);
        var again = await RunAsync("restore", "pg", "--immediate", "--output", Target);

        Assert.True(result.ExitCode == 0, $"{result}");
        Assert.Contains($"\nstopping at: the end of the base backup, {real.Backup.Log.End}\n", result.Stdout, StringComparison.Ordinal);
        Assert.Contains("\nlast transaction: none after the base backup\n", result.Stdout, StringComparison.Ordinal);
        Assert.Contains($"\nRestored \"pg\" -> {Target}\n", result.Stdout, StringComparison.Ordinal);
        Assert.Matches(
            $"\nall of it belongs to \\w+, as whom the server is started\nnext: .*{PostgresServer.Programs}/pg_ctl -D {Target} "
                + $"-l {Target}/salvor_start.log -o '-c data_directory={Target} -c external_pid_file=' start\n$",
            result.Stdout);
        CliRig.AssertError(
            again, 2, $"there is a cluster in {Target} already",
            "Choose a directory that is new or empty, or move what is there aside: it may hold log that was not stored yet.");
    }

    [Theory]
    [InlineData("--position 1", "'--position' does not go with a cluster of PostgreSQL", "'--lsn X/Y' names an address of its log.")]
    [InlineData("--branch 1", "'--branch' does not go with a cluster of PostgreSQL", "'--timeline N' names the timeline that is followed.")]
    [InlineData(
        "--in-place", "'--in-place' does not go with a cluster of PostgreSQL",
        "Restore beside with '--output DIR', check it, and exchange the directories: 'salvor runbook NAME' has the steps.")]
    [InlineData(
        "--include x", "'--include' does not go with a cluster of PostgreSQL",
        "A cluster is restored whole, into a new or empty directory, which '--output' names.")]
    [InlineData("--xid 7 --lsn 0/1", "'--lsn' and '--xid' each say where the recovery ends", "Give one of them.")]
    [InlineData("--exclusive", "'--exclusive' is given, and not '--xid'", "It leaves out the transaction of '--xid'.")]
    [InlineData(
        "--lsn 5", "\"5\" is not an address of the log",
        "Write it as PostgreSQL does, like 16/B374D848; 'SELECT pg_current_wal_lsn()' shows one.")]
    [InlineData("--xid 0", "\"0\" is not a transaction", "It is a number from 1 to 4294967295, as 'xmin' of a row shows it.")]
    [InlineData(
        "--tablespace fast", "'--tablespace' is \"fast\", and takes a number and a directory, once for each tablespace",
        "Write '--tablespace 16385=/srv/fast'; 'SELECT oid, spcname FROM pg_tablespace' shows the numbers.")]
    [InlineData(
        "--port 5433", "'--port' is given, and not '--start'", "Add '--start', or give the port to the server when it is started.")]
    [InlineData(
        "--start --target-action shutdown", "'--start' and '--target-action shutdown' contradict each other", "Leave one of them out.")]
    public async Task What_does_not_go_with_a_cluster_is_named(string options, string message, string hint) =>
        CliRig.AssertError(await RunAsync(["restore", "pg", .. options.Split(' ')]), 2, message, hint);

    [Fact]
    public async Task What_cannot_be_reached_is_refused_with_what_can()
    {
        var window = Assert.Single(await WindowsAsync());
        var late = real.Moments[^1].At.AddDays(1);

        var result = await RunAsync("restore", "pg", "--timestamp", InstantText.Format(late), "--output", Target);

        CliRig.AssertError(
            result, 6,
            $"{InstantText.Format(late)} is not in the log after backup 1, which reaches to {window.To}, with its last commit at "
                + $"{InstantText.Format(window.Until)}, in vault {real.Vaults}/pg",
            "Leave the target out to recover everything that is there; 'salvor list' shows what that is. "
                + $"What can be recovered, nearest to it: timeline 1 from {InstantText.Format(window.Since)} ({real.Backup.Log.End}) to "
                + $"{InstantText.Format(window.Until)} ({window.To}).");
        Assert.False(Directory.Exists(Target));

        // The last moment that is named is one.
        var last = await RunAsync("restore", "pg", "--timestamp", InstantText.Format(window.Until), "--output", Target, "--dry-run");
        Assert.True(last.ExitCode == 0, $"{last}");
    }

    [Fact]
    public async Task A_list_has_what_can_be_recovered_to_with_the_names_in_it()
    {
        var window = Assert.Single(await WindowsAsync());

        var text = await RunAsync("list", "pg");
        var json = await RunAsync("list", "pg", "--json");
        var inside = await RunAsync("list", "pg", "1:/global");

        Assert.StartsWith(
            $"pg at {real.Vaults}/pg\n  {InstantText.Format(window.Since)} -> {InstantText.Format(window.Until)}  timeline 1  "
                + $"{window.From}-{window.To}  backup 1\n  restore point 'before the drop'  ",
            text.Stdout.Replace('–', '-').Replace("→", "->", StringComparison.Ordinal), StringComparison.Ordinal);
        JsonTests.AssertDocument("list", json);
        var cluster = JsonElement.Parse(json.Stdout).GetProperty("cluster");
        Assert.Equal("before the drop", cluster.GetProperty("restore_points")[0].GetProperty("name").GetString());
        Assert.Equal($"{real.Backup.Log.First}", cluster.GetProperty("backups")[0].GetProperty("log_from").GetString());
        Assert.Contains("/global/pg_control", inside.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_runbook_and_a_kit_have_the_steps_of_a_cluster()
    {
        var page = await RunAsync("runbook", "pg");
        var kit = await RunAsync("runbook", "pg", "--kit", scratch["kit.tar.gz"]);
        var listed = await SalvorProcess.RunAsync("list", "pg", "--config", scratch["kit.tar.gz"]);

        Assert.True(page.ExitCode == 0, $"{page}");
        Assert.DoesNotContain("sqlite3", page.Stdout, StringComparison.Ordinal);
        Assert.Contains("\n| Cluster | PostgreSQL at ", page.Stdout, StringComparison.Ordinal);
        Assert.Contains("\nsalvor restore pg $POINT --output ", page.Stdout, StringComparison.Ordinal);
        Assert.Contains("-candidate --start --port ", page.Stdout, StringComparison.Ordinal);
        Assert.Contains("mv \"$PGDATA\" \"$PGDATA.before-recovery\"", page.Stdout, StringComparison.Ordinal);
        Assert.Contains("\nsalvor backup pg --label after-recovery ", page.Stdout, StringComparison.Ordinal);
        Assert.True(kit.ExitCode == 0, $"{kit}");
        Assert.True(listed.ExitCode == 0, $"{listed}");
        Assert.Contains("timeline 1", listed.Stdout, StringComparison.Ordinal);
    }

    public void Dispose() => scratch.Dispose();

    Task<ProcessResult> RunAsync(params string[] arguments) => SalvorProcess.RunAsync([.. arguments, "--config", real.Config]);

    async Task<IReadOnlyList<RecoveryWindow>> WindowsAsync() => await RecoveryWindows.FindAsync(
        await WalCatalog.LoadAsync(real.Vault, default), [real.Backup], default);

    static async Task<string> SqlAsync(string[] connection, string sql)
    {
        var result = await PostgresServer.RunAsync("psql", ["-XAtq", .. connection, "-d", "postgres", "-c", sql]);
        Assert.True(result.ExitCode == 0, $"{result}");
        return result.Stdout.Trim();
    }
}
