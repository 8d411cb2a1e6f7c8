using Salvor.Files;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Drills.Reports;
using Salvor.Vault.Trees;

namespace Salvor.Tests.Jobs.Drills;

public sealed class DrillJudgementTests
{
    static readonly DateTimeOffset Now = new(2026, 8, 31, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData("42", "42", true)]
    [InlineData("42", "42.0", true)]
    [InlineData("= 42", "43", false)]
    [InlineData(">= 100", "100", true)]
    [InlineData(">= 100", "99", false)]
    [InlineData("> -1", "0", true)]
    [InlineData("< 1e3", "999", true)]
    [InlineData("<= 5", "NULL", false)]
    [InlineData(">= 0", "", false)]
    [InlineData("!= 0", "7", true)]
    [InlineData("!= ok", "ok", false)]
    [InlineData("ok", "ok\n", true)]
    [InlineData("ok", "OK", false)]
    public void A_value_is_as_expected_or_not(string expect, string found, bool isMet) =>
        Assert.Equal(isMet, Expectation.TryParse(expect)!.IsMet(found));

    [Fact]
    public void A_comparison_by_size_needs_a_number() => Assert.Null(Expectation.TryParse(">= many"));

    [Fact]
    public void A_failure_counts_more_than_age_and_age_more_than_a_warning()
    {
        var warn = Check("rows", CheckOutcome.Warn);
        var stale = Check("freshness", CheckOutcome.Stale);
        var fail = Check("sql", CheckOutcome.Fail);

        Assert.Equal((DrillResult.Pass, 0), Judge(warn, Check("rto", CheckOutcome.Skipped)));
        Assert.Equal((DrillResult.Stale, 10), Judge(warn, stale));
        Assert.Equal((DrillResult.Fail, 1), Judge(stale, fail));
        Assert.Equal((DrillResult.Fail, 5), Judge(stale, Check("integrity_check", CheckOutcome.Fail), fail));
        var unreachable = new SalvorException(FailureKind.DestinationUnreachable, "it is away", "Wait.");
        var record = DrillJudgement.Judge(Record(fail), unreachable);
        Assert.Equal((DrillResult.Fail, 4, "it is away", "Wait."), (record.Result, record.ExitCode, record.Reason, record.Hint));
    }

    [Fact]
    public void What_a_loss_costs_is_the_time_since_the_destination_was_complete_unless_the_source_did_not_change()
    {
        var complete = Now.AddMinutes(-7);

        Assert.Equal(TimeSpan.FromMinutes(7), DrillJudgement.LossOf(Now, complete, complete.AddSeconds(1)));
        Assert.Equal(TimeSpan.FromMinutes(7), DrillJudgement.LossOf(Now, complete, sourceWrittenAt: null));
        Assert.Equal(TimeSpan.Zero, DrillJudgement.LossOf(Now, complete, complete.AddDays(-1)));
        Assert.Equal(TimeSpan.Zero, DrillJudgement.LossOf(Now, Now.AddSeconds(1), Now.AddSeconds(2)));
    }

    [Fact]
    public void A_table_that_lost_its_rows_is_noticed_and_failed_where_that_is_asked_for()
    {
        var before = new Dictionary<string, long> { ["a"] = 1_000, ["b"] = 10 };
        var now = new Dictionary<string, long> { ["a"] = 800, ["b"] = 10, ["c"] = 0 };

        Assert.Equal((CheckOutcome.Pass, "3 table(s), 810 row(s)"), RowComparison.Judge(now, before, 20, accepted: false));
        Assert.Equal(
            (CheckOutcome.Fail, "table a went from 1,000 to 800 row(s)"), RowComparison.Judge(now, before, 19, accepted: false));
        Assert.Equal(CheckOutcome.Warn, RowComparison.Judge(now, before, 19, accepted: true).Outcome);
        Assert.Equal(CheckOutcome.Pass, RowComparison.Judge(now, before, null, accepted: false).Outcome);
        now["a"] = 499;
        Assert.Equal(CheckOutcome.Warn, RowComparison.Judge(now, before, null, accepted: false).Outcome);
        now.Remove("b");
        Assert.Equal(
            (CheckOutcome.Fail, "table b with 10 row(s) is gone"), RowComparison.Judge(now, before, 99, accepted: false));
        Assert.Equal(
            (CheckOutcome.Pass, "2 table(s), 499 row(s); nothing to compare with yet"),
            RowComparison.Judge(now, null, 0, accepted: false));
    }

    [Theory]
    [InlineData(10, 3, 1, 1_000, 0, 0, CheckOutcome.Pass)]
    [InlineData(9, 3, 1, 900, 1, 100, CheckOutcome.Warn)]
    [InlineData(10, 3, 0, 1_000, 0, 0, CheckOutcome.Warn)]
    [InlineData(8, 3, 1, 900, 1, 100, CheckOutcome.Fail)]
    [InlineData(9, 2, 1, 900, 1, 100, CheckOutcome.Fail)]
    [InlineData(9, 3, 1, 899, 1, 100, CheckOutcome.Fail)]
    [InlineData(10, 3, 1, 999, 0, 0, CheckOutcome.Fail)]
    [InlineData(8, 3, 1, 800, 2, 200, CheckOutcome.Fail)]
    public void What_could_not_be_read_excuses_that_it_is_missing_and_nothing_else(
        long files, long directories, long others, long bytes, long lacking, long lackingBytes, CheckOutcome outcome)
    {
        var listed = new TreeTotals(10, 3, 1, 1_000, Unreadable: 1, Changed: 0);
        var restored = new RestoredTree(files, files + directories, bytes, 0)
        {
            Lacking = (lacking, lackingBytes), Problems = [],
        };

        var check = DrillJudgement.OfFiles(listed, new TreeTotals(files, directories, others, bytes, 0, 0), restored, 0);

        Assert.Equal(outcome, check.Outcome);
    }

    [Fact]
    public void The_line_for_scripts_has_the_result_the_point_and_whole_hours()
    {
        var record = Record() with { Result = DrillResult.Stale, Position = 42, BackupAgeSeconds = 30.9 * 3600 };

        Assert.Equal("Backup verify: STALE (archive=app-42, age=30h)", DrillWords.Line(record));
        Assert.Equal(
            "Backup verify: FAIL (archive=none, age=unknown)",
            DrillWords.Line(record with { Result = DrillResult.Fail, Position = 0, BackupAgeSeconds = null }));
    }

    static (DrillResult Result, int ExitCode) Judge(params DrillCheck[] checks)
    {
        var record = DrillJudgement.Judge(Record(checks), failure: null);
        return (record.Result, record.ExitCode);
    }

    static DrillCheck Check(string kind, CheckOutcome outcome) => new(kind, kind, outcome, "", "found", 0);

    static DrillRecord Record(params DrillCheck[] checks) => new()
    {
        Source = "app", Result = DrillResult.Fail, StartedAt = Now, FinishedAt = Now, Checks = checks,
    };
}
