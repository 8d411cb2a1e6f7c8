using System.Globalization;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Restore;

/// <summary>What a server does when it is recovered. The names are PostgreSQL's.</summary>
public enum RecoveryAction
{
    /// <summary>Begins a timeline of its own, and accepts writes.</summary>
    Promote,

    /// <summary>Answers reads, until somebody resumes it.</summary>
    Pause,

    /// <summary>Ends.</summary>
    Shutdown,
}

/// <summary>
/// Where a recovery ends, as the server is told. Times, transactions and names are looked up in the log before anything is written, and
/// become an address: the server stops there whatever its clock said, and no target can turn out to be beyond the end.
/// </summary>
/// <param name="Timeline">The timeline that is followed. Never "latest": which that is may change.</param>
/// <param name="Stop">Where it stops.</param>
/// <param name="Action">What follows.</param>
public sealed record RecoveryEnd(uint Timeline, RecoveryStop Stop, RecoveryAction Action = RecoveryAction.Promote);

/// <summary>Where a server stops applying its log.</summary>
public abstract record RecoveryStop
{
    /// <summary>Where the log ends.</summary>
    public sealed record AtEnd : RecoveryStop;

    /// <summary>As soon as the data is consistent: the end of the backup.</summary>
    public sealed record Consistent : RecoveryStop;

    /// <summary>After the record that begins at an address, or before it.</summary>
    public sealed record At(Lsn Record, bool Inclusive) : RecoveryStop;

    /// <summary>
    /// What <c>recovery_target</c> and its relatives are set to. Only one may be, so what the cluster brings along is taken back; that
    /// comes first, because even an empty one is refused behind another.
    /// </summary>
    internal IEnumerable<(string Name, string Value)> Settings()
    {
        const string Immediate = "recovery_target", Address = "recovery_target_lsn";
        IEnumerable<(string, string)> none =
        [
            (Immediate, ""), (Address, ""), ("recovery_target_time", ""), ("recovery_target_xid", ""), ("recovery_target_name", ""),
        ];
        return this switch
        {
            Consistent => [.. none.Where(item => item.Item1 != Immediate), (Immediate, "immediate")],
            At at =>
            [
                .. none.Where(item => item.Item1 != Address), ("recovery_target_inclusive", at.Inclusive ? "true" : "false"),
                (Address, at.Record.ToString()),
            ],
            _ => none,
        };
    }
}

/// <summary>The settings of a server that is to be recovered: https://www.postgresql.org/docs/current/runtime-config-wal.html.</summary>
static class RecoverySettings
{
    /// <summary>
    /// What <c>postgresql.auto.conf</c> is with them. Settings of an earlier recovery become comments; what else it has stays, and counts
    /// less than what is added.
    /// </summary>
    /// <param name="existing">What it was in the backup.</param>
    /// <param name="end">Where the recovery ends.</param>
    /// <param name="needed">Of which it must have as much as the server had that was backed up, whatever this machine has.</param>
    public static string Write(string existing, RecoveryEnd end, IEnumerable<(string Name, string Value)> needed)
    {
        var kept = existing.Split('\n').Select(line => IsOfRecovery(line) ? $"# before this restore: {line}" : line);
        var text = string.Join('\n', kept).TrimEnd('\n');
        var added = Settings(end).Concat(needed).Select(
            setting => $"{setting.Name} = '{setting.Value.Replace("'", "''", StringComparison.Ordinal)}'\n");
        return $"{text}\n\n# Added by salvor restore. The recovery needs them once; archiving stays off, because the archive is that of\n"
            + $"# the server that was backed up.\n{string.Concat(added)}";
    }

    static IEnumerable<(string Name, string Value)> Settings(RecoveryEnd end) =>
    [
        ("restore_command", RecoveryFolder.RestoreCommand),
        .. end.Stop.Settings(),
        ("recovery_target_timeline", end.Timeline.ToString(CultureInfo.InvariantCulture)),
        ("recovery_target_action", end.Action switch
        {
            RecoveryAction.Pause => "pause", RecoveryAction.Shutdown => "shutdown", _ => "promote",
        }),
        ("recovery_end_command", ""),
        ("recovery_min_apply_delay", "0"),
        ("archive_cleanup_command", ""),
        ("primary_conninfo", ""),
        ("primary_slot_name", ""),
        ("archive_mode", "off"),

        // The standbys are those of the other one: commits would wait for ever.
        ("synchronous_standby_names", ""),

        // A copy that subscribes would take what the one that it is of has still to get.
        ("max_logical_replication_workers", "0"),
    ];

    /// <summary>Whether a line sets something that only a recovery has.</summary>
    static bool IsOfRecovery(string line)
    {
        var name = line.AsSpan().TrimStart();
        return name.StartsWith("recovery_", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("restore_command", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("archive_cleanup_command", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("primary_conninfo", StringComparison.OrdinalIgnoreCase)
            || name.StartsWith("primary_slot_name", StringComparison.OrdinalIgnoreCase);
    }
}
