using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;

namespace Salvor;

/// <summary>Checks of what only our own code can break. Always on: a wrong byte in a backup is worse than a stopped process.</summary>
static class Invariant
{
    public static void Check(
        [DoesNotReturnIf(false)] bool condition,
        [CallerArgumentExpression(nameof(condition))] string? expression = null)
    {
        if (!condition)
        {
            throw new InvalidOperationException($"invariant broken: {expression}");
        }
    }
}
