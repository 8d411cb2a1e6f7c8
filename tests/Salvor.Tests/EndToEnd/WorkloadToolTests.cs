using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>The ground truth has to hold when its writers are killed, or nothing that is judged by it means anything.</summary>
public sealed class WorkloadToolTests : IDisposable
{
    readonly ScratchDirectory _scratch = new();

    string Database => _scratch["app.db"];

    public void Dispose() => _scratch.Dispose();

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public async Task Killed_writers_take_up_where_the_database_is(string journal)
    {
        var random = new Random(TestSeed.Take());
        await using var workload = Writers(new() { Profile = "mixed", Checkpoint = "random", Journal = journal, Seed = random.Next() });
        for (var i = 0; i < 6; i++)
        {
            await workload.StartAsync();
            await Task.Delay(random.Next(200), TestContext.Current.CancellationToken);
            await workload.KillAsync();
        }

        await workload.StartAsync();
        await workload.StopAsync();
        var verdict = await Oracle.JudgeAsync(Database, workload.Ledgers, new() { AtLeast = workload.LastAcked(), Live = true });

        Assert.Empty(verdict.Errors);
    }

    [Fact]
    public async Task A_writer_says_so_when_its_source_lost_a_commit()
    {
        await using var workload = await StoppedAsync();
        // What a careless restore over the live file would do.
        await Tool.SqlAsync(Database, "DELETE FROM _commits WHERE seq = (SELECT max(seq) FROM _commits WHERE writer = 1)");

        var result = await Tool.RunAsync("workload.py", Database, workload.Ledgers[0], "--id", "1", "--commits", "1");

        Assert.Equal(3, result.ExitCode);
        Assert.Contains("was committed", result.Stderr, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Both_lines_of_history_are_accepted_after_the_source_was_put_back()
    {
        await using var workload = await StoppedAsync();
        await Tool.BackupAsync(Database, _scratch["earlier.db"]);
        await workload.StartAsync();
        await workload.StopAsync();
        await Tool.BackupAsync(Database, _scratch["before.db"]);
        File.Copy(_scratch["earlier.db"], Database, overwrite: true);

        foreach (var (index, ledger) in workload.Ledgers.Index())
        {
            var id = $"{index + 1}";
            var result = await Tool.RunAsync(
                "workload.py", Database, ledger, "--id", id, "--commits", "20", "--rewound", "--seed", "other", "--profile", "small");
            Assert.True(result.ExitCode == 0, $"the writer did not go on: {result}");
        }

        await Tool.BackupAsync(Database, _scratch["after.db"]);
        Assert.Empty((await Oracle.JudgeAsync(_scratch["before.db"], workload.Ledgers)).Errors);
        Assert.Empty((await Oracle.JudgeAsync(_scratch["after.db"], workload.Ledgers)).Errors);
    }

    [Fact]
    public async Task The_ledgers_bound_what_a_moment_may_contain()
    {
        await using var workload = await StoppedAsync();
        var last = workload.LastAcked();
        var future = (TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

        Assert.Equal($$"""{"acked": {{last}}, "intended": {{last}}}""", await BoundsAsync($"{future}"));
        Assert.Equal("""{"acked": 0, "intended": 0}""", await BoundsAsync("1"));

        async Task<string> BoundsAsync(string micros) =>
            (await Tool.RunAsync("ledger.py", ["seq-at", micros, .. workload.Ledgers])).Stdout.Trim();
    }

    async Task<Workload> StoppedAsync()
    {
        var workload = Writers(new() { Profile = "small", Seed = TestSeed.Take() });
        await workload.StartAsync();
        await workload.StopAsync();
        return workload;
    }

    Workload Writers(WorkloadOptions options) => new(Database, _scratch.Path, options, writerCount: 2);
}
