using System.Globalization;

namespace Salvor.Vault;

/// <summary>A source's own monotonic number: for sqlite, the count of transactions that Salvor saw. Written in decimal.</summary>
public readonly record struct Position(ulong Value) : IComparable<Position>
{
    /// <summary>Before the first restore point.</summary>
    public static readonly Position None;

    public static bool operator <(Position left, Position right) => left.Value < right.Value;

    public static bool operator >(Position left, Position right) => left.Value > right.Value;

    public static bool operator <=(Position left, Position right) => left.Value <= right.Value;

    public static bool operator >=(Position left, Position right) => left.Value >= right.Value;

    public Position Next => new(checked(Value + 1));

    public int CompareTo(Position other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString(CultureInfo.InvariantCulture);

    public static bool TryParse(string? text, out Position position)
    {
        var parsed = ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value);
        position = new Position(value);
        return parsed;
    }
}

/// <summary>Times as the format has them: microseconds since 1970 UTC.</summary>
public static class Micros
{
    public static long Of(DateTimeOffset time) => (time.UtcTicks - DateTimeOffset.UnixEpoch.UtcTicks) / TimeSpan.TicksPerMicrosecond;

    /// <summary>Whether this is a time at all. What comes from a vault may be none.</summary>
    public static bool IsTime(long micros) => micros >= Of(DateTimeOffset.MinValue) && micros <= Of(DateTimeOffset.MaxValue);

    public static DateTimeOffset ToTime(long micros) =>
        new(DateTimeOffset.UnixEpoch.UtcTicks + (micros * TimeSpan.TicksPerMicrosecond), TimeSpan.Zero);
}
