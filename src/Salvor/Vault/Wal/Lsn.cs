using System.Globalization;

namespace Salvor.Vault.Wal;

/// <summary>An address in the write-ahead log of PostgreSQL: how many bytes of it come before. None is ever used twice.</summary>
public readonly record struct Lsn(ulong Value) : IComparable<Lsn>
{
    /// <summary>Before everything; no record is there.</summary>
    public static readonly Lsn None;

    public static bool operator <(Lsn left, Lsn right) => left.Value < right.Value;

    public static bool operator >(Lsn left, Lsn right) => left.Value > right.Value;

    public static bool operator <=(Lsn left, Lsn right) => left.Value <= right.Value;

    public static bool operator >=(Lsn left, Lsn right) => left.Value >= right.Value;

    public static Lsn operator +(Lsn left, long bytes) => new(checked(left.Value + (ulong)bytes));

    /// <summary>How many bytes lie between.</summary>
    public static long operator -(Lsn left, Lsn right) => checked((long)(left.Value - right.Value));

    public static Lsn Min(Lsn left, Lsn right) => left < right ? left : right;

    public static Lsn Max(Lsn left, Lsn right) => left > right ? left : right;

    /// <summary>The last multiple of a size at or before this address.</summary>
    public Lsn Floor(uint bytes) => new(Value - (Value % bytes));

    public int CompareTo(Lsn other) => Value.CompareTo(other.Value);

    /// <summary>As PostgreSQL writes it: <c>16/B374D848</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Value >> 32:X}/{(uint)Value:X}");

    public static bool TryParse(string? text, out Lsn lsn)
    {
        lsn = None;
        var slash = text?.IndexOf('/') ?? -1;
        if (slash < 0 || !TryHex(text.AsSpan(0, slash), out var high) || !TryHex(text.AsSpan(slash + 1), out var low))
        {
            return false;
        }

        lsn = new Lsn(((ulong)high << 32) | low);
        return true;
    }

    static bool TryHex(ReadOnlySpan<char> text, out uint value) =>
        uint.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);
}

/// <summary>Addresses from the first one on, up to but without the end.</summary>
public readonly record struct WalRange(Lsn First, Lsn End)
{
    /// <summary>No object holds more than one aligned block, whatever the size of the server's segments.</summary>
    public const uint BlockBytes = 8 << 20;

    public long Length => End - First;

    public bool IsEmpty => End <= First;

    public bool Has(Lsn address) => First <= address && address < End;

    public WalRange Within(WalRange other) => new(Lsn.Max(First, other.First), Lsn.Min(End, other.End));

    /// <summary>The block in which an address lies.</summary>
    public static WalRange BlockOf(Lsn address) => new(address.Floor(BlockBytes), address.Floor(BlockBytes) + BlockBytes);

    public override string ToString() => $"{First}-{End}";
}
