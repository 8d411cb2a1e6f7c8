using Salvor.Cli.Commands;

namespace Salvor.Tests.Cli;

public sealed class ForegroundTests
{
    [Fact]
    public async Task Work_that_was_cancelled_is_a_failure_unless_a_stop_was_asked_for()
    {
        var cancelled = Task.FromCanceled(new CancellationToken(canceled: true));

        await Foreground.FailureOfAsync(cancelled, new CancellationToken(canceled: true));
        var failure = await Assert.ThrowsAsync<SalvorException>(() => Foreground.FailureOfAsync(cancelled, CancellationToken.None));

        Assert.Equal(
            (FailureKind.Failure, "a part of the daemon ended, and nobody had stopped it",
                "Start it again, which takes up what it left. This is a defect: please report it, with its log."),
            (failure.Kind, failure.Message, failure.Hint));
    }
}
