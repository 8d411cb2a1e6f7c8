using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>A database that two writers filled, and SQLite's own copy of it from the middle of the load.</summary>
public sealed class LoadedDatabase : IAsyncLifetime
{
    const int CommitsBefore = 500;
    const int CommitsAfter = 500;

    internal ScratchDirectory Scratch { get; } = new();

    internal Workload Workload { get; private set; } = null!;

    internal string Database => Scratch["app.db"];

    internal string Copy => Scratch["copy.db"];

    public async ValueTask InitializeAsync()
    {
        var options = new WorkloadOptions
        {
            Profile = "mixed", Checkpoint = "random", Seed = TestSeed.Take(),
        };
        Workload = new(Database, Scratch.Path, options, writerCount: 2);
        await Workload.StartAsync();
        await CommitsAsync(CommitsBefore);
        await Tool.BackupAsync(Database, Copy);
        await CommitsAsync(Workload.LastAcked() + CommitsAfter);
        await Workload.StopAsync();
    }

    Task CommitsAsync(long seq) =>
        Eventually.HoldsAsync(() => Workload.LastAcked() >= seq, () => $"commit {seq} was not made; the last is {Workload.LastAcked()}");

    public async ValueTask DisposeAsync()
    {
        await Workload.DisposeAsync();
        Scratch.Dispose();
    }
}

/// <summary>Who judges the judge: the oracle accepts what SQLite itself copied, and finds what was done to the copy.</summary>
public sealed class OracleTests : IClassFixture<LoadedDatabase>, IDisposable
{
    readonly ScratchDirectory _scratch = new();
    readonly LoadedDatabase _loaded;
    readonly Workload _workload;
    readonly string _copy;

    public OracleTests(LoadedDatabase loaded)
    {
        _loaded = loaded;
        _workload = loaded.Workload;
        _copy = _scratch["copy.db"];
        File.Copy(loaded.Copy, _copy);
    }

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public async Task A_copy_taken_under_load_is_accepted()
    {
        var verdict = await JudgeAsync();

        Assert.Empty(verdict.Errors);
        Assert.InRange(verdict.Seq, 100, _workload.LastAcked() - 1);
        Assert.NotEqual(0, verdict.Rows);
    }

    [Theory]
    [InlineData("UPDATE w1_main SET s = s || ' ' WHERE id = (SELECT id FROM w1_main WHERE s IS NOT NULL LIMIT 1 OFFSET 7)")]
    [InlineData("DELETE FROM w2_main WHERE id = (SELECT max(id) FROM w2_main)")]
    [InlineData("INSERT INTO w2_main VALUES (-5, 0, 'never', NULL)")]
    [InlineData("DROP INDEX w1_main_k")]
    [InlineData("CREATE TABLE w1_forgotten (id INTEGER PRIMARY KEY)")]
    public async Task A_change_that_no_writer_made_is_found(string sql)
    {
        await Tool.SqlAsync(_copy, sql);

        Assert.Contains((await JudgeAsync()).Errors, error => error.Contains("the tables differ", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_commit_lost_in_the_middle_is_found()
    {
        await Tool.SqlAsync(_copy, "DELETE FROM _commits WHERE seq = 50");

        Assert.Contains("commit 50 is missing: 51 follows 49", (await JudgeAsync()).Errors);
    }

    [Fact]
    public async Task A_last_commit_whose_rows_are_missing_is_found()
    {
        // What a restore that drops the pages of one table from the last transaction would leave.
        await Tool.SqlAsync(_copy, """
            INSERT INTO _commits SELECT seq + 1, writer, writer_seq + 1 FROM _commits ORDER BY seq DESC LIMIT 1;
            """);

        Assert.NotEmpty((await JudgeAsync()).Errors);
    }

    [Fact]
    public async Task A_table_of_nobody_is_found()
    {
        await Tool.SqlAsync(_copy, "CREATE TABLE _salvor (position INTEGER)");

        Assert.Contains("table _salvor belongs to no writer", (await JudgeAsync()).Errors);
    }

    [Fact]
    public async Task A_torn_file_is_found()
    {
        await using (var file = new FileStream(_copy, FileMode.Open))
        {
            file.SetLength(file.Length / 2);
        }

        Assert.NotEmpty((await JudgeAsync()).Errors);
    }

    [Fact]
    public async Task Pages_of_another_commit_are_found()
    {
        const int PageSize = 4096;
        await using (var file = new FileStream(_copy, FileMode.Open))
        await using (var newer = new FileStream(_loaded.Database, FileMode.Open, FileAccess.Read))
        {
            newer.Seek(PageSize, SeekOrigin.Begin);
            file.Seek(PageSize, SeekOrigin.Begin);
            await newer.CopyToAsync(file, TestContext.Current.CancellationToken);
        }

        Assert.NotEmpty((await JudgeAsync()).Errors);
    }

    [Fact]
    public async Task A_log_left_beside_the_file_is_found()
    {
        await File.WriteAllBytesAsync(_copy + "-wal", [], TestContext.Current.CancellationToken);

        Assert.Contains($"{_copy}-wal lies beside the file", (await JudgeAsync()).Errors);
    }

    [Fact]
    public async Task Bounds_that_the_copy_misses_are_found()
    {
        var seq = (await JudgeAsync()).Seq;

        Assert.Empty((await JudgeAsync(new() { AtLeast = seq, AtMost = seq, NotAfter = TimeProvider.System.GetUtcNow() })).Errors);
        Assert.Single((await JudgeAsync(new() { AtLeast = seq + 1 })).Errors);
        Assert.Single((await JudgeAsync(new() { AtMost = seq - 1 })).Errors);
        Assert.NotEmpty((await JudgeAsync(new() { NotAfter = DateTimeOffset.UnixEpoch })).Errors);
    }

    [Fact]
    public async Task The_source_itself_is_accepted_at_its_last_commit()
    {
        var verdict = await Oracle.JudgeAsync(
            _loaded.Database, _workload.Ledgers, new() { AtLeast = _workload.LastAcked(), Live = true });

        Assert.Empty(verdict.Errors);
    }

    Task<Verdict> JudgeAsync(Bounds? bounds = null) => Oracle.JudgeAsync(_copy, _workload.Ledgers, bounds);
}
