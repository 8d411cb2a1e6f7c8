using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Vault.Format;

namespace Salvor.Cli.Commands;

/// <summary><c>--compression</c>, where something is stored.</summary>
static class CompressionOption
{
    public static Option<string?> Create(string otherwise) => new("--compression")
    {
        Description = $"How what is stored is compressed: zstd, lz4, gzip or none, with a level as in zstd:3; default {otherwise}.",
        HelpName = "NAME[:LEVEL]",
    };

    /// <summary>What is given, or null. Throws where it has no meaning, or needs what this machine does not have.</summary>
    public static FrameCompression? In(Invocation invocation, Option<string?> option)
    {
        if (invocation.Get(option) is not { } text)
        {
            return null;
        }

        var compression = FrameCompression.Parse(
            text, (message, hint) => new SalvorException(FailureKind.Usage, $"'{option.Name} {text}': {message}", hint));
        Compression.ExpectAvailable(compression.Codec);
        return compression;
    }
}
