using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>Reads how the daemon verifies a source.</summary>
static class VerifyReader
{
    /// <summary><c>off</c>, or a mapping.</summary>
    public static VerifyConfig Read(ConfigDocument document, ConfigMapping source, string owner)
    {
        switch (source.Value("verify"))
        {
            case null:
                return new();
            case YamlScalarNode { Value: "off" }:
                return new() { Every = null };
            case var node:
                var verify = new ConfigMapping(document, node, $"verify of {owner}");
                verify.CheckKeys(ConfigKeys.Verify);
                return new()
                {
                    Every = verify.Duration("every", VerifyConfig.EveryDefault, VerifyConfig.EveryMin, VerifyConfig.EveryMax),
                    Deep = verify.Choice("deep", true, ("true", true), ("false", false)),
                    KeepImage = verify.Choice("keep_image", true, ("true", true), ("false", false)),
                };
        }
    }
}
