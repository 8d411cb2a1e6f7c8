using Salvor.Jobs.Config;
using Salvor.Jobs.Keys;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class EncryptionConfigTests
{
    const string Rest = "type: sqlite\n    path: /data/app.db\n    to: [local]\n    encryption: ";

    [Fact]
    public void Every_place_of_a_secret_can_be_named()
    {
        Assert.Equal(new KeySource.KeyFile("/etc/salvor/app.key"), Key("{ key_file: app.key }"));
        Assert.Equal(new KeySource.PassphraseFile("/run/pass"), Key("{ passphrase_file: /run/pass }"));
        Assert.Equal(new KeySource.PassphraseCommand(new("pass show app")), Key("{ passphrase_command: pass show app }"));
        Assert.Equal(new KeySource.PassphraseDescriptor(3), Key("{ passphrase_fd: 3 }"));
        Assert.Equal(new KeySource.Credential("app"), Key("{ credential: app }"));
        Assert.Equal(
            new KeySource.Passphrase(new("secret"), "the configured passphrase of source app"),
            ParseSource(Rest + "{ passphrase: '${APP}' }", ("APP", "secret")).Encryption!.Key);
        Assert.Null(ParseSource("type: sqlite\n    path: /data/app.db\n    to: [local]").Encryption);
    }

    [Fact]
    public void The_key_counts_as_saved_only_where_somebody_says_so()
    {
        Assert.False(ParseSource(Rest + "{ key_file: /k }").Encryption!.KeySaved);
        Assert.False(ParseSource(Rest + "{ key_file: /k, key_saved: false }").Encryption!.KeySaved);
        Assert.True(ParseSource(Rest + "{ key_file: /k, key_saved: true }").Encryption!.KeySaved);
    }

    [Fact]
    public void A_secret_in_a_configuration_is_not_printed_with_it()
    {
        var source = ParseSource(Rest + "{ passphrase: '${APP}' }", ("APP", "canary"));
        var command = ParseSource(Rest + "{ passphrase_command: echo canary }");

        Assert.DoesNotContain("canary", $"{source} {command}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        "{ }", "8:17", "encryption of source app does not say where the key is", "Write encryption: { key_file: /etc/salvor/app.key }.")]
    [InlineData(
        "{ key_file: /k, passphrase_fd: 3 }", "8:33", "encryption of source app has both key_file and passphrase_fd",
        "Keep one: the others can open the vault too, by slots that 'salvor key add' makes.")]
    [InlineData("{ passphrase_fd: 1 }", "8:34", "passphrase_fd is \"1\", which is no file descriptor", "Write 0, 3 or more.")]
    [InlineData("{ credential: ../x }", "8:31", "\"../x\" is not the name of a credential", "Write the name that the unit loads.")]
    [InlineData(
        "{ keyfile: /k }", "8:19", "unknown key \"keyfile\" in encryption of source app",
        "Did you mean \"key_file\"? Known keys are key_file, passphrase, passphrase_file, passphrase_command, passphrase_fd, credential "
            + "and key_saved.")]
    public void What_is_wrong_is_said_with_its_place(string encryption, string place, string message, string hint) =>
        AssertError(place, message, hint, () => ParseSource(Rest + encryption));

    [Fact]
    public void One_variable_names_the_secret_and_two_are_refused()
    {
        Assert.Null(Find());
        Assert.Equal(new KeySource.KeyFile("/k"), Find(("SALVOR_KEY_FILE", "/k")));
        Assert.Equal(new KeySource.PassphraseFile("/p"), Find(("SALVOR_PASSPHRASE_FILE", "/p")));
        Assert.Equal(new KeySource.PassphraseCommand(new("x")), Find(("SALVOR_PASSPHRASE_COMMAND", "x")));
        Assert.Equal(new KeySource.PassphraseDescriptor(4), Find(("SALVOR_PASSPHRASE_FD", "4")));
        Assert.Equal(
            new KeySource.Passphrase(new("x"), "the passphrase in variable SALVOR_PASSPHRASE"), Find(("SALVOR_PASSPHRASE", "x")));

        var two = Assert.Throws<SalvorException>(() => Find(("SALVOR_PASSPHRASE", "canary"), ("SALVOR_KEY_FILE", "/k")));
        Assert.Equal((FailureKind.Usage, "SALVOR_PASSPHRASE and SALVOR_KEY_FILE are both set"), (two.Kind, two.Message));
        var number = Assert.Throws<SalvorException>(() => Find(("SALVOR_PASSPHRASE_FD", "canary")));
        Assert.Equal("SALVOR_PASSPHRASE_FD is not the number of a file descriptor", number.Message);
    }

    static KeySource Key(string encryption) => ParseSource(Rest + encryption).Encryption!.Key;

    static KeySource? Find(params (string Name, string Value)[] variables) =>
        KeyVariables.Find(KeyVariables.Current, name => variables.FirstOrDefault(variable => variable.Name == name).Value);
}
