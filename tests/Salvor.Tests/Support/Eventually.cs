using System.Diagnostics;

namespace Salvor.Tests.Support;

/// <summary>Waits for what another process does: looks often, up to a deadline, and says what did not happen.</summary>
static class Eventually
{
    static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);
    static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(20);

    /// <summary>For processes that begin: on a machine that builds several things meanwhile, that has taken half a minute.</summary>
    public static readonly TimeSpan StartMax = TimeSpan.FromMinutes(2);

    public static Task HoldsAsync(Func<bool> condition, Func<string> otherwise, TimeSpan? within = null) =>
        HoldsAsync(() => Task.FromResult(condition()), otherwise, within);

    public static async Task HoldsAsync(Func<Task<bool>> condition, Func<string> otherwise, TimeSpan? within = null)
    {
        var clock = Stopwatch.StartNew();
        while (!await condition())
        {
            if (clock.Elapsed > (within ?? WaitMax))
            {
                Assert.Fail($"not within {(within ?? WaitMax).TotalSeconds:0.###} s: {otherwise()}");
            }

            await Task.Delay(LookInterval, TestContext.Current.CancellationToken);
        }
    }
}
