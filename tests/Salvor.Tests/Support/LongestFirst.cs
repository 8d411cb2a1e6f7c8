using Salvor.Tests.EndToEnd;
using Salvor.Tests.Support;
using Salvor.Tests.Vault;
using Xunit.Sdk;
using Xunit.v3;

[assembly: CollectionBehavior(MaxParallelThreads = LongestFirst.ClassesAtATime)]
[assembly: TestCollectionOrderer(typeof(LongestFirst))]

namespace Salvor.Tests.Support;

/// <summary>
/// The order in which classes begin. One that takes minutes and begins last would run alone at the end, so those begin first;
/// which they are matters for the time that a run takes and for nothing else.
/// </summary>
public sealed class LongestFirst : ITestCollectionOrderer
{
    /// <summary>On two processors: a test that runs processes waits for them, or for a disk, about half of its time.</summary>
    public const int ClassesAtATime = 4;

    static readonly Type[] Longest =
    [
        typeof(KillCycleTests), typeof(WorkloadTests), typeof(Cli.VerifyTests), typeof(CodecCycleTests), typeof(Packaging.PackageTests),
        typeof(KilledRestoreTests), typeof(Cli.FilesKillTests), typeof(Cli.ProgressTests), typeof(Cli.CommandKillTests),
        typeof(HostileVaultTests), typeof(BrokenVaultTests),
    ];

    public IReadOnlyCollection<TTestCollection> OrderTestCollections<TTestCollection>(
        IReadOnlyCollection<TTestCollection> testCollections)
        where TTestCollection : ITestCollection =>
        [.. testCollections.OrderBy(RankOf).ThenBy(collection => collection.UniqueID, StringComparer.Ordinal)];

    static int RankOf<TTestCollection>(TTestCollection collection)
        where TTestCollection : ITestCollection
    {
        var rank = Array.FindIndex(
            Longest, type => collection.TestCollectionDisplayName.Contains($" {type.FullName} ", StringComparison.Ordinal));
        return rank >= 0 ? rank : Longest.Length;
    }
}
