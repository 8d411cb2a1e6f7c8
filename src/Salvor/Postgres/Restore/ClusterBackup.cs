using Salvor.Vault.Wal;

namespace Salvor.Postgres.Restore;

/// <summary>A base backup that a recovery can begin with.</summary>
/// <param name="Id">Of the backup.</param>
/// <param name="Branch">The timeline that it was made on.</param>
/// <param name="Log">The log that it needs to be consistent: from its checkpoint to its end.</param>
/// <param name="Time">When it was begun.</param>
public sealed record ClusterBackup(ulong Id, uint Branch, WalRange Log, DateTimeOffset Time);
