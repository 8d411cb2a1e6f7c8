using System.Globalization;
using System.Text.Json;
using Salvor.Postgres.Restore;
using Salvor.Tests.Cli;
using Salvor.Tests.Support;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>A drill of a cluster passes only where a server brought it back with all that was promised.</summary>
public sealed class ClusterDrillTests(ClusterVault real) : IClassFixture<ClusterVault>, IAsyncLifetime
{
    readonly ScratchDirectory scratch = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        await real.CopyAsync(scratch);
        Directory.CreateDirectory(scratch["restored"]);
    }

    public ValueTask DisposeAsync()
    {
        scratch.Dispose();
        return default;
    }

    [Fact]
    public async Task What_was_recovered_is_checked_asked_and_timed_and_nothing_of_it_stays()
    {
        Configure(
            "every: off, rto: 1h, rpo: 365d, checks: [ { sql: SELECT count(*) FROM pg_class, expect: \">= 100\" }, "
                + "{ command: 'psql -XAtc \"select current_user || current_database()\"', expect: postgrespostgres }, "
                + "{ command: 'cat {path}/PG_VERSION', expect: " + $"{PostgresServer.Major}" + " }, { exists: /base } ]");
        var plan = await real.PlanAsync(new RecoveryTarget.Latest());

        var drill = await RunAsync("drill", "pg", "--report", scratch["r.md"], "--report", scratch["r.html"], "--json");
        var status = await RunAsync("status", "--prom");
        var history = await RunAsync("drill", "--history");

        Assert.True(drill.ExitCode == 0, $"{drill}");
        JsonTests.AssertDocument("drill", drill);
        var record = JsonElement.Parse(drill.Stdout).GetProperty("drills")[0];
        Assert.Equal(["fetch", "apply", "recover", "check", "smoke"], Names(record, "phases"));
        Assert.Equal(plan.Promised.Value, record.GetProperty("position").GetUInt64());
        Assert.Equal(0, record.GetProperty("rows").GetProperty("postgres.public.u").GetInt64());
        Assert.True(Lsn.TryParse(record.GetProperty("cluster").GetProperty("replayed").GetString(), out var replayed));
        Assert.True(replayed >= plan.Promised, $"{replayed} {plan.Promised}");
        Assert.True(record.GetProperty("rpo_seconds").GetDouble() > 0);
        Assert.Contains(
            $"| Restored | {plan.Promised} of {LastOf(plan)}, timeline 1 |", File.ReadAllText(scratch["r.md"]), StringComparison.Ordinal);
        Assert.Contains("<rect class=\"recover\"", File.ReadAllText(scratch["r.html"]), StringComparison.Ordinal);
        Assert.Contains("salvor_drill_rto_target_seconds{source=\"pg\"} 3600", status.Stdout, StringComparison.Ordinal);
        Assert.Contains($"  PASS    {plan.Promised,-10}  ", history.Stdout, StringComparison.Ordinal);
        AssertNothingStays();
    }

    [Fact]
    public async Task A_drill_of_a_moment_has_the_rows_of_that_moment_and_says_nothing_of_the_newest()
    {
        Configure($"every: off, checks: [ {{ sql: \"{ClusterVault.DigestSql}\", expect: \"{real.Moments[4].Digest}\" }} ]");

        var drill = await RunAsync("drill", "pg", "--timestamp", At(real.Moments[4].At));

        Assert.True(drill.ExitCode == 0, $"{drill}");
        Assert.Contains($"sql: {ClusterVault.DigestSql}: {real.Moments[4].Digest}\n", drill.Stdout, StringComparison.Ordinal);
        Assert.DoesNotContain("freshness", drill.Stdout, StringComparison.Ordinal);
        Assert.DoesNotContain("rpo", drill.Stdout, StringComparison.Ordinal);
        Assert.Empty(Records());

        var later = await RunAsync("drill", "pg", "--timestamp", "2099-01-01T00:00:00Z");
        Assert.True(later.ExitCode == 6, $"{later}");
        Assert.Contains("2099-01-01T00:00:00Z is not in the log after backup 1", later.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_check_that_fails_fails_the_drill()
    {
        (string Check, string Found)[] checks =
        [
            ("sql: SELECT 1, expect: 2", "sql: SELECT 1: 1; expected 2"),
            ("sql: SELECT i FROM t", "sql: SELECT i FROM t: server .+ says: relation \"t\" does not exist"),
            ("sql: SELECT 3, database: other", "sql: SELECT 3: server .+ database \"other\" does not exist"),
            ("sql: CREATE TABLE v (), name: v", "sql: v: server .+ says: cannot execute CREATE TABLE in a read-only transaction"),
            ("sql: SELECT 1; SELECT 2, name: two", "sql: two: 2 of its statements give rows"),
            ("sql: SELECT pg_sleep(100), name: s, timeout: 100ms", "sql: s: not done after 100ms"),
            ("command: psql -c 'select nothing', name: c", "command: c: exit code 1; expected exit code 0"),
            ("exists: /base/nothing", "exists: /base/nothing: nothing; expected a file with content"),
        ];
        Configure($"every: off, checks: [ {string.Join(", ", checks.Select(item => $"{{ {item.Check} }}"))} ]");

        var drill = await RunAsync("drill", "pg");

        Assert.True(drill.ExitCode == 1, $"{drill}");
        Assert.StartsWith("salvor: pg: sql \"SELECT 1\": 1, expected 2\n", drill.Stderr, StringComparison.Ordinal);
        Assert.All(checks, item => Assert.Matches($@"\n  \[fail\]  {item.Found}\n", drill.Stdout));
        AssertNothingStays();
    }

    [Fact]
    public async Task A_damaged_chunk_fails_the_drill()
    {
        Configure("every: off");
        foreach (var path in Directory.GetFiles(scratch["vaults/pg/packs"], "*", SearchOption.AllDirectories))
        {
            var bytes = await File.ReadAllBytesAsync(path, Cancel);
            bytes[bytes.Length / 2] ^= 1;
            await File.WriteAllBytesAsync(path, bytes, Cancel);
        }

        var drill = await RunAsync("drill", "pg");

        Assert.True(drill.ExitCode == 5, $"{drill}");
        Assert.Matches(@"^salvor: pg: .+ is damaged: ", drill.Stderr);
        Assert.EndsWith("Backup verify: FAIL (archive=none, age=unknown)\n", drill.Stdout, StringComparison.Ordinal);
        AssertNothingStays();
    }

    [Fact]
    public async Task Where_no_server_of_its_version_is_the_drill_does_not_pass()
    {
        Configure("every: off");

        await using var drilling = ClusterVault.Without(scratch, "/usr/lib/postgresql", "drill", "pg");
        var drill = await drilling.ExitAsync();

        Assert.True(drill.ExitCode == 1, $"{drill}");
        Assert.Matches($"^salvor: pg: PostgreSQL {PostgresServer.Major} is not installed here: .+\nhint: Install it ", drill.Stderr);
        Assert.Contains("[fail]  server: PostgreSQL ", drill.Stdout, StringComparison.Ordinal);
        AssertNothingStays();
    }

    [Theory]
    [InlineData(Signal.Interrupt)]
    [InlineData(Signal.Kill)]
    public async Task What_is_stopped_leaves_nothing_behind_the_next_one(Signal signal)
    {
        Configure("every: off, checks: [ { command: sleep 60 } ]");
        await using var process = SalvorProcess.Start("drill", "pg", "--config", scratch["salvor.yaml"]);
        await Eventually.HoldsAsync(
            () => File.Exists(scratch["restored/drill-pg/data/postmaster.pid"]), () => process.Stderr, Eventually.StartMax);
        var server = int.Parse(
            File.ReadLines(scratch["restored/drill-pg/data/postmaster.pid"]).First(), CultureInfo.InvariantCulture);

        process.Send(signal);
        await process.ExitAsync();
        await Eventually.HoldsAsync(() => !Directory.Exists($"/proc/{server}"), () => $"server {server} goes on", Eventually.StartMax);

        if (signal == Signal.Kill)
        {
            Configure("every: off");
            var next = await RunAsync("drill", "pg");
            Assert.True(next.ExitCode == 0, $"{next}");
        }

        AssertNothingStays();
    }

    [Fact]
    public async Task The_daemon_drills_by_itself()
    {
        Configure("every: 1s");
        await using var daemon = SalvorProcess.Start("daemon", "--config", scratch["salvor.yaml"]);

        await Eventually.HoldsAsync(
            () => Records().Length > 0, () => daemon.Stderr, Eventually.StartMax);
        daemon.Send(Signal.Interrupt);
        await daemon.ExitAsync();

        AssertNothingStays();
        var record = JsonElement.Parse(await File.ReadAllTextAsync(Records().Single(), Cancel));
        Assert.Equal("PASS", record.GetProperty("result").GetString());
    }

    static string At(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture);

    static string LastOf(RecoveryPlan plan) =>
        InstantText.Format(Micros.ToTime(plan.LastCommit!.Value.TimeMicros));

    static string[] Names(JsonElement record, string list) =>
        [.. record.GetProperty(list).EnumerateArray().Select(item => item.GetProperty("name").GetString()!)];

    string[] Records() => Directory.Exists(scratch[".salvor"]) ? Directory.GetFiles(scratch[".salvor"], "pg-*.drill.json") : [];

    void Configure(string drill) => ClusterVault.Configure(scratch, $"verify: off, drill: {{ {drill} }}");

    Task<ProcessResult> RunAsync(params string[] arguments) =>
        SalvorProcess.RunAsync([.. arguments, "--config", scratch["salvor.yaml"]]);

    void AssertNothingStays() => Assert.Empty(Directory.GetDirectories(scratch["restored"]));
}
