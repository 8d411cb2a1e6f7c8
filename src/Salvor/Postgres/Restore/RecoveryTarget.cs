using Salvor.Text;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Restore;

/// <summary>The moment that somebody wants back.</summary>
public abstract record RecoveryTarget
{
    /// <summary>All that there is.</summary>
    public sealed record Latest : RecoveryTarget
    {
        public override string ToString() => "the end of the log";
    }

    /// <summary>The end of the backup, and not one transaction more.</summary>
    public sealed record Immediate : RecoveryTarget
    {
        public override string ToString() => "the end of the backup";
    }

    /// <summary>What was committed up to a moment, by the server's clock.</summary>
    public sealed record Time(DateTimeOffset At) : RecoveryTarget
    {
        public override string ToString() => InstantText.Format(At);
    }

    /// <summary>What was committed up to an address.</summary>
    public sealed record Address(Lsn At) : RecoveryTarget
    {
        public override string ToString() => $"address {At}";
    }

    /// <summary>Up to the end of a transaction, or, where it is not included, up to right before that.</summary>
    public sealed record Transaction(uint Xid, bool Inclusive = true) : RecoveryTarget
    {
        public override string ToString() => Inclusive ? $"transaction {Xid}" : $"before transaction {Xid}";
    }

    /// <summary>A restore point that somebody named with <c>pg_create_restore_point</c>.</summary>
    public sealed record Named(string Name) : RecoveryTarget
    {
        public override string ToString() => $"restore point '{Name}'";
    }
}
