using Salvor.Jobs.Config;
using Salvor.Jobs.Health;
using Salvor.Vault;
using Salvor.Vault.Keys;

namespace Salvor.Jobs.Doctor;

/// <summary>What is known of a source that is backed up as a tree.</summary>
sealed record TreeFacts
{
    public required TreeSourceConfig Source { get; init; }

    /// <summary>Who asks.</summary>
    public required string User { get; init; }

    /// <summary>How its backups went.</summary>
    public required SourceHealth Health { get; init; }

    /// <summary>Its configured paths that cannot be looked at, each with the reason.</summary>
    public IReadOnlyList<SalvorException> Missing { get; init; } = [];

    /// <summary>What is below the others; null where it is no source of files.</summary>
    public TreeLook? Look { get; init; }

    /// <summary>The databases that other sources of the configuration protect.</summary>
    public IReadOnlyCollection<string> Protected { get; init; } = [];

    public required FolderFacts State { get; init; }

    public required FolderFacts Scratch { get; init; }

    /// <summary>Its vault at each destination that answered: how many backups there are, or why that cannot be said.</summary>
    public IReadOnlyList<(string Destination, int? Backups, SalvorException? Failure)> Vaults { get; init; } = [];

    public static TreeFacts Gather(
        SalvorConfig config, TreeSourceConfig source, string scratch, TimeProvider time, CancellationToken cancellationToken)
    {
        var files = source as FilesSourceConfig;
        var look = files is null ? null : new TreeLook(config, files, time);
        var missing = new List<SalvorException>();
        foreach (var path in files?.Options.Paths ?? [])
        {
            try
            {
                look!.Run(path, cancellationToken);
            }
            catch (SalvorException e)
            {
                missing.Add(e);
            }
        }

        return new TreeFacts
        {
            Source = source,
            User = Environment.UserName,
            Health = new HealthReader(time).Read(config, source),
            Missing = missing,
            Look = look,
            Protected = [.. ConfiguredSources.Vaults(config, item => item is SqliteSourceConfig).Select(vault => vault.Path)],
            State = FolderFacts.Of(ConfiguredSources.StateOf(config, source)),
            Scratch = FolderFacts.Of(scratch),
        };
    }

    /// <summary>Its server; null where it has none.</summary>
    public ClusterFacts? Cluster { get; init; }

    /// <summary>The cluster that the first of its vaults is of; null where that is of none, or not known.</summary>
    public string? SystemId { get; init; }

    /// <summary>The same, with what there is of it at its destinations. One that is late is told by its own check.</summary>
    public async Task<TreeFacts> WithVaultsAsync(SalvorConfig config, Keyring? keys, string? only, CancellationToken deadline)
    {
        var found = new List<(string, int?, SalvorException?)>();
        string? systemId = null;
        foreach (var name in Source.To.Where(name => only is null || name == only))
        {
            try
            {
                var destination = config.Destinations[name];
                var (backups, cluster) = await Task.Run(() => LookAsync(destination, keys, deadline), deadline).WaitAsync(deadline);
                found.Add((name, backups, null));
                systemId ??= cluster;
            }
            catch (SalvorException e)
            {
                found.Add((name, null, e));
            }
            catch (OperationCanceledException) when (deadline.IsCancellationRequested)
            {
                break;
            }
        }

        return this with { Vaults = found, SystemId = systemId };
    }

    async Task<(int Backups, string? SystemId)> LookAsync(DestinationConfig destination, Keyring? keys, CancellationToken deadline)
    {
        if (await VaultAccess.FindAsync(Destinations.Open(destination), Source.Name, keys, deadline) is not { } vault)
        {
            return (0, null);
        }

        var catalog = await VaultCatalog.LoadAsync(vault, deadline);
        return (catalog.Backups.Count, catalog.Branches.LastOrDefault()?.Record.SystemId);
    }
}
