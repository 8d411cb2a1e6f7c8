using Salvor.Storage;

namespace Salvor.Tests.Support;

/// <summary>A store in which the puts below a prefix hang until they are cancelled.</summary>
sealed class HeldStore() : ForwardingStore(new MemoryStore())
{
    volatile string? holds;

    /// <summary>What the keys begin with; null for none.</summary>
    public string? Holds
    {
        get => holds;
        set => holds = value;
    }

    public bool HasHeld { get; private set; }

    public override async Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        if (holds is { } prefix && key.StartsWith(prefix, StringComparison.Ordinal))
        {
            HasHeld = true;
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }

        return await base.PutAsync(key, content, cancellationToken);
    }
}
