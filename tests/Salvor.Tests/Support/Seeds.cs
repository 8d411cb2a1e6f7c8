using System.Globalization;

namespace Salvor.Tests.Support;

/// <summary>
/// The seeds of tests that try many random cases. SALVOR_SEED replays one, SALVOR_SEEDS tries as many as it says; otherwise as many as
/// are quick, always the same ones.
/// </summary>
static class Seeds
{
    /// <summary>Runs every seed. A failure says how to replay it.</summary>
    public static async Task ForEachAsync(int quickCount, Func<int, Task> test)
    {
        foreach (var seed in Of(quickCount))
        {
            try
            {
                await test(seed);
            }
            catch (Exception e)
            {
                throw new SeedException(seed, e);
            }
        }
    }

    static IEnumerable<int> Of(int quickCount) =>
        Number("SALVOR_SEED") is { } seed ? [seed] : Enumerable.Range(1, Math.Max(quickCount, Number("SALVOR_SEEDS") ?? 0));

    static int? Number(string variable) =>
        int.TryParse(Environment.GetEnvironmentVariable(variable), NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? value
            : null;
}

/// <summary>A random case failed.</summary>
sealed class SeedException(int seed, Exception inner)
    : Exception($"seed {seed} (replay it with SALVOR_SEED={seed}): {inner.Message}", inner);
