using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Simulation;

/// <summary>
/// What a destination holds, and beside it everything that was ever stored first under its key, but for compacted log objects: the
/// history as its writers made it, which compaction may not change.
/// </summary>
sealed class RememberingStore() : ForwardingStore(new MemoryStore())
{
    /// <summary>Nothing is ever deleted here.</summary>
    public MemoryStore Memory { get; } = new();

    public override async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (!key[(key.LastIndexOf('/') + 1)..].Contains('-'))
        {
            await Memory.PutAsync(key, content, cancellationToken);
        }

        return await base.PutAsync(key, content, cancellationToken);
    }
}
