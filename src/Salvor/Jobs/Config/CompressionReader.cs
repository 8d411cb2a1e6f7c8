using Salvor.Vault.Format;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>Reads how what is stored of a source is compressed.</summary>
static class CompressionReader
{
    /// <summary>A codec, with a level after a colon or not, <c>true</c>, <c>false</c>, or a mapping.</summary>
    public static FrameCompression Read(ConfigDocument document, ConfigMapping source, string owner)
    {
        switch (source.Value("compression"))
        {
            case null:
                return FrameCompression.Default;
            case YamlMappingNode node:
                return ReadMapping(document, new ConfigMapping(document, node, $"compression of {owner}"));
            case var node:
                var text = source.Text("compression", FrameCompression.Example);
                return FrameCompression.Parse(text, Refusal(document, node, $"compression of {owner}"));
        }
    }

    static FrameCompression ReadMapping(ConfigDocument document, ConfigMapping compression)
    {
        compression.CheckKeys(ConfigKeys.Compression);
        var codec = compression.OptionalText("codec", "zstd") is { } name
            ? FrameCompression.CodecOf(name, Refusal(document, compression.Value("codec")!, $"codec of {compression.Owner}"))
            : FrameCompression.Default.Codec;
        return compression.OptionalText("level", "3") is { } level
            ? FrameCompression.WithLevel(codec, level, Refusal(document, compression.Value("level")!, $"level of {compression.Owner}"))
            : FrameCompression.Of(codec);
    }

    static Func<string, string, SalvorException> Refusal(ConfigDocument document, YamlNode node, string what) =>
        (message, hint) => document.Error(node, $"{what}: {message}", hint);
}
