using System.Buffers.Binary;
using System.Globalization;

namespace Salvor.Postgres.Restore;

/// <summary>What a control file (<c>global/pg_control</c>) says of the server that wrote it: that of PostgreSQL 13 to 18.</summary>
static class ControlFile
{
    /// <summary>Its place in a data directory. No server starts without it.</summary>
    public const string Path = "global/pg_control";

    const int SettingsAt = 180;

    /// <summary>A number that the server checks too: only where all that is before it has this layout, it is there.</summary>
    const int ProofAt = 208;
    const double Proof = 1234567.0;

    static readonly string[] Names =
    [
        "max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction",
    ];

    /// <summary>The system identifier of the cluster that it is of, which it begins with; null where it is too short.</summary>
    public static ulong? SystemId(ReadOnlySpan<byte> file) =>
        file.Length >= sizeof(ulong) && BinaryPrimitives.ReadUInt64LittleEndian(file) is > 0 and var id ? id : null;

    /// <summary>
    /// The settings of which a recovery must have as much as there was, or it stops; none where the file has another layout.
    /// </summary>
    public static IEnumerable<(string Name, string Value)> Settings(ReadOnlySpan<byte> file)
    {
        var settings = new List<(string, string)>();
        if (file.Length >= ProofAt + sizeof(double) && BinaryPrimitives.ReadDoubleLittleEndian(file[ProofAt..]) == Proof)
        {
            foreach (var (index, name) in Names.Index())
            {
                var value = BinaryPrimitives.ReadInt32LittleEndian(file[(SettingsAt + (index * sizeof(int)))..]);
                settings.Add((name, value.ToString(CultureInfo.InvariantCulture)));
            }
        }

        return settings;
    }
}
