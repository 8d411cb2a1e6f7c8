using System.Globalization;
using Salvor.Text;

namespace Salvor.Vault.Format;

/// <summary>
/// How the frames of a source are compressed. It is a setting of whoever writes, and not of the vault: each frame says how it is stored, so
/// it may change at any time, and what has the same content keeps its name.
/// </summary>
public sealed record FrameCompression
{
    /// <summary>What a message suggests.</summary>
    public const string Example = "zstd:3";

    static readonly (string Name, Codec Codec)[] Named =
        [("zstd", Codec.Zstd), ("lz4", Codec.Lz4), ("gzip", Codec.Gzip), ("none", Codec.None), ("true", Codec.Zstd), ("false", Codec.None)];

    FrameCompression(Codec codec, int level) => (Codec, Level) = (codec, level);

    /// <summary>zstd, level 1: docs/decisions has the bench of speed against size.</summary>
    public static FrameCompression Default { get; } = Of(Codec.Zstd);

    /// <summary>The names of the codecs, the default first. <c>true</c> stands for it too, and <c>false</c> for none.</summary>
    public static IReadOnlyList<string> Names { get; } = ["zstd", "lz4", "gzip", "none"];

    public Codec Codec { get; }

    /// <summary>More is smaller and slower. 0 where the codec has no levels.</summary>
    public int Level { get; }

    /// <summary>A codec at its default level.</summary>
    public static FrameCompression Of(Codec codec) =>
        new(codec, codec switch { Codec.Zstd => 1, Codec.Gzip => 6, _ => 0 });

    /// <summary>The highest level of a codec, where the lowest is 1; 0 where it has none.</summary>
    public static int LevelMax(Codec codec) => codec switch { Codec.Zstd => 19, Codec.Gzip => 9, _ => 0 };

    /// <summary>Reads <c>NAME</c> or <c>NAME:LEVEL</c>.</summary>
    /// <param name="text">What is given.</param>
    /// <param name="refuse">Makes the error from what is wrong and what to do.</param>
    public static FrameCompression Parse(string text, Func<string, string, SalvorException> refuse)
    {
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var codec = CodecOf(colon < 0 ? text : text[..colon], refuse);
        return colon < 0 ? Of(codec) : WithLevel(codec, text[(colon + 1)..], refuse);
    }

    /// <summary>The codec of this name.</summary>
    public static Codec CodecOf(string name, Func<string, string, SalvorException> refuse)
    {
        foreach (var (known, codec) in Named)
        {
            if (known == name)
            {
                return codec;
            }
        }

        throw refuse(
            $"\"{name}\" is not a codec",
            $"{Suggestion.Sentence(name, Names)}Known are {Suggestion.Enumerate(Names)}, with a level as in {Example}.");
    }

    /// <summary>A codec at this level.</summary>
    public static FrameCompression WithLevel(Codec codec, string level, Func<string, string, SalvorException> refuse)
    {
        var (name, levelMax) = (NameOf(codec), LevelMax(codec));
        return levelMax == 0 ? throw refuse($"{name} has no levels", $"Leave the level out, or use another codec, as in {Example}.")
            : int.TryParse(level, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value >= 1 && value <= levelMax
                ? new(codec, value)
            : throw refuse($"\"{level}\" is not a level of {name}", $"Give a whole number from 1 to {levelMax}.");
    }

    /// <summary>As it is written in a configuration.</summary>
    public override string ToString() => Level == 0 ? NameOf(Codec) : $"{NameOf(Codec)}:{Level}";

    static string NameOf(Codec codec) => Named.First(item => item.Codec == codec).Name;
}
