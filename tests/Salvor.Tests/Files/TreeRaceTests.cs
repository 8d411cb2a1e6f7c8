using System.Text;
using Salvor.Files;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Trees;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Files;

/// <summary>Somebody changes the files, or what is restored over, while Salvor is at it.</summary>
public sealed class TreeRaceTests : IDisposable
{
    const int Rounds = 12;

    readonly TreeRig _rig = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task A_directory_that_is_exchanged_for_a_link_during_a_restore_leads_nowhere_else()
    {
        Fill();
        await _rig.BackUpAsync();
        var target = await _rig.RestoreAsync("out");
        MakeOutside(target);
        await using (var churn = await ChurnAsync("exchange", $"{target}/d", $"{target}/way"))
        {
            for (var round = 0; round < Rounds; round++)
            {
                // Each finds something else to write.
                _rig.Write($"d/{round}", TreeRig.Bytes(round + 100, 3000));
                await _rig.BackUpAsync();
                await TryAsync(() => _rig.RestoreAsync("out", options: new TreeRestoreOptions { IsOver = true }));
                Assert.Equal(["secret"], Directory.GetFileSystemEntries(_rig["outside"]).Select(Path.GetFileName));
                Assert.Equal("stays", File.ReadAllText(_rig["outside/secret"]));
            }

            Assert.False(churn.HasExited, churn.Stderr);
        }
    }

    [Fact]
    public async Task A_directory_that_is_exchanged_for_a_link_during_a_backup_brings_nothing_else_in()
    {
        Fill();
        MakeOutside(_rig.Source);
        await using (await ChurnAsync("exchange", Path.Combine(_rig.Source, "d"), Path.Combine(_rig.Source, "way")))
        {
            for (var round = 0; round < Rounds; round++)
            {
                _rig.Write($"round-{round}", "x");
                await _rig.BackUpAsync();
                var paths = await TreeSearch.EntriesAsync(await _rig.SnapshotAsync(), Cancel)
                    .Select(item => Encoding.UTF8.GetString(item.Path)).ToListAsync(Cancel);
                Assert.Contains($"{_rig.Source}/round-{round}", paths);
                Assert.DoesNotContain(paths, path => path.EndsWith("/secret", StringComparison.Ordinal));
            }
        }
    }

    [Fact]
    public async Task Files_that_come_go_grow_and_shrink_during_a_backup_are_named_and_the_rest_is_whole()
    {
        Fill();
        var churned = Directory.CreateDirectory(Path.Combine(_rig.Source, "churned")).FullName;
        await using (await ChurnAsync("files", churned))
        {
            for (var round = 0; round < Rounds / 3; round++)
            {
                var made = await _rig.BackUpAsync();
                var restored = await _rig.RestoreAsync($"out-{round}");
                Assert.All(made.Problems, problem => Assert.StartsWith($"{churned}/", problem, StringComparison.Ordinal));
                Assert.Equal(made.Problems.Count, made.Totals.Changed + made.Totals.Unreadable);
                Assert.Equal("", await TreeRig.DifferenceAsync(Path.Combine(_rig.Source, "d"), $"{restored}/d"));
            }
        }

        await _rig.BackUpAsync();
        var report = await new VaultVerifier(await _rig.OpenAsync(), new VerifyOptions()).RunAsync(Cancel);
        Assert.Empty(report.Findings);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("out")));
    }

    void Fill()
    {
        for (var file = 0; file < 60; file++)
        {
            _rig.Write($"d/{file}", TreeRig.Bytes(file, 3000));
        }
    }

    /// <summary>Something that nobody asked for, and a link to it.</summary>
    void MakeOutside(string linkedFrom)
    {
        Directory.CreateDirectory(_rig["outside"]);
        File.WriteAllText(_rig["outside/secret"], "stays");
        File.CreateSymbolicLink($"{linkedFrom}/way", _rig["outside"]);
    }

    static async Task<ChildProcess> ChurnAsync(params string[] arguments)
    {
        var process = ChildProcess.Start(Tool.Python, [Tool.PathOf("churn.py"), .. arguments]);
        await Eventually.HoldsAsync(() => process.Stdout.Length > 0, () => process.Stderr, Eventually.StartMax);
        return process;
    }

    /// <summary>What is refused is refused with a reason.</summary>
    static async Task TryAsync(Func<Task> step)
    {
        try
        {
            await step();
        }
        catch (SalvorException e)
        {
            Assert.NotEmpty(e.Message);
        }
    }
}
