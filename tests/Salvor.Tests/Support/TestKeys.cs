using System.Text;
using Salvor.Vault.Keys;

namespace Salvor.Tests.Support;

/// <summary>Keys for tests that are not about deriving them: key files, which open a vault at once.</summary>
static class TestKeys
{
    public static Keyring Keyring(string name = "one", bool isSaved = true) => Salvor.Vault.Keys.Keyring.Of(KeyFile(name), isSaved);

    public static VaultSecret KeyFile(string name = "one") =>
        VaultSecret.KeyFile(Encoding.UTF8.GetBytes(name.PadRight(VaultSecret.KeyFileBytesMin, '-')), $"key file {name}");

    public static VaultSecret Passphrase(string text) => VaultSecret.Passphrase(Encoding.UTF8.GetBytes(text), "the passphrase");

    public static VaultSecret Exported(KeyExport export) => VaultSecret.KeyFile(Encoding.UTF8.GetBytes(export.ToFile()), "key file export");
}
