namespace Salvor;

/// <summary>How far one phase of long work is. Told now and then, from any thread.</summary>
/// <param name="Phase">What is done just now, for people: <c>restoring</c>. Another word begins another phase.</param>
/// <param name="Done">How much of it is done, in <see cref="Unit"/>.</param>
/// <param name="Total">How much there is; 0 where nobody knows.</param>
public sealed record WorkProgress(string Phase, long Done = 0, long Total = 0)
{
    /// <summary>What is counted, such as <c>objects</c>; empty for bytes.</summary>
    public string Unit { get; init; } = "";

    /// <summary>What else was counted, such as <c>12 files</c>; empty for nothing.</summary>
    public string Count { get; init; } = "";

    /// <summary>What is worked on, such as a path; empty where that says nothing.</summary>
    public string Item { get; init; } = "";
}
