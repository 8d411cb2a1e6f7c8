using System.Buffers;
using System.Globalization;

namespace Salvor.Vault.Wal;

/// <summary>A file of the log, as PostgreSQL names it.</summary>
/// <param name="Timeline">From 1.</param>
/// <param name="Number">How many segments come before it.</param>
/// <param name="SizeBytes">Of every segment of the cluster.</param>
public readonly record struct WalSegment(uint Timeline, ulong Number, uint SizeBytes)
{
    const int NameLength = 24;

    static readonly SearchValues<char> Digits = SearchValues.Create("0123456789ABCDEF");

    /// <summary>What follows the name of a segment that is not complete.</summary>
    public const string Partial = ".partial";

    public WalRange Range => new(new Lsn(Number * SizeBytes), new Lsn((Number + 1) * SizeBytes));

    /// <summary>24 upper-case hexadecimal digits.</summary>
    public string Name => string.Create(
        CultureInfo.InvariantCulture, $"{Timeline:X8}{Number / PerFile:X8}{Number % PerFile:X8}");

    ulong PerFile => (1UL << 32) / SizeBytes;

    /// <summary>The segment that holds an address.</summary>
    public static WalSegment Of(uint timeline, Lsn address, uint sizeBytes) => new(timeline, address.Value / sizeBytes, sizeBytes);

    /// <summary>The segment of a name, without an ending; false for a name that PostgreSQL gives no segment.</summary>
    public static bool TryParse(string name, uint sizeBytes, out WalSegment segment)
    {
        segment = default;
        if (name.Length != NameLength || name.AsSpan().ContainsAnyExcept(Digits))
        {
            return false;
        }

        var (timeline, high, low) = (Field(name, 0), Field(name, 8), Field(name, 16));
        segment = new WalSegment(timeline, 0, sizeBytes);
        segment = segment with { Number = (high * segment.PerFile) + low };
        return timeline > 0 && low < segment.PerFile;
    }

    /// <summary>The timeline of the name of a history file; 0 for another name.</summary>
    public static uint TimelineOfHistory(string name) =>
        name.Length == 16 && name.EndsWith(".history", StringComparison.Ordinal) && !name.AsSpan(0, 8).ContainsAnyExcept(Digits)
            ? Field(name, 0)
            : 0;

    static uint Field(string name, int start) =>
        uint.Parse(name.AsSpan(start, 8), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}
