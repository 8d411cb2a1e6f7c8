using Salvor.Tests.Support;

namespace Salvor.Tests.EndToEnd;

/// <summary>A vault whose restore takes long enough to be met in the middle. Whoever restores leaves it as it is.</summary>
public sealed class FilledVault : IAsyncLifetime
{
    internal ReplicationRig Rig { get; } = new(new() { Profile = "big", Duration = TimeSpan.FromSeconds(3) }, writerCount: 1);

    public async ValueTask InitializeAsync()
    {
        await Rig.App.StartAsync();
        await Rig.StartSalvorAsync();
        await Rig.SalvorReadyAsync();
        await Rig.App.FinishAsync();
        await Rig.StopSalvorAsync();
    }

    public ValueTask DisposeAsync() => Rig.DisposeAsync();
}

/// <summary>Restores that are ended at any moment: nobody finds half a database.</summary>
[Trait("Category", "EndToEnd")]
public sealed class KilledRestoreTests(FilledVault filled) : IClassFixture<FilledVault>
{
    [Fact]
    public async Task A_killed_restore_leaves_no_partial_file_at_the_target_and_the_next_one_cleans_up_after_it()
    {
        var random = new Random(TestSeed.Take());
        var rig = filled.Rig;
        var output = Path.Combine(rig.NewOutputDirectory(), "app.db");
        var restoreTime = await TimeOfRestoreAsync(rig);
        var floor = new Bounds { AtLeast = rig.Floor, AtMost = rig.Floor };
        var (kills, unfinished) = (TestSeed.Count("SALVOR_KILLS", KillCycleTests.KillsDefault) / 3, 0);
        for (var i = 0; i < kills; i++)
        {
            var before = EntriesBeside(output);
            // At any moment, or just when it has begun to write, where a partial file would be most likely.
            using var writing = new FirstWrite(Path.GetDirectoryName(output)!);
            await using var restore = rig.BeginRestore(output);
            var moment = i % 2 == 0 ? writing.Happens : Task.Delay(random.NextDouble() * restoreTime);
            await Task.WhenAny(moment, restore.ExitAsync());
            await restore.KillAsync();
            unfinished += EntriesBeside(output).Except(before).Any(name => name[0] == '.') ? 1 : 0;

            // Unfinished files start with a dot; nobody takes one for a database.
            Assert.DoesNotContain(EntriesBeside(output), name => name[0] != '.' && name != "app.db");
            if (File.Exists(output))
            {
                Assert.Empty((await rig.JudgeAsync(output, floor)).Errors);
                File.Delete(output);
            }
        }

        TestContext.Current.TestOutputHelper?.WriteLine($"{kills} kills, of which {unfinished} left an unfinished file");
        Assert.True(kills == 0 || unfinished > 0, "no kill met a restore that wrote");
        await using var last = rig.BeginRestore(output);
        Assert.Equal(0, (await last.ExitAsync()).ExitCode);
        Assert.Empty((await rig.JudgeAsync(output, floor)).Errors);
        Assert.Equal(["app.db"], EntriesBeside(output));
    }

    [Theory]
    [InlineData(Signal.Interrupt)]
    [InlineData(Signal.Terminate)]
    public async Task An_interrupted_restore_leaves_nothing_or_the_whole_file(Signal signal)
    {
        var random = new Random(TestSeed.Take());
        var rig = filled.Rig;
        var restoreTime = await TimeOfRestoreAsync(rig);
        for (var i = 0; i < 4; i++)
        {
            var output = Path.Combine(rig.NewOutputDirectory(), "app.db");
            await using var restore = rig.BeginRestore(output);
            // In the first third the runtime starts and has no handler yet: a signal then is a plain death.
            await Task.Delay((0.3 + (0.7 * random.NextDouble())) * restoreTime, TestContext.Current.CancellationToken);
            restore.Send(signal);
            var result = await restore.ExitAsync();

            var isDone = result.ExitCode == 0;
            Assert.True(isDone || result.ExitCode is 130 or 128 + (int)Signal.Terminate, $"restore ended with {result}");
            Assert.Equal(isDone ? ["app.db"] : [], EntriesBeside(output));
            if (isDone)
            {
                Assert.Empty((await rig.JudgeAsync(output, new() { AtLeast = rig.Floor })).Errors);
            }
        }
    }

    static async Task<TimeSpan> TimeOfRestoreAsync(ReplicationRig rig)
    {
        var started = TimeProvider.System.GetTimestamp();
        await using var restore = rig.BeginRestore(Path.Combine(rig.NewOutputDirectory(), "app.db"));
        var result = await restore.ExitAsync();
        Assert.True(result.ExitCode == 0, $"restore failed: {result}");
        return TimeProvider.System.GetElapsedTime(started);
    }

    static string[] EntriesBeside(string output) =>
        [.. Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(output)!).Select(path => Path.GetFileName(path)!)];

    /// <summary>The moment at which something new lies in a folder. Told by the system, because writing takes milliseconds.</summary>
    sealed class FirstWrite : IDisposable
    {
        readonly TaskCompletionSource happened = new(TaskCreationOptions.RunContinuationsAsynchronously);
        readonly FileSystemWatcher watcher;

        public FirstWrite(string folder)
        {
            watcher = new(folder);
            watcher.Created += (_, _) => happened.TrySetResult();
            watcher.EnableRaisingEvents = true;
        }

        public Task Happens => happened.Task;

        public void Dispose() => watcher.Dispose();
    }
}
