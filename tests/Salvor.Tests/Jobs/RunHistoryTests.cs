using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Jobs;

public sealed class RunHistoryTests : IDisposable
{
    readonly TemporaryDirectory _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_newest_runs_are_kept_and_lines_that_say_nothing_to_us_with_them()
    {
        RunHistory.Add(_folder["runs"], Run(1));
        var line = File.ReadAllText(_folder["runs"]);
        File.WriteAllText(
            _folder["runs"], "of a later version\n" + string.Concat(Enumerable.Repeat(line, RunHistory.RunsMax - 2)));

        RunHistory.Add(_folder["runs"], Run(2));
        Assert.StartsWith("of a later version\n", File.ReadAllText(_folder["runs"]), StringComparison.Ordinal);
        RunHistory.Add(_folder["runs"], Run(3));

        var ids = RunHistory.Read(_folder["runs"]).Select(run => run.BackupId).ToList();
        Assert.Equal(RunHistory.RunsMax, ids.Count);
        Assert.Equal([1UL, 2UL, 3UL], ids.TakeLast(3));
    }

    [Fact]
    public void A_history_that_is_too_large_is_not_replaced()
    {
        using (var file = File.Create(_folder["runs"]))
        {
            file.SetLength((16 << 20) + 1);
        }

        AssertRefused("it is larger than 16 MiB");
        Assert.Equal((16 << 20) + 1, new FileInfo(_folder["runs"]).Length);
    }

    [Fact]
    public void A_history_that_cannot_be_opened_is_not_replaced()
    {
        File.CreateSymbolicLink(_folder["runs"], _folder["runs"]);

        AssertRefused("");
        Assert.Equal(_folder["runs"], new FileInfo(_folder["runs"]).LinkTarget);
    }

    [Fact]
    public async Task A_backup_is_made_where_its_history_cannot_be_written()
    {
        Directory.CreateDirectory(_folder["a"]);
        Directory.CreateDirectory(_folder["vaults"]);
        Directory.CreateDirectory(_folder[".salvor"]);
        var config = ConfigFile.Parse(
            """
            destinations: { local: { type: file, path: ./vaults } }
            sources:
              tree: { type: files, paths: [./a], to: [local] }

            """,
            _folder["salvor.yaml"], _ => null);
        var runs = LocalState.RunsPath(_folder[".salvor"], "tree");
        File.CreateSymbolicLink(runs, runs);
        var warned = new List<string>();

        var (result, _, _) = await new TreeSource(config, config.Trees["tree"], TimeProvider.System) { Warned = warned.Add }.BackUpAsync(
            new BackupRequest("", "incremental", RetentionDays: null), keys: null, TestContext.Current.CancellationToken);

        Assert.Equal(1UL, result.Record.Id);
        Assert.StartsWith(
            $"this run is not in the history of tree: {runs} cannot be read, and is left as it is: ", Assert.Single(warned),
            StringComparison.Ordinal);
    }

    void AssertRefused(string why)
    {
        var failure = Assert.Throws<SalvorException>(() => RunHistory.Add(_folder["runs"], Run(1)));
        Assert.StartsWith(
            $"{_folder["runs"]} cannot be read, and is left as it is: {why}", failure.Message, StringComparison.Ordinal);
        Assert.Equal(
            $"Look with 'namei -l {_folder["runs"]}' at who may read it, or move it aside: a new one is begun.", failure.Hint);
        Assert.Empty(RunHistory.Read(_folder["runs"]));
    }

    static RunRecord Run(ulong id) => new()
    {
        Trigger = RunTrigger.Manual, Outcome = RunOutcome.Ok, StartedAt = DateTimeOffset.UnixEpoch, EndedAt = DateTimeOffset.UnixEpoch,
        BackupId = id,
    };
}
