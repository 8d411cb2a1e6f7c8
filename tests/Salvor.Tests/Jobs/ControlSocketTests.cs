using Salvor.Jobs;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs;

/// <summary>What somebody is told who asks a running daemon.</summary>
public sealed class ControlSocketTests
{
    [Fact]
    public async Task An_error_that_nobody_expected_is_told_and_logged()
    {
        using var scratch = new ScratchDirectory();
        var log = new LogLines();
        await using var server = new ControlServer(scratch["s"], (_, _) => throw new InvalidOperationException("two at once"), log);
        var e = await Assert.ThrowsAsync<SalvorException>(
            () => ControlClient.AskAsync(server.Path, new ControlRequest("sync", "/srv/app.db"), TestContext.Current.CancellationToken));

        Assert.Equal(FailureKind.Failure, e.Kind);
        Assert.Equal("the daemon met an error that nobody expected: two at once", e.Message);
        Assert.Equal("It goes on with everything else. Please report this with its log.", e.Hint);
        Assert.Contains(log.Lines, line => line.Contains("'sync' of /srv/app.db", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_daemon_that_is_gone_is_said_not_to_answer()
    {
        using var scratch = new ScratchDirectory();
        var path = scratch["s"];
        var e = await Assert.ThrowsAsync<SalvorException>(
            () => ControlClient.AskAsync(path, new ControlRequest("sync", "/srv/app.db"), TestContext.Current.CancellationToken));

        Assert.Equal($"the daemon behind {path} did not answer", e.Message);
        Assert.Equal("Run 'salvor status' to see whether it still runs.", e.Hint);
    }
}
