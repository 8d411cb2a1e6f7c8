using System.Diagnostics;

namespace Salvor.Tests.Support;

/// <summary>Waits for what another process does: looks often, up to a deadline, and says what did not happen.</summary>
static class Eventually
{
    static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);
    static readonly TimeSpan WaitMax = TimeSpan.FromSeconds(20);

    public static async Task HoldsAsync(Func<bool> condition, Func<string> otherwise, TimeSpan? within = null)
    {
        var clock = Stopwatch.StartNew();
        while (!condition())
        {
            if (clock.Elapsed > (within ?? WaitMax))
            {
                Assert.Fail($"not within {(within ?? WaitMax).TotalSeconds:0.###} s: {otherwise()}");
            }

            await Task.Delay(LookInterval, TestContext.Current.CancellationToken);
        }
    }
}
