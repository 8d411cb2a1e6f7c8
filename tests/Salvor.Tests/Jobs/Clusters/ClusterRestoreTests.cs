using Salvor.Jobs.Clusters;
using Salvor.Postgres.Protocol;
using Salvor.Postgres.Restore;
using Salvor.Tests.Support;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>A cluster comes back to any moment as PostgreSQL itself says, and never short of what was promised.</summary>
public sealed class ClusterRestoreTests(ClusterVault real) : IClassFixture<ClusterVault>, IDisposable
{
    readonly ScratchDirectory scratch = new();

    string Target => scratch["restored"];

    [Theory]
    [InlineData("time")]
    [InlineData("transaction")]
    [InlineData("address")]
    [InlineData("name")]
    public async Task A_dropped_table_comes_back_as_it_was_at_that_moment(string kind)
    {
        var moment = kind == "name" ? real.Moments[^1] : real.Moments[4];
        RecoveryTarget target = kind switch
        {
            "time" => new RecoveryTarget.Time(moment.At),
            "transaction" => new RecoveryTarget.Transaction(moment.Xid),
            "address" => new RecoveryTarget.Address(moment.Address),
            _ => new RecoveryTarget.Named("before the drop"),
        };
        var plan = await RestoreAsync(target);

        await using var server = await StartAsync();
        await server.RecoveredAsync(plan.Promised, Cancel);

        Assert.Equal(moment.Digest, await AskAsync(server, ClusterVault.DigestSql));
        Assert.Equal("2", await AskAsync(server, "select timeline_id from pg_control_checkpoint()"));
        Assert.Equal("0", await AskAsync(server, "select count(*) from u"));
    }

    [Fact]
    public async Task Without_a_target_everything_that_was_committed_is_there()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Latest());

        await using var server = await StartAsync();
        await server.RecoveredAsync(plan.Promised, Cancel);

        Assert.Equal("0", await AskAsync(server, "select count(*) from pg_class where relname = 't'"));

        // A machine with other settings of its own has what the recovery needs.
        var settings = File.ReadAllText(Path.Combine(Target, "postgresql.auto.conf"));
        Assert.EndsWith(
            "archive_mode = 'off'\nsynchronous_standby_names = ''\nmax_logical_replication_workers = '0'\nmax_connections = '37'\n"
                + "max_worker_processes = '8'\nmax_wal_senders = '10'\n"
                + "max_prepared_transactions = '10'\nmax_locks_per_transaction = '64'\n", settings, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_pauses_where_it_was_told_to_is_recovered()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Transaction(real.Moments[4].Xid), RecoveryAction.Pause);

        await using var server = await StartAsync();
        await server.RecoveredAsync(plan.Promised, Cancel);

        Assert.Equal("t", await AskAsync(server, "select pg_is_in_recovery()"));
        Assert.Equal(real.Moments[4].Digest, await AskAsync(server, ClusterVault.DigestSql));
    }

    [Fact]
    public async Task What_the_settings_of_a_cluster_ask_for_is_not_needed_for_its_recovery()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Immediate());
        string[] settings =
        [
            "shared_preload_libraries = 'nothing_there'", "session_preload_libraries = 'nothing_there'",
            "local_preload_libraries = 'nothing_there'", $"external_pid_file = '{scratch["other.pid"]}'", "shared_buffers = '4TB'",
            "huge_pages = 'on'", "synchronous_standby_names = 'nobody'",
        ];
        File.AppendAllLines(Path.Combine(Target, "postgresql.auto.conf"), settings);

        await using var server = await StartAsync();
        await server.RecoveredAsync(plan.Promised, Cancel);

        Assert.Equal("", await AskAsync(server, "show synchronous_standby_names"));
        Assert.Equal("pg_amcheck", await server.CheckAsync(Cancel));
        Assert.False(File.Exists(scratch["other.pid"]));
    }

    [Fact]
    public async Task A_role_that_is_not_let_in_gives_way_to_the_one_that_nearly_every_cluster_has()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Immediate());

        await using var server = await PrivateServer.StartAsync(new(Target), "nobody_there", TimeProvider.System, Cancel);
        await server.RecoveredAsync(plan.Promised, Cancel);

        Assert.Equal("postgres", await AskAsync(server, "select current_user"));
        Assert.Equal("pg_amcheck", await server.CheckAsync(Cancel));
    }

    [Fact]
    public async Task A_server_that_refuses_is_not_waited_for()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Immediate());
        await using (var first = await StartAsync())
        {
            await first.RecoveredAsync(plan.Promised, Cancel);
            await AskAsync(first, "alter role postgres nologin; select 1");
            await first.ShutDownAsync(Cancel);
        }

        await using var server = await PrivateServer.StartAsync(new(Target), "nobody_there", TimeProvider.System, Cancel);
        var failure = await Assert.ThrowsAsync<PostgresException>(() => server.RecoveredAsync(plan.Promised, Cancel));

        Assert.Contains("nobody_there", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_end_of_the_backup_is_a_moment_too()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Immediate());

        await using var server = await StartAsync();
        await server.RecoveredAsync(plan.Promised, Cancel);

        Assert.Equal(real.Moments[2].Digest, await AskAsync(server, ClusterVault.DigestSql));
    }

    [Fact]
    public async Task A_segment_that_is_lost_between_restore_and_recovery_never_makes_a_short_cluster()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Latest());
        var folder = Path.Combine(Target, RecoveryFolder.Name);
        File.Delete(Directory.GetFiles(folder, "0*").Where(path => Path.GetFileName(path).Length == 24).Max()!);

        await using var server = await StartAsync();
        var failure = await Assert.ThrowsAsync<SalvorException>(() => server.RecoveredAsync(plan.Promised, Cancel));

        Assert.StartsWith("the server ended before it was recovered: ", failure.Message, StringComparison.Ordinal);
        Assert.True(failure.Message.Contains("could not restore file", StringComparison.Ordinal), failure.Message);
    }

    [Fact]
    public async Task Without_the_folder_of_its_log_a_server_ends_and_names_what_it_asked_for()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Latest());
        Directory.Delete(Path.Combine(Target, RecoveryFolder.Name), recursive: true);

        await using var server = await StartAsync();
        var failure = await Assert.ThrowsAsync<SalvorException>(() => server.RecoveredAsync(plan.Promised, Cancel));

        Assert.StartsWith("the server ended before it was recovered: ", failure.Message, StringComparison.Ordinal);
        Assert.True(failure.Message.Contains("could not restore file", StringComparison.Ordinal), failure.Message);
    }

    [Fact]
    public async Task A_recovery_that_ends_early_is_told_although_the_server_runs()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Latest());
        var folder = Path.Combine(Target, RecoveryFolder.Name);
        var last = Directory.GetFiles(folder, "0*").Where(path => Path.GetFileName(path).Length == 24).Max()!;

        // As if it had never been there: what any other command would say of a file that it cannot reach.
        File.Delete(last);
        var names = Path.Combine(folder, "names");
        File.WriteAllText(names, File.ReadAllText(names).Replace($"{Path.GetFileName(last)}\n", "", StringComparison.Ordinal));

        await using var server = await StartAsync();
        var failure = await Assert.ThrowsAsync<SalvorException>(() => server.RecoveredAsync(plan.Promised, Cancel));

        Assert.Equal(FailureKind.Integrity, failure.Kind);
        Assert.Matches($"^the server stopped at [0-9A-F/]+, before {plan.Promised}, which the vault has$", failure.Message);
    }

    [Fact]
    public async Task Nothing_is_written_over_a_cluster_or_beside_other_files()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Immediate());
        var taken = await Assert.ThrowsAsync<SalvorException>(() => WriteAsync(plan, Target));
        Assert.Equal($"there is a cluster in {Target} already", taken.Message);

        await using (await StartAsync())
        {
            await Eventually.HoldsAsync(() => Task.FromResult(new ClusterDirectory(Target).RunningServer() is not null), () => "no server");
            var running = await Assert.ThrowsAsync<SalvorException>(() => WriteAsync(plan, Target));
            Assert.Equal(FailureKind.Locked, running.Kind);
            Assert.Matches($"^a server runs in {Target}: process \\d+$", running.Message);
        }

        Assert.Null(new ClusterDirectory(Target).RunningServer());
        File.WriteAllText(Path.Combine(scratch.Subdirectory("other"), "file"), "");
        var full = await Assert.ThrowsAsync<SalvorException>(() => WriteAsync(plan, scratch["other"]));
        Assert.Equal($"directory {scratch["other"]} is not empty", full.Message);
    }

    [Fact]
    public async Task From_the_first_change_on_a_cluster_that_is_restored_over_cannot_start()
    {
        var plan = await RestoreAsync(new RecoveryTarget.Immediate());
        var armed = new Dictionary<string, bool>();
        var control = Path.Combine(Target, "global/pg_control");
        var over = new ClusterRestore(real.Snapshot, await WalCatalog.LoadAsync(real.Vault, Cancel), plan)
        {
            IsOver = true, Progressed = now => armed[now.Phase] = armed.GetValueOrDefault(now.Phase) || File.Exists(control),
        };
        await over.RunAsync(Target, Cancel);

        Assert.True(armed["fetching the log"]);
        string[] changing = ["restoring", "removing what the backup does not have", "moving into place", "flushing to the disk"];
        Assert.All(changing, what => Assert.False(armed[what], what));
        Assert.True(File.Exists(control));
    }

    [Fact]
    public async Task Until_the_cluster_that_is_there_cannot_start_its_own_recovery_is_not_touched()
    {
        await RestoreAsync(new RecoveryTarget.Latest());
        var (own, other) = (Path.Combine(Target, RecoveryFolder.Name), Path.Combine(Target, RecoveryFolder.NewName));
        File.WriteAllText(Path.Combine(own, "own"), "");
        var plan = await real.PlanAsync(new RecoveryTarget.Immediate());
        var (catalog, isStopped, seen) = (await WalCatalog.LoadAsync(real.Vault, Cancel), true, false);
        ClusterRestore Over() => new(real.Snapshot, catalog, plan)
        {
            IsOver = true,
            Progressed = now =>
            {
                if (now.Phase == "comparing with what is there" && File.Exists(Path.Combine(Target, "global/pg_control")))
                {
                    seen = File.Exists(Path.Combine(own, "own")) && File.Exists(Path.Combine(other, "names"));
                    Assert.False(isStopped, "stopped");
                }
            },
        };

        var failed = Over();
        await Assert.ThrowsAsync<Xunit.Sdk.FalseException>(() => failed.RunAsync(Target, Cancel));
        Assert.True(seen);
        Assert.Null(failed.Unfinished);
        Assert.True(File.Exists(Path.Combine(own, "own")));
        Assert.False(Directory.Exists(other) || RestoreMark.IsIn(Target));

        isStopped = false;
        await Over().RunAsync(Target, Cancel);
        Assert.True(File.Exists(Path.Combine(own, "names")));
        Assert.False(File.Exists(Path.Combine(own, "own")) || Directory.Exists(other));
    }

    public void Dispose() => scratch.Dispose();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    async Task<RecoveryPlan> RestoreAsync(RecoveryTarget target, RecoveryAction action = RecoveryAction.Promote)
    {
        var plan = await real.PlanAsync(target);
        plan = plan with { End = plan.End with { Action = action } };
        await WriteAsync(plan, Target);
        if (Environment.IsPrivilegedProcess)
        {
            File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
        }

        return plan;
    }

    async Task WriteAsync(RecoveryPlan plan, string target) =>
        await new ClusterRestore(real.Snapshot, await WalCatalog.LoadAsync(real.Vault, Cancel), plan).RunAsync(target, Cancel);

    Task<PrivateServer> StartAsync() =>
        PrivateServer.StartAsync(new ClusterDirectory(Target), "postgres", TimeProvider.System, Cancel);

    internal static async Task<string?> AskAsync(PrivateServer server, string sql)
    {
        await using var connection = await PostgresConnection.OpenAsync(server.Connection, SessionKind.Sql, TimeProvider.System, Cancel);
        return (await connection.QueryOneAsync(sql, Cancel)).Text(0, 0);
    }
}
