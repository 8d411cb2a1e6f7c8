using System.Globalization;

namespace Salvor.Postgres.Protocol;

/// <summary>An address in the log of PostgreSQL, written <c>16/B374D848</c>: a count of bytes since the cluster was made.</summary>
public readonly record struct Lsn(ulong Value) : IComparable<Lsn>
{
    /// <summary>No record can begin at zero, so the server uses it for "not known".</summary>
    public static readonly Lsn None;

    public static bool operator <(Lsn left, Lsn right) => left.Value < right.Value;

    public static bool operator >(Lsn left, Lsn right) => left.Value > right.Value;

    public static bool operator <=(Lsn left, Lsn right) => left.Value <= right.Value;

    public static bool operator >=(Lsn left, Lsn right) => left.Value >= right.Value;

    public static Lsn operator +(Lsn start, long bytes) => start.Add(bytes);

    /// <summary>The address so many bytes later. Throws where there is none.</summary>
    public Lsn Add(long bytes) => new(checked(Value + (ulong)bytes));

    public int CompareTo(Lsn other) => Value.CompareTo(other.Value);

    public override string ToString() => $"{Value >> 32:X}/{(uint)Value:X}";

    /// <summary>Two hexadecimal numbers of up to 32 bits, with a slash.</summary>
    public static bool TryParse(string? text, out Lsn lsn)
    {
        lsn = default;
        if (text?.Split('/') is not [{ Length: >= 1 and <= 8 } high, { Length: >= 1 and <= 8 } low]
            || !uint.TryParse(high, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var upper)
            || !uint.TryParse(low, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var lower))
        {
            return false;
        }

        lsn = new Lsn(((ulong)upper << 32) | lower);
        return true;
    }
}
