using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Notify;

public sealed class NotifyQueueTests : IDisposable
{
    readonly ScratchDirectory scratch = new();
    readonly ManualTime time = new();
    readonly LogTail log;

    public NotifyQueueTests() => log = new LogTail(NullLogger.Instance, time);

    string Folder => scratch["state/notify"];

    public void Dispose() => scratch.Dispose();

    [Fact]
    public void What_waits_survives_the_process_with_how_often_it_was_tried()
    {
        Directory.CreateDirectory(scratch["state"]);
        var queue = Queue();
        queue.Add("team", Now("app"));
        queue.Add("phone", Now("other"));
        queue.Failed(queue.NextOf("team")!);

        var next = Queue();
        next.Refresh();
        Assert.Equal(1, next.NextOf("team")!.Attempts);
        Assert.Equal("app", next.NextOf("team")!.Message.Source);
        Assert.Equal(Now("app").Log, next.NextOf("team")!.Message.Log);
        Assert.Equal(1, next.Counts["team"].Failed);
        next.Succeeded(next.NextOf("team")!, wholly: true);
        Assert.Equal(
            new Dictionary<string, int> { ["phone"] = 1 }, NotifyQueue.CountWaiting(Folder));
        Assert.Equal(1, NotifyQueue.ReadCounts(Folder)["team"].Sent);
    }

    [Fact]
    public void Too_many_or_too_old_the_oldest_are_given_up_loudly_and_counted()
    {
        var queue = new NotifyQueue(directory: null, time, new Random(1), log);
        for (var i = 0; i < NotifyQueue.CountMax + 3; i++)
        {
            queue.Add("team", Now($"s{i}"));
            time.Advance(TimeSpan.FromSeconds(1));
        }

        Assert.Equal(NotifyQueue.CountMax, queue.CountOf("team"));
        Assert.Equal("s3", queue.NextOf("team")!.Message.Source);
        Assert.Equal(3, queue.Counts["team"].Dropped);
        Assert.Contains(
            "a message to team is given up, because more than 200 wait: [ALERT] salvor: s2 backs off", log.Lines[2],
            StringComparison.Ordinal);

        time.Advance(NotifyQueue.AgeMax + TimeSpan.FromSeconds(1));
        queue.Refresh();
        Assert.Equal(0, queue.CountOf("team"));
        Assert.Contains("it waited for more than 7d", log.Lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void What_waits_is_bounded_in_bytes_too()
    {
        var queue = new NotifyQueue(directory: null, time, new Random(1), log);
        for (var i = 0; i < 60; i++)
        {
            queue.Add("team", Now($"s{i}") with { Text = new string('x', 50_000) });
        }

        Assert.InRange(queue.CountOf("team"), 30, 41);
        Assert.Contains("more than 2MiB wait", log.Lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Without_a_place_for_files_it_waits_in_memory_and_that_is_said_once()
    {
        var queue = new NotifyQueue(scratch["nobody/.salvor/notify"], time, new Random(1), log);
        queue.Add("team", Now("app"));
        queue.Add("team", Now("other"));

        Assert.Equal(2, queue.CountOf("team"));
        Assert.False(Directory.Exists(scratch["nobody"]));
        Assert.Single(log.Lines, line => line.Contains("messages that wait cannot be written to", StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_that_is_no_message_is_said_and_not_sent()
    {
        Directory.CreateDirectory(Folder);
        File.WriteAllText(Path.Combine(Folder, "message-1.json"), "{ half");
        var queue = Queue();
        queue.Refresh();
        queue.Refresh();

        Assert.Null(queue.NextOf("team"));
        Assert.Single(log.Lines, line => line.Contains("cannot be read, and is not sent", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_notifier_that_hangs_keeps_no_other_waiting_and_one_that_failed_is_tried_again()
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var sent = new ConcurrentQueue<string>();
        var failures = 0;
        NotifierConfig[] notifiers = [.. ((string[])["hangs", "fails", "works"]).Select(name => Messages.Hook("http://a", name: name))];
        var queue = new NotifyQueue(Folder, TimeProvider.System, new Random(1), log);
        var delivery = new NotifyDelivery(queue, () => notifiers, SendAsync, TimeProvider.System, new Random(1), log)
        {
            FirstDelay = TimeSpan.FromMilliseconds(20),
        };
        var running = delivery.RunAsync(stopping.Token);
        delivery.Add(Messages.Failure() with { At = TimeProvider.System.GetUtcNow() });

        await Eventually.HoldsAsync(() => sent.Count == 2, () => string.Join('\n', log.Lines));
        Assert.Equal(["fails", "works"], sent.Order());
        Assert.Equal(2, queue.Counts["fails"].Failed);
        Assert.Equal((0, 1), (queue.CountOf("fails"), queue.CountOf("hangs")));
        Assert.Contains(log.Lines, line => line.EndsWith("notifier fails: no; 1 message(s) wait. hint: Try.", StringComparison.Ordinal));
        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => running);

        async Task<string> SendAsync(NotifierConfig notifier, NotifyMessage message, CancellationToken cancellationToken)
        {
            if (notifier.Name == "hangs")
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }

            if (notifier.Name == "fails" && failures++ < 2)
            {
                throw failures == 1
                    ? new SalvorException(FailureKind.DestinationUnreachable, "no", "Try.")
                    : new InvalidOperationException("odd");
            }

            sent.Enqueue(notifier.Name);
            return "";
        }
    }

    [Fact]
    public void A_message_that_is_refused_again_and_again_does_not_stand_before_the_others()
    {
        var queue = Queue();
        queue.Add("team", Now("poison"));
        time.Advance(TimeSpan.FromSeconds(1));
        queue.Add("team", Now("good"));
        queue.Failed(queue.NextOf("team")!);

        Assert.Equal("good", queue.NextOf("team")!.Message.Source);
    }

    [Theory]
    [InlineData(NotifyKind.Success, NotifyKind.Success, false)]
    [InlineData(NotifyKind.Failure, NotifyKind.Failure, true)]
    [InlineData(NotifyKind.Missed, NotifyKind.Missed, true)]
    [InlineData(NotifyKind.Stale, NotifyKind.Stale, true)]
    [InlineData(NotifyKind.Recovery, NotifyKind.Failure, true)]
    [InlineData(NotifyKind.Test, NotifyKind.Success, true)]
    public void By_default_all_is_told_but_what_goes_well(NotifyKind kind, NotifyKind of, bool told) =>
        Assert.Equal(told, (Messages.Failure(kind: kind) with { Of = of }).IsFor(NotifyRules.Default));

    [Fact]
    public void Who_was_not_told_that_it_is_stale_is_not_told_that_this_is_over() => Assert.False(
        (Messages.Failure(kind: NotifyKind.Recovery) with { Of = NotifyKind.Stale }).IsFor(NotifyRules.Default with { Stale = false }));

    NotifyQueue Queue() => new(Folder, time, new Random(1), log);

    NotifyMessage Now(string source) => Messages.Failure(source) with { At = time.GetUtcNow() };
}
