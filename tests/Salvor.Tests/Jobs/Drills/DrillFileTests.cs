using Salvor.Jobs.Drills;
using Salvor.Sqlite;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Drills;

public sealed class DrillFileTests : IDisposable
{
    static readonly DateTimeOffset Now = new(2026, 8, 31, 12, 0, 0, TimeSpan.Zero);
    readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void Only_a_drill_of_the_newest_point_that_passed_moves_when_one_passed_last()
    {
        Write(Record(1, DrillResult.Fail));
        Assert.Null(Read().LastPassedAt);
        Write(Record(2, DrillResult.Pass, rows: 10));
        Write(Record(3, DrillResult.Fail, rows: 3));
        Write(Record(4, DrillResult.Stale, rows: 4));
        Write(Record(5, DrillResult.Pass, rows: 5) with { RequestedTime = Now });

        Assert.Equal(Now.AddDays(2), Read().LastPassedAt);
        Assert.Equal(Now.AddDays(4), Read().FinishedAt);
        Assert.Equal(10, Read().RowsBaseline!["t"]);
        Assert.Equal(Now.AddDays(2), Read().BaselineTime);
        Write(Record(6, DrillResult.Pass, rows: 6));
        Assert.Equal(Now.AddDays(6), Read().LastPassedAt);
        Assert.Equal(6, Read().RowsBaseline!["t"]);
    }

    [Fact]
    public void The_history_keeps_the_newest_drills_and_leaves_out_what_it_cannot_read()
    {
        for (var day = 1; day <= 4; day++)
        {
            Write(Record(day, DrillResult.Pass));
        }

        var path = LocalState.DrillHistoryPath(_scratch.Path, _scratch["app.db"]);
        Assert.Equal([2, 3, 4], Days(path));
        var text = File.ReadAllText(path);
        File.WriteAllText(path, text.Replace("{\"source\":\"app\",\"result\":\"PASS\"", "{\"source\"", StringComparison.Ordinal));
        Assert.Empty(DrillFile.ReadHistory(path));
        Write(Record(5, DrillResult.Fail));
        File.AppendAllText(path, "half a li");
        Assert.Equal([5], Days(path));

        static IEnumerable<int> Days(string path) => DrillFile.ReadHistory(path).Select(item => (item.FinishedAt - Now).Days);
    }

    [Fact]
    public void What_cannot_be_read_is_no_drill()
    {
        Write(Record(1, DrillResult.Pass));
        var path = LocalState.DrillPath(_scratch.Path, _scratch["app.db"]);
        Assert.NotNull(DrillFile.Read(path));
        File.WriteAllText(path, "{");
        Assert.Null(DrillFile.Read(path));
    }

    DrillRecord Read() => DrillFile.Read(LocalState.DrillPath(_scratch.Path, _scratch["app.db"]))!;

    void Write(DrillRecord record) => DrillFile.Write(_scratch.Path, _scratch["app.db"], record, kept: 3);

    static DrillRecord Record(int day, DrillResult result, long rows = 0) => new()
    {
        Source = "app",
        Result = result,
        StartedAt = Now.AddDays(day),
        FinishedAt = Now.AddDays(day),
        Time = Now.AddDays(day),
        Rows = new Dictionary<string, long> { ["t"] = rows },
    };
}
