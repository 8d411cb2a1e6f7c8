using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Keys;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Jobs.Doctor;

/// <summary>What is known of a vault at one destination, from the least that a restore of its newest point needs to begin.</summary>
sealed record VaultFacts
{
    /// <summary>Packs that are looked at for whether they can be read; the first rows of the listing are as good as any.</summary>
    const int PacksListedMax = 1000;

    public required string Source { get; init; }

    public required string Destination { get; init; }

    public required string Location { get; init; }

    /// <summary>Null where there is none, or it cannot be opened.</summary>
    public VaultAccess? Vault { get; init; }

    /// <summary>Why it cannot be opened, or its newest point not be restored; null where nothing is against it.</summary>
    public SalvorException? Failure { get; init; }

    /// <summary>Whether there was no time to look.</summary>
    public bool IsLate { get; init; }

    /// <summary>Its first snapshot, before which nothing can be restored; null where there is none.</summary>
    public SnapshotRef? Oldest { get; init; }

    public RestorePoint? Newest { get; init; }

    public DateTimeOffset? CompleteAsOf { get; init; }

    public RestorePlan? Plan { get; init; }

    /// <summary>The size of the database at the newest point.</summary>
    public long DatabaseBytes { get; init; }

    /// <summary>Branches whose log has holes, with the first number that is missing.</summary>
    public IReadOnlyList<(uint Branch, ulong Number)> Holes { get; init; } = [];

    public int Backups { get; init; }

    /// <summary>The key slots; empty for a plain vault.</summary>
    public IReadOnlyList<KeySlot> Slots { get; init; } = [];

    public IReadOnlyList<DamagedObjectException> DamagedSlots { get; init; } = [];

    /// <summary>Who said that the key is elsewhere too; null where nobody did.</summary>
    public KeyExportedRecord? Exported { get; init; }

    public bool IsEncrypted => Vault is { Secrets.IsPlain: false };

    /// <summary>Whether there is a vault that was opened, or could not be.</summary>
    public bool Exists => Vault is not null || Failure is not null;

    /// <summary>Looks. Never throws but for the deadline.</summary>
    public static async Task<VaultFacts> GatherAsync(
        IObjectStore store, string destination, string source, Keyring? keys, CancellationToken deadline)
    {
        var facts = new VaultFacts
        {
            Source = source, Destination = destination, Location = VaultAccess.LocationOf(store, source),
        };
        try
        {
            return await VaultAccess.FindAsync(store, source, keys, deadline) is { } vault
                ? await LookAsync(facts with { Vault = vault }, deadline)
                : facts;
        }
        catch (SalvorException e)
        {
            return facts with { Failure = e };
        }
    }

    /// <summary>As the other, of a vault that is open.</summary>
    public static async Task<VaultFacts> LookAsync(VaultFacts facts, CancellationToken deadline)
    {
        try
        {
            facts = await LookAtKeysAsync(facts, deadline);
            var catalog = await VaultCatalog.LoadAsync(facts.Vault!, deadline);
            facts = facts with
            {
                Backups = catalog.Backups.Count,
                Oldest = catalog.Oldest,
                Holes = [.. catalog.Branches.Select(branch => branch.Number).Where(number => catalog.Logs(number).Missing.Count > 0)
                    .Select(number => (number, catalog.Logs(number).Missing[0]))],
            };
            return catalog.IsEmpty ? facts : await LookAtNewestAsync(facts, catalog, deadline);
        }
        catch (SalvorException e)
        {
            return facts with { Failure = e };
        }
    }

    static async Task<VaultFacts> LookAtKeysAsync(VaultFacts facts, CancellationToken deadline)
    {
        if (!facts.IsEncrypted)
        {
            return facts;
        }

        var damaged = new List<DamagedObjectException>();
        var slots = facts.Vault!.KeySlots;
        return facts with
        {
            Slots = await slots.ListAsync(damaged.Add, deadline),
            DamagedSlots = damaged,
            Exported = await slots.FindExportedAsync(deadline),
        };
    }

    /// <summary>Plans a restore, opens what it begins with and ends with, and reads a byte of a pack: archived ones refuse that.</summary>
    static async Task<VaultFacts> LookAtNewestAsync(VaultFacts facts, VaultCatalog catalog, CancellationToken deadline)
    {
        var planner = new RestorePlanner(catalog);
        RestorePoint point;
        try
        {
            point = await RestoreTargets.ResolveAsync(catalog, planner, new RestoreRequest(null, null, null), deadline);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable && facts.Holes.Count == 0)
        {
            // The first full copy is not finished.
            return facts;
        }

        facts = facts with
        {
            Newest = point,
            CompleteAsOf = RestoreTargets.CompleteAsOf(point, await Heads.FindAsync(facts.Vault!, deadline)),
            Plan = await planner.PlanAsync(planner.NewestBranch, point.Position, deadline),
        };
        var log = await planner.LogOfAsync(point, deadline);
        var snapshot = await SnapshotReader.OpenAsync(facts.Vault!, facts.Plan.Snapshot, deadline);
        await ReadPackAsync(facts.Vault!, deadline);
        var pages = log.Details.Commits[log.LastAt(point.Position)].PageCount;
        return facts with { DatabaseBytes = (long)pages * Math.Max(log.Details.PageSize, snapshot.Details.PageSize) };
    }

    /// <summary>The oldest one of the first: what is moved to an archive is moved by its age.</summary>
    static async Task ReadPackAsync(VaultAccess vault, CancellationToken deadline)
    {
        ObjectInfo? oldest = null;
        await foreach (var row in vault.ListAsync(VaultKeys.Packs, after: null, deadline).Take(PacksListedMax))
        {
            oldest = oldest is { } other && !(row.StoredAt < other.StoredAt) ? oldest : row;
        }

        if (oldest is { } pack)
        {
            await vault.Store.ReadAsync(vault.KeyOf(pack.Key), 0, new byte[1], deadline);
        }
    }
}
