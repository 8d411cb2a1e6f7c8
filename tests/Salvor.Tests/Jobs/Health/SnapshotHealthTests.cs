using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Jobs.Notify;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;
using Salvor.Tests.Support;
using Salvor.Vault.Trees;

namespace Salvor.Tests.Jobs.Health;

/// <summary>How a source fares that nothing serves: from the files that its backups leave.</summary>
public sealed class SnapshotHealthTests : IDisposable
{
    readonly ScratchDirectory scratch = new();
    readonly ManualTime time = new();

    public SnapshotHealthTests() => Directory.CreateDirectory(scratch[".salvor"]);

    public void Dispose() => scratch.Dispose();

    DateTimeOffset Now => time.GetUtcNow();

    [Fact]
    public async Task Metrics_tell_of_it_what_they_tell_of_databases()
    {
        Write(Made(Now.AddMinutes(-30)) with
        {
            SizeBytes = 4096, DurationSeconds = 1.5, Files = 12, Copies = [Copy("local"), Copy("offsite")],
        });
        Write(HealthRig.Verified(Now.AddHours(-2)));
        PruneFile.Write(LocalState.PrunePath(scratch[".salvor"], "uploads"), new PruneRecord { At = Now.AddHours(-3) });

        var text = MetricsText.Write([Read()]);
        var lines = text.Split('\n');

        Assert.Contains("salvor_up{source=\"uploads\",destination=\"local\"} 1", lines);
        Assert.Contains("salvor_check_ok{source=\"uploads\"} 1", lines);
        Assert.Contains("salvor_state{source=\"uploads\",state=\"healthy\"} 1", lines);
        Assert.Contains("salvor_backup_age_hours{source=\"uploads\",destination=\"local\"} 0.5", lines);
        Assert.Contains("salvor_backup_age_max_hours{source=\"uploads\"} 2", lines);
        Assert.Contains("salvor_backup_duration_seconds{source=\"uploads\",destination=\"local\"} 1.5", lines);
        Assert.Contains("salvor_backup_size_bytes{source=\"uploads\",destination=\"local\"} 4096", lines);
        Assert.Contains("salvor_backup_files{source=\"uploads\"} 12", lines);
        Assert.Contains("salvor_backup_partial_files{source=\"uploads\"} 0", lines);
        Assert.Contains("salvor_backup_anomalies{source=\"uploads\"} 0", lines);
        Assert.Contains($"salvor_backup_next_timestamp{{source=\"uploads\"}} {Now.AddMinutes(30).ToUnixTimeSeconds()}", lines);
        Assert.Contains("salvor_backup_total{source=\"uploads\",status=\"success\"} 1", lines);
        Assert.Contains("salvor_verify_age_seconds{source=\"uploads\"} 7200", lines);
        Assert.Contains("salvor_prune_age_seconds{source=\"uploads\"} 10800", lines);
        await File.WriteAllTextAsync(scratch["metrics"], text, TestContext.Current.CancellationToken);
        var checkedBy = await ChildProcess.RunAsync("sh", ["-c", $"promtool check metrics < {scratch["metrics"]}"]);
        Assert.DoesNotContain("error", checkedBy.Stderr, StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public void One_that_was_never_backed_up_is_unprotected_until_the_first_begins()
    {
        Assert.Equal(["unprotected: uploads is configured and was never backed up from here"], Problems());

        using var held = Salvor.Platform.LockFile.Acquire(
            LocalState.LockPath(scratch[".salvor"], "uploads"), Salvor.Platform.LockHolder.Current(Now, socket: null, "1"));
        Assert.Empty(Problems());
    }

    [Fact]
    public void What_failed_is_told_once_and_is_a_failure()
    {
        Write(Made(Now.AddMinutes(-90)).FailedAt(Now.AddMinutes(-30), "no room"));

        Assert.Equal(["backup_failed: the last backup of uploads failed: no room"], Problems());
        Assert.Equal([(NotifyKind.Failure, "backup_failed")], Told());
    }

    [Fact]
    public void What_was_due_and_not_made_is_missed_and_not_also_too_old()
    {
        Write(Made(Now.AddMinutes(-110)));
        Assert.Empty(Problems());

        Write(Made(Now.AddMinutes(-121)));
        Assert.Equal(["backup_missed: the backup of uploads that was due at 2026-08-01T09:29:00Z was not made"], Problems());
        Assert.Equal([(NotifyKind.Missed, "backup_missed")], Told());
    }

    [Fact]
    public void Without_a_schedule_it_is_too_old_by_its_limit_alone()
    {
        Write(Made(Now.AddHours(-27)));
        Write(HealthRig.Verified(Now));

        var health = Read("{ type: files, paths: [/srv], to: [local, offsite] }");
        Assert.Empty(HealthCheck.Problems(health, HealthLimits.None));
        var problem = Assert.Single(NotifyProblems.Of(health, Now.AddDays(-9)));
        Assert.Equal(
            (NotifyKind.Stale, "uploads was backed up 1d3h ago; at most 26h is allowed"), (problem.Kind, problem.Text));
    }

    [Fact]
    public void What_looks_like_ransomware_is_told_and_is_no_failed_check()
    {
        Write(Made(Now) with { Files = 12, Anomaly = new BackupAnomaly(7, Now, 6, ["one thing", "another"]) });

        Assert.Empty(Problems());
        Assert.Contains("salvor_backup_anomalies{source=\"uploads\"} 1", MetricsText.Write([Read()]).Split('\n'));
        var problem = Assert.Single(NotifyProblems.Of(Read(), Now.AddDays(-9)), item => item.Problem == "anomaly");
        Assert.Equal(
            (NotifyKind.Failure, "backup 7 of uploads looks as if ransomware had been there: one thing; another"),
            (problem.Kind, problem.Text));
        Assert.Contains("'salvor diff uploads 6 7'", problem.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void A_backup_that_lacks_names_is_told_and_is_no_reason_to_wake_anybody()
    {
        Write(Made(Now) with { PartialFiles = 3 });

        var problem = Assert.Single(HealthCheck.Problems(Read(), HealthLimits.None));
        Assert.Equal(
            ("partial", Severity.Ticket,
                "the last backup of uploads lacks 3 name(s) that could not be read, or changed while they were read"),
            (problem.Kind, problem.Severity, problem.Message));
        Assert.Equal([(NotifyKind.Failure, "partial")], Told());
    }

    [Fact]
    public void A_copy_that_waits_is_named()
    {
        Write(Made(Now) with
        {
            Copies = [Copy("local"), Copy("offsite") with { BehindSince = Now.AddHours(-5), Error = "it is away", Hint = "Look." }],
        });

        Assert.Equal(["backing_off: the copy of uploads at offsite backs off: it is away"], Problems());
        Assert.Equal(TimeSpan.FromHours(5), Read().Destinations[1].BackingOff);
    }

    void Write(BackupMark mark) => BackupMarkFile.Write(LocalState.BackupPath(scratch[".salvor"], "uploads"), mark);

    void Write(VerifyRecord record) => VerifyFile.Write(LocalState.VerifyPath(scratch[".salvor"], "uploads"), record);

    SourceHealth Read(string source = "{ type: files, paths: [/srv], to: [local, offsite], schedule: every 1h }")
    {
        var config = ConfigFile.Parse(
            $$"""
            destinations: { local: { type: file, path: ./a }, offsite: { type: file, path: ./b } }
            sources: { uploads: {{source}} }

            """,
            scratch["salvor.yaml"], _ => null);
        return Assert.Single(new HealthReader(time).ReadAll(config, failure => throw failure));
    }

    string[] Problems() =>
        [.. HealthCheck.Problems(Read(), HealthLimits.None).Select(problem => $"{problem.Kind}: {problem.Message}")];

    /// <summary>It was verified just now, so that nothing is told of that.</summary>
    (NotifyKind Kind, string Problem)[] Told()
    {
        Write(HealthRig.Verified(Now));
        return [.. NotifyProblems.Of(Read(), Now.AddDays(-9)).Select(problem => (problem.Kind, problem.Problem))];
    }

    static BackupMark Made(DateTimeOffset at) => new()
    {
        VaultId = Guid.Empty, LastSuccessAt = at, BackupAt = at, BackupId = 1, Succeeded = 1, Copies = [Copy("local"), Copy("offsite")],
    };

    static CopyStatus Copy(string name) => new($"/{name}", true, null, "", "") { Name = name };
}
