using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Salvor.Text;
using Salvor.Vault.Format;

namespace Salvor.Vault.Verify;

/// <summary>
/// Which objects are read whole, chosen by a hash of their key and a seed: the same seed chooses the same objects, in whatever order and
/// at whichever destination.
/// </summary>
public sealed partial record Sample
{
    const string Hint = "Write a share (5%), a part of all (1/7 is the first of seven that together are everything), or a size (50M).";

    /// <summary>Everything.</summary>
    public static readonly Sample All = new();

    /// <summary>The share of objects, from 0 to 1; of a size it is known once the vault was listed.</summary>
    public double Share { get; init; } = 1;

    /// <summary>About so many bytes; null for a share.</summary>
    public long? SizeBytes { get; init; }

    /// <summary>For the n-th of t parts: n, from 1.</summary>
    public uint Part { get; init; }

    /// <summary>For the n-th of t parts: t; 0 otherwise.</summary>
    public uint Parts { get; init; }

    /// <summary>What makes one choice differ from another. Parts do without, because together they must be everything.</summary>
    public int Seed { get; init; }

    /// <summary>Throws <see cref="FailureKind.Usage"/> with the forms that there are.</summary>
    public static Sample Parse(string text, Random random)
    {
        var seed = random.Next();
        if (PartForm().Match(text) is { Success: true } part
            && uint.TryParse(part.Groups[1].ValueSpan, out var n) && uint.TryParse(part.Groups[2].ValueSpan, out var t)
            && n >= 1 && n <= t)
        {
            return new Sample { Part = n, Parts = t };
        }

        const NumberStyles Style = NumberStyles.AllowDecimalPoint;
        if (text.EndsWith('%')
            && double.TryParse(text.AsSpan(0, text.Length - 1), Style, CultureInfo.InvariantCulture, out var percent)
            && percent is > 0 and <= 100)
        {
            return new Sample { Share = percent / 100, Seed = seed };
        }

        // As restic has it: K, M, G and T count in 1024.
        var size = ShortUnit().IsMatch(text) ? text + "iB" : text;
        return !text.EndsWith('%') && SizeText.TryParse(size, out var bytes) && bytes > 0
            ? new Sample { SizeBytes = bytes, Seed = seed }
            : throw new SalvorException(FailureKind.Usage, $"\"{text}\" is not a sample", Hint);
    }

    /// <summary>A size as the share that it is of a vault.</summary>
    public Sample For(long vaultBytes) => SizeBytes is { } size
        ? this with { Share = Math.Min(1, (double)size / Math.Max(1, vaultBytes)) }
        : this;

    /// <summary>Whether the object of this key is in it.</summary>
    public bool Takes(string key)
    {
        if (Parts == 0 && Share >= 1)
        {
            return true;
        }

        var hash = Checksum.Crc32C(Encoding.UTF8.GetBytes(Parts > 0 ? key : $"{Seed} {key}"));
        return Parts > 0 ? hash % Parts == Part - 1 : hash < Share * (1L << 32);
    }

    [GeneratedRegex("^([0-9]+)/([0-9]+)$")]
    private static partial Regex PartForm();

    [GeneratedRegex("^[0-9.]+[KMGT]$", RegexOptions.IgnoreCase)]
    private static partial Regex ShortUnit();
}
