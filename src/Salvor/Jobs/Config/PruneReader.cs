using Salvor.Text;
using Salvor.Vault.Pruning;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>Reads how the daemon prunes a source.</summary>
static class PruneReader
{
    /// <summary>Each of them says what is to be dropped, so that a source that has one is pruned without being asked for it.</summary>
    static readonly string[] Asks = ["keep", "max_backups", "retention_days", "max_total_size"];

    /// <summary><c>off</c>, or a mapping.</summary>
    public static PruneConfig Read(ConfigDocument document, ConfigMapping source, string owner)
    {
        switch (source.Value("prune"))
        {
            case null:
                return new() { Every = Asks.Any(source.Has) ? PruneConfig.EveryDefault : null };
            case YamlScalarNode { Value: "off" }:
                return new();
            case var node:
                var prune = new ConfigMapping(document, node, $"prune of {owner}");
                prune.CheckKeys(ConfigKeys.Prune);
                return new()
                {
                    Every = prune.Duration("every", PruneConfig.EveryDefault, PruneConfig.EveryMin, PruneConfig.EveryMax),
                    Grace = ReadGrace(document, prune, owner),
                };
        }
    }

    static TimeSpan ReadGrace(ConfigDocument document, ConfigMapping prune, string owner)
    {
        var grace = prune.Duration("grace", Pruner.GraceDefault, TimeSpan.Zero, PruneConfig.GraceMax);
        var least = DurationText.Format(Pruner.GraceMin);
        return grace >= Pruner.GraceMin
            ? grace
            : throw document.Error(
                prune.Value("grace")!,
                $"grace of prune of {owner} is {DurationText.Format(grace)}, and has to be at least {least}",
                $"A backup that is being made may need for up to {least} what is condemned meanwhile: write prune: {{ grace: 7d }}.");
    }
}
