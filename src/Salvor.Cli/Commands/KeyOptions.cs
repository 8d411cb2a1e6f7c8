using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Keys;
using Salvor.Vault.Keys;

namespace Salvor.Cli.Commands;

/// <summary>How every verb is told what opens an encrypted vault.</summary>
static class KeyOptions
{
    public static readonly Option<string?> KeyFile = new("--key-file")
    {
        Description = "The key file or the exported key of an encrypted vault (without a configuration also: $SALVOR_KEY_FILE, "
            + "$SALVOR_PASSPHRASE, or the latter with _FILE, _COMMAND or _FD).",
        HelpName = "FILE",
    };

    /// <summary>Of a configured source, unless a key file is named; else from the variables. Null where the vault is to be plain.</summary>
    public static Keyring? Find(Invocation invocation, SourceConfig? source, bool isSaved = false)
    {
        if (invocation.Get(KeyFile) is { } file)
        {
            return SecretReader.KeyringOf(new KeySource.KeyFile(Path.GetFullPath(file)), isSaved);
        }

        if (source is not null)
        {
            return ConfiguredSources.KeysOf(source);
        }

        return KeyVariables.Find(KeyVariables.Current, Environment.GetEnvironmentVariable) is { } key
            ? SecretReader.KeyringOf(key, isSaved)
            : null;
    }
}
