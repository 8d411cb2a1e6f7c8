using Salvor.Postgres.Protocol;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Postgres.Backup;

/// <summary>Which backup the next one of a cluster is made of, or why the server has to send all of it.</summary>
/// <param name="fullEvery">For how long after a full backup others are made of it; zero for never.</param>
/// <param name="time">The clock.</param>
public sealed class ParentChoice(TimeSpan fullEvery, TimeProvider time)
{
    /// <summary>A server looks only at the pages that it sends: so the others are looked at once a week.</summary>
    public static readonly TimeSpan FullEveryDefault = TimeSpan.FromDays(7);

    internal const string Full = "full";
    internal const string Incremental = "incremental";

    const int MajorVersionMin = 17;
    const int VersionsOfMajor = 10000;

    /// <summary>The newest backup; or null, and why, as a part of a sentence.</summary>
    /// <param name="vault">The vault, of this cluster.</param>
    /// <param name="server">A connection to its server.</param>
    /// <param name="mode">What was asked for.</param>
    /// <param name="cancellationToken">Ends it.</param>
    public async Task<(BackupRecord? Parent, string WhyWhole)> ChooseAsync(
        VaultAccess vault, ReplicationConnection server, string mode, CancellationToken cancellationToken)
    {
        if (mode == Full)
        {
            return (null, "that was asked for");
        }

        if (fullEvery == TimeSpan.Zero)
        {
            return (null, "full_every is 0s");
        }

        if (server.ServerVersion / VersionsOfMajor is var major and < MajorVersionMin)
        {
            return (null, $"PostgreSQL {major} does not keep what changed");
        }

        if (await server.Connection.ShowAsync("summarize_wal", cancellationToken) is not "on")
        {
            return (null, "summarize_wal of the server is off");
        }

        return await NewestAsync(await VaultCatalog.LoadAsync(vault, cancellationToken), cancellationToken);
    }

    async Task<(BackupRecord? Parent, string WhyWhole)> NewestAsync(VaultCatalog catalog, CancellationToken cancellationToken)
    {
        BackupRecord? newest = null;
        try
        {
            foreach (var id in catalog.Backups.Reverse())
            {
                var record = await Backups.ReadAsync(catalog, id, cancellationToken);
                newest ??= record;
                if (record.Mode == Full)
                {
                    // A clock that was ahead once would make it the last one until then.
                    return time.GetUtcNow() - record.CreatedAt is var age && age >= TimeSpan.Zero && age < fullEvery
                        ? (newest, "")
                        : (null, $"the last full one is of {InstantText.Format(record.CreatedAt)}");
                }
            }
        }
        catch (DamagedObjectException e)
        {
            return (null, e.Message);
        }

        return (null, newest is null ? "there is none before it" : "no full one is left");
    }
}
