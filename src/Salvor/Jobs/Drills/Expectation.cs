using System.Globalization;

namespace Salvor.Jobs.Drills;

/// <summary>What a value is expected to be: <c>ok</c>, or a comparison like <c>&gt;= 100</c>.</summary>
public sealed record Expectation
{
    /// <summary>The longer ones first: each text begins with at most one of them.</summary>
    static readonly string[] Operators = [">=", "<=", "!=", "==", ">", "<", "="];

    readonly string comparison;
    readonly string value;

    Expectation(string text, string comparison, string value) => (Text, this.comparison, this.value) = (text, comparison, value);

    /// <summary>As it was written.</summary>
    public string Text { get; }

    /// <summary>Null where a comparison by size has no number.</summary>
    public static Expectation? TryParse(string text)
    {
        var trimmed = text.Trim();
        var found = Operators.FirstOrDefault(item => trimmed.StartsWith(item, StringComparison.Ordinal)) ?? "";
        var value = trimmed[found.Length..].Trim();
        var bySize = found is ">=" or "<=" or ">" or "<";
        return bySize && !TryNumber(value, out _) ? null : new Expectation(trimmed, found, value);
    }

    /// <summary>Whether a value is as expected. Two numbers are compared as numbers; what is no number is not larger or smaller.</summary>
    public bool IsMet(string found)
    {
        if (!TryNumber(value, out var wanted) || !TryNumber(found.Trim(), out var number))
        {
            return comparison switch
            {
                "" or "=" or "==" => found.Trim() == value,
                "!=" => found.Trim() != value,
                _ => false,
            };
        }

        return comparison switch
        {
            ">=" => number >= wanted,
            "<=" => number <= wanted,
            ">" => number > wanted,
            "<" => number < wanted,
            "!=" => number != wanted,
            _ => number == wanted,
        };
    }

    public override string ToString() => Text;

    static bool TryNumber(string text, out decimal number) =>
        decimal.TryParse(
            text, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint | NumberStyles.AllowExponent, CultureInfo.InvariantCulture,
            out number);
}
