using Salvor.Postgres.Backup;
using Salvor.Postgres.Protocol;
using Salvor.Vault;

namespace Salvor.Jobs.Config;

/// <summary>A cluster of PostgreSQL: base backups by schedule, and its log as it comes.</summary>
public sealed record PostgresSourceConfig : TreeSourceConfig
{
    public const long SpoolBytesMaxDefault = 8L << 30;
    public const long SpoolBytesMaxMin = 64L << 20;
    public const long SpoolBytesMaxMax = 1L << 40;

    /// <summary>PostgreSQL's NAMEDATALEN, without the end of the text.</summary>
    const int SlotLengthMax = 63;

    /// <summary>The server; null where only what is on this machine is asked for, and its password need not be known.</summary>
    public PostgresSettings? Server { get; init; }

    /// <summary>The same as it is written, with its variables. It may have a password in it.</summary>
    public SecretText? Connection { get; init; }

    /// <summary>The replication slot that keeps the server's log until it is durable here.</summary>
    public required string Slot { get; init; }

    /// <summary>How much log may wait on this machine for a destination that does not work, in bytes.</summary>
    public long SpoolBytesMax { get; init; } = SpoolBytesMaxDefault;

    /// <summary>For how long after a full base backup the server is asked only for what changed; zero for never.</summary>
    public TimeSpan FullEvery { get; init; } = ParentChoice.FullEveryDefault;

    /// <summary>Who is asked for when a recovered server is connected to: the user of the connection.</summary>
    public static string RoleOf(SourceConfig source) => (source as PostgresSourceConfig)?.Server?.User ?? "postgres";

    public override string Kind => VaultIdentity.Postgres;

    public override string Subject => Server is { } server ? $"PostgreSQL at {server.Place}" : "PostgreSQL";

    /// <summary>The slot of a source that names none: letters, digits and underscores are all that the server allows.</summary>
    public static string SlotOf(string source)
    {
        var slot = $"salvor_{string.Concat(source.ToLowerInvariant().Select(c => IsOfSlot(c) ? c : '_'))}";
        return slot[..Math.Min(slot.Length, SlotLengthMax)];
    }

    public static bool IsSlot(string name) => name.Length is > 0 and <= SlotLengthMax && name.All(IsOfSlot);

    static bool IsOfSlot(char c) => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_';
}
