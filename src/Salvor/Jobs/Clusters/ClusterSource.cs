using Salvor.Files;
using Salvor.Jobs.Config;
using Salvor.Postgres;
using Salvor.Postgres.Backup;
using Salvor.Sqlite;
using Salvor.Vault;

namespace Salvor.Jobs.Clusters;

/// <summary>A configured cluster: how its server is followed, and what a backup of it is for everybody else.</summary>
static class ClusterSource
{
    /// <summary>Where the log waits between the server and the vault. Whoever backs up and whoever follows have the same.</summary>
    public static WalReceiverOptions OptionsOf(SalvorConfig config, PostgresSourceConfig source) => new()
    {
        Server = source.Server ?? throw new InvalidOperationException($"the connection of {source.Name} was not read"),
        Folder = LocalState.SpoolPath(ConfiguredSources.StateOf(config, source), source.Name),
        Slot = source.Slot,
        SpoolBytesMax = source.SpoolBytesMax,
    };

    /// <summary>Makes a backup, as whoever backs up trees has it.</summary>
    public static async Task<TreeBackupResult> BackUpAsync(
        CompleteBackup backup, BackupRequest request, CancellationToken cancellationToken)
    {
        var made = await backup.RunAsync(request, cancellationToken);
        return new TreeBackupResult(made.Record, made.Totals)
        {
            Problems = [], FilesRead = made.Totals.Files, BytesRead = made.SentBytes,
            HowRead = made.ParentId is { } parent ? $"what changed since backup {parent}" : $"all of it: {made.WhyWhole}",
        };
    }
}
