namespace Salvor.Vault.Usage;

/// <summary>What objects are for, as <c>usage</c> counts them.</summary>
public enum UsageKind
{
    /// <summary>Log objects as their writer made them.</summary>
    Log,

    /// <summary>Log objects that were made of several.</summary>
    Compacted,

    /// <summary>The log of PostgreSQL.</summary>
    Wal,

    Packs,
    Snapshots,

    /// <summary>All that is small: the identity, branches, claims and the like.</summary>
    Other,
}

/// <summary>A number of objects and their bytes.</summary>
public readonly record struct Amount(long Objects, long Bytes)
{
    public static Amount operator +(Amount one, Amount other) => new(one.Objects + other.Objects, one.Bytes + other.Bytes);
}

/// <summary>
/// Bytes a day that were stored in the last day, week and month and are still there; null where the vault is younger than that.
/// </summary>
public readonly record struct Growth(long? Day, long? Week, long? Month)
{
    /// <summary>What to expect: as in the last week, or the last day in a young vault; null where nothing is known.</summary>
    public long? Expected => Week ?? Day;

    public static Growth operator +(Growth one, Growth other) =>
        new(one.Day + other.Day, one.Week + other.Week, one.Month + other.Month);

    /// <summary>Days until so many bytes more are stored; null where that is not in sight.</summary>
    public double? DaysTo(long bytes) => bytes <= 0 ? 0 : Expected is > 0 and var daily ? (double)bytes / daily : null;
}

/// <summary>What a vault takes, and how that grows.</summary>
public sealed record VaultUsage
{
    /// <summary>Every kind, also those of which there is nothing.</summary>
    public required IReadOnlyDictionary<UsageKind, Amount> Kinds { get; init; }

    public Amount Total => Kinds.Values.Aggregate((one, other) => one + other);

    /// <summary>The size of the database at the newest restore point; 0 before the first.</summary>
    public required long DatabaseBytes { get; init; }

    /// <summary>The sizes of the databases in all snapshots.</summary>
    public required long SnapshotContentBytes { get; init; }

    /// <summary>Bytes of content for each byte that frames take, in objects that were looked at; null where there are none.</summary>
    public required double? CompressionRatio { get; init; }

    /// <summary>Bytes that the snapshots hold for each byte in packs; null where there are none.</summary>
    public double? DedupRatio => Kinds[UsageKind.Packs].Bytes is > 0 and var packs ? (double)SnapshotContentBytes / packs : null;

    public required Growth Growth { get; init; }
}
