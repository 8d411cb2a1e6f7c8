using Salvor.Platform;

namespace Salvor.Jobs.Doctor;

/// <summary>What is known of the machine.</summary>
sealed record MachineFacts
{
    /// <summary>Null where the kernel does not say.</summary>
    public bool? IsClockSynchronized { get; init; }

    public long? InotifyWatches { get; init; }

    public long? InotifyInstances { get; init; }

    public long? OpenFiles { get; init; }

    /// <summary>What this process may use, with the limit of its container.</summary>
    public long MemoryBytes { get; init; }

    public bool HasArgon2 { get; init; }

    public bool HasLz4 { get; init; }

    /// <summary>How many databases are configured.</summary>
    public int Databases { get; init; }

    /// <summary>In how many folders they are: each is watched once.</summary>
    public int Folders { get; init; }

    /// <summary>Whether a source is opened by a passphrase.</summary>
    public bool UsesPassphrase { get; init; }

    /// <summary>Whether a source is compressed by lz4.</summary>
    public bool UsesLz4 { get; init; }

    /// <summary>The folder for temporary files.</summary>
    public required FolderFacts Temporary { get; init; }

    public static MachineFacts Gather() => new()
    {
        IsClockSynchronized = ClockState.IsSynchronized(),
        InotifyWatches = KernelLimits.InotifyWatches(),
        InotifyInstances = KernelLimits.InotifyInstances(),
        OpenFiles = KernelLimits.OpenFiles(),
        MemoryBytes = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes,
        HasArgon2 = LibArgon2.IsAvailable,
        HasLz4 = LibLz4.IsAvailable,
        Temporary = FolderFacts.Of(Path.GetTempPath()),
    };
}
