using System.Globalization;
using Salvor.Jobs.Keys;
using Salvor.Text;
using YamlDotNet.RepresentationModel;

namespace Salvor.Jobs.Config;

/// <summary>Reads <c>encryption</c> of a source: one place where the secret is, and whether it is safe elsewhere.</summary>
static class EncryptionReader
{
    const string Example = "{ key_file: /etc/salvor/app.key }";

    static readonly string[] Places =
        ["key_file", "passphrase", "passphrase_file", "passphrase_command", "passphrase_fd", "credential"];

    public static EncryptionConfig Read(ConfigDocument document, YamlNode node, string source)
    {
        var owner = $"encryption of {source}";
        var encryption = new ConfigMapping(document, node, owner);
        encryption.CheckKeys(ConfigKeys.Encryption);
        string[] given = [.. Places.Where(encryption.Has)];
        if (given.Length == 0)
        {
            throw document.Error(node, $"{owner} does not say where the key is", $"Write encryption: {Example}.");
        }

        if (given.Length > 1)
        {
            throw document.Error(
                encryption.Entries[given[1]].Key,
                $"{owner} has both {given[0]} and {given[1]}",
                "Keep one: the others can open the vault too, by slots that 'salvor key add' makes.");
        }

        return new EncryptionConfig(
            ReadPlace(document, encryption, given[0], source),
            encryption.Choice("key_saved", false, ("true", true), ("false", false)));
    }

    static KeySource ReadPlace(ConfigDocument document, ConfigMapping encryption, string place, string source) => place switch
    {
        "key_file" => new KeySource.KeyFile(encryption.Path(place, "/etc/salvor/app.key")),
        "passphrase" => ReadPassphrase(document, encryption, source),
        "passphrase_file" => new KeySource.PassphraseFile(encryption.Path(place, "/etc/salvor/app.passphrase")),
        "passphrase_command" => new KeySource.PassphraseCommand(new SecretText(encryption.Text(place, "pass show salvor/app"))),
        "credential" => new KeySource.Credential(ReadCredential(document, encryption)),
        _ => new KeySource.PassphraseDescriptor(ReadDescriptor(document, encryption)),
    };

    /// <summary>What is in a file or printed by a command is read when it is needed.</summary>
    static KeySource ReadPassphrase(ConfigDocument document, ConfigMapping encryption, string source)
    {
        var text = encryption.SecretAsWritten("passphrase", "${APP_PASSPHRASE}")!;
        return SecretValue.SourceOf(text, path => document.FullPath(encryption.Value("passphrase")!, path))
            ?? new KeySource.Passphrase(new SecretText(text), $"the configured passphrase of {source}");
    }

    static string ReadCredential(ConfigDocument document, ConfigMapping encryption)
    {
        var name = encryption.Text("credential", "app-passphrase");
        return name.Contains('/', StringComparison.Ordinal) || name is "." or ".."
            ? throw document.Error(
                encryption.Value("credential")!, $"\"{name}\" is not the name of a credential", "Write the name that the unit loads.")
            : name;
    }

    static int ReadDescriptor(ConfigDocument document, ConfigMapping encryption)
    {
        var text = encryption.Text("passphrase_fd", "3");
        return int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var descriptor) && descriptor is 0 or >= 3
            ? descriptor
            : throw document.Error(
                encryption.Value("passphrase_fd")!, $"passphrase_fd is \"{text}\", which is no file descriptor", "Write 0, 3 or more.");
    }
}
