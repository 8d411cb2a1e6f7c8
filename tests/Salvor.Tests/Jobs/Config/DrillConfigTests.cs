using Salvor.Jobs.Config;
using Salvor.Jobs.Drills;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class DrillConfigTests
{
    [Fact]
    public void Every_key_can_be_set()
    {
        var drill = Read("""
            { every: 7d, rto: 5m, rpo: 15m, max_age: 25h, max_shrink: 20%, keep_reports: 24, checks: [
              { sql: SELECT count(*) FROM users, expect: ">= 100" },
              { name: loads, command: "smoke {path}", timeout: 10m },
              { url: "http://127.0.0.1:8080/health", status: 204, contains: ok } ] }
            """);

        Assert.Equal(TimeSpan.FromDays(7), drill.Every);
        Assert.Equal(TimeSpan.FromMinutes(5), drill.Rto);
        Assert.Equal(TimeSpan.FromMinutes(15), drill.Rpo);
        Assert.Equal(TimeSpan.FromHours(25), drill.AgeMax);
        Assert.Equal(20, drill.ShrinkPercent);
        Assert.Equal(24, drill.KeepReports);
        var sql = Assert.IsType<SmokeCheck.Sql>(drill.Checks[0]);
        Assert.Equal(("SELECT count(*) FROM users", ">= 100"), (sql.Statement.Value, sql.Expect!.Text));
        var command = Assert.IsType<SmokeCheck.Command>(drill.Checks[1]);
        Assert.Equal(("loads", TimeSpan.FromMinutes(10)), (command.Name, command.Limit));
        var url = Assert.IsType<SmokeCheck.Url>(drill.Checks[2]);
        Assert.Equal((204, "ok", SmokeCheck.LimitDefault), (url.Status, url.Contains, url.Limit));
    }

    [Fact]
    public void The_daemon_drills_once_a_month_where_drill_is_written_and_never_where_it_is_not()
    {
        Assert.Null(Parse(Minimal).Sources["app"].Drill.Every);
        Assert.Null(Read("off").Every);
        Assert.Null(Read("{ every: off, rto: 5m }").Every);
        Assert.Equal(TimeSpan.FromDays(30), Read("{ rto: 5m }").Every);
        Assert.Equal(TimeSpan.FromDays(30), Read("{ every: monthly }").Every);
        Assert.Equal(TimeSpan.FromDays(7), Read("{ every: weekly }").Every);
    }

    [Fact]
    public void What_reports_call_a_check_has_the_name_of_a_variable_and_not_its_value()
    {
        var check = Read("{ checks: [ { command: \"curl -H ${ONE} http://x\" } ] }").Checks[0];

        Assert.Equal("curl -H ${ONE} http://x", check.Name);
        Assert.DoesNotContain("${ONE}", Assert.IsType<SmokeCheck.Command>(check).Line.Value, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("{ checks: [ { expect: 1 } ] }", "check 1 of drill of source app has none of sql, command and url")]
    [InlineData("{ checks: [ { sql: a, url: b } ] }", "check 1 of drill of source app has more than one of sql, command and url")]
    [InlineData(
        "{ checks: [ { sql: a, expect: '> x' } ] }", "expect of check 1 of drill of source app is \"> x\", which compares with no number")]
    [InlineData("{ checks: [ { url: 'file:///etc/passwd' } ] }", "url of check 1 of drill of source app is no http or https URL")]
    [InlineData("{ checks: [] }", "checks of drill of source app is not a list of 1 to 100 checks")]
    [InlineData("{ max_shrink: 20 }", "max_shrink of drill of source app is \"20\"")]
    [InlineData("{ every: yearly }", "every of drill of source app is \"yearly\", which is not a duration")]
    [InlineData("{ rot: 5m }", "unknown key \"rot\" in drill of source app")]
    public void A_mistake_is_named(string drill, string message)
    {
        var e = Assert.Throws<SalvorException>(() => Read(drill));

        Assert.Equal(FailureKind.Usage, e.Kind);
        Assert.Contains(message, e.Message, StringComparison.Ordinal);
    }

    static DrillConfig Read(string drill) => Parse($$"""
        destinations: { local: { type: file, path: /backups } }
        sources:
          app:
            type: sqlite
            path: /data/app.db
            to: [local]
            drill: {{drill.ReplaceLineEndings("\n" + new string(' ', 12))}}
        """, ("ONE", "hidden")).Sources["app"].Drill;
}
