using Salvor.Sqlite.Capture;
using Salvor.Tests.Support;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>Clocks that jump, and events that get lost.</summary>
public sealed class TimeTests
{
    static readonly DateTimeOffset Start = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(-3600)]
    [InlineData(3600)]
    public void A_jump_of_the_clock_is_told_and_moves_no_commit(int seconds)
    {
        var time = new JumpingTime();
        var clock = new OrderedClock(time, lastMicros: 0);
        var before = clock.Next();
        time.Pass(TimeSpan.FromMilliseconds(10));
        time.Jump(TimeSpan.FromSeconds(seconds));
        var after = clock.Next();

        Assert.Equal(seconds, Math.Round(clock.Jump.TotalSeconds));
        Assert.Equal(before.OrderedMicros + 10_000, after.OrderedMicros);
        Assert.Equal(before.RawMicros + 10_000 + (seconds * 1_000_000L), after.RawMicros);

        // And back: as if nothing had been.
        time.Jump(TimeSpan.FromSeconds(-seconds));
        time.Pass(TimeSpan.FromMilliseconds(10));
        Assert.Equal(before.OrderedMicros + 20_000, clock.Next().OrderedMicros);
        Assert.Equal(TimeSpan.Zero, clock.Jump);
    }

    [Theory]
    [InlineData(-3600)]
    [InlineData(3600)]
    public void A_jump_that_lasts_is_believed_and_order_is_kept(int seconds)
    {
        var time = new JumpingTime();
        var clock = new OrderedClock(time, lastMicros: 0);
        time.Jump(TimeSpan.FromSeconds(seconds));
        var last = clock.Next().OrderedMicros;
        for (var minute = 0; minute < 10; minute++)
        {
            time.Pass(TimeSpan.FromMinutes(1));
            var next = clock.Next().OrderedMicros;
            Assert.True(next > last);
            last = next;
        }

        Assert.Equal(TimeSpan.Zero, clock.Jump);
        if (seconds > 0)
        {
            Assert.Equal(Salvor.Vault.Micros.Of(time.GetUtcNow()), last);
        }
    }

    [Fact]
    public void Commits_of_one_moment_and_of_a_later_start_keep_their_order()
    {
        var time = new JumpingTime();
        var clock = new OrderedClock(time, lastMicros: 0);
        var first = clock.Next().OrderedMicros;
        Assert.Equal(first + 1, clock.Next().OrderedMicros);

        time.Jump(TimeSpan.FromDays(-1));
        Assert.Equal(first + 3, new OrderedClock(time, lastMicros: first + 2).Next().OrderedMicros);
    }

    [Fact]
    public async Task Commits_during_a_jump_are_captured_in_order_and_the_jump_is_shown()
    {
        var time = new JumpingTime { Runs = true };
        await using var rig = new TrapRig(time);
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await rig.StartAsync();
        await app.DoAsync("INSERT INTO t VALUES (?, 'before')", repeat: 3);
        await rig.SyncAsync();
        var before = rig.Status.PositionTime!.Value;
        time.Jump(TimeSpan.FromHours(-2));
        await app.DoAsync("INSERT INTO t VALUES (?, 'after')", repeat: 3);
        await rig.SyncAsync();

        Assert.Equal(-2, Math.Round(rig.Status.ClockJump.TotalHours));
        Assert.InRange(rig.Status.PositionTime!.Value, before, before.AddMinutes(1));
        Assert.Equal("6", await rig.RestoredAsync("SELECT count(*) FROM t"));
    }

    [Fact]
    public async Task Lost_events_are_made_up_for_by_a_look()
    {
        // Time stands still but for the test, so that no look is made because it is due.
        var time = new JumpingTime();
        await using var rig = new TrapRig(time);
        await using var app = await PublishedFramesTests.SmallAppAsync(rig);
        await rig.StartAsync();
        var before = await rig.SyncAsync();
        for (var second = 0; second < 60; second++)
        {
            time.Pass(TimeSpan.FromSeconds(1));
            await rig.Engine.RunAsync(() => true);
        }

        var folder = Path.GetDirectoryName(rig.Database)!;

        // The thread that takes events is busy until the queue of the kernel is full; what comes after that is dropped.
        var limit = int.Parse(await File.ReadAllTextAsync("/proc/sys/fs/inotify/max_queued_events"), null);
        using var free = new ManualResetEventSlim();
        var blocked = rig.Engine.RunAsync(() => free.Wait(TimeSpan.FromSeconds(60)));
        for (var file = 0; file <= limit / 2; file++)
        {
            var path = Path.Combine(folder, $"noise-{file % 2}");
            await File.Create(path).DisposeAsync();
            File.Delete(path);
        }

        await app.DoAsync("INSERT INTO t VALUES (1, 'unannounced')");
        free.Set();
        await blocked;

        // What is seen waits a few milliseconds for more. The look that is made for safety comes much later.
        for (var passed = 0; passed < 1000 && rig.Status.Position == before.Value; passed++)
        {
            time.Pass(TimeSpan.FromMilliseconds(1));
            await rig.Engine.RunAsync(() => true);
        }

        await Eventually.HoldsAsync(() => rig.Status.Position > before.Value, () => $"the commit is not seen: {rig.Status}");
        Assert.Equal("1", await rig.RestoredAsync("SELECT count(*) FROM t"));
    }

    sealed class JumpingTime : TimeProvider
    {
        TimeSpan jumped;
        TimeSpan passed;

        /// <summary>Whether it goes on by itself.</summary>
        public bool Runs { get; init; }

        public override DateTimeOffset GetUtcNow() => (Runs ? System.GetUtcNow() : Start + passed) + jumped;

        public override long GetTimestamp() => Runs ? System.GetTimestamp() : passed.Ticks;

        public override long TimestampFrequency => Runs ? System.TimestampFrequency : TimeSpan.TicksPerSecond;

        public void Jump(TimeSpan by) => jumped += by;

        public void Pass(TimeSpan by) => passed += by;
    }
}
