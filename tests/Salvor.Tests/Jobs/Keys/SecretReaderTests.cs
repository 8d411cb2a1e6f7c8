using System.Text;
using Salvor.Jobs.Keys;
using Salvor.Tests.Support;
using Salvor.Vault.Keys;

namespace Salvor.Tests.Jobs.Keys;

public sealed class SecretReaderTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    public void Dispose() => scratch.Dispose();

    [Theory]
    [InlineData("secret\n")]
    [InlineData("secret\r\n")]
    [InlineData("secret")]
    public async Task One_line_end_after_a_passphrase_is_not_part_of_it(string text) =>
        Assert.Equal("secret", Text(await ReadAsync(new KeySource.PassphraseFile(Write("p", text)))));

    [Theory]
    [InlineData("secret\n\n", "secret\n")]
    [InlineData(" secret ", " secret ")]
    [InlineData("sec\nret", "sec\nret")]
    public async Task Everything_else_is(string text, string expected) =>
        Assert.Equal(expected, Text(await ReadAsync(new KeySource.PassphraseFile(Write("p", text)))));

    [Fact]
    public async Task A_file_a_command_and_a_variable_agree()
    {
        var file = Write("p", "naïve secret\n");
        Assert.Equal("naïve secret", Text(await ReadAsync(new KeySource.PassphraseFile(file))));
        Assert.Equal("naïve secret", Text(await ReadAsync(new KeySource.PassphraseCommand(new($"cat '{file}'")))));
        Assert.Equal("naïve secret", Text(await ReadAsync(new KeySource.Passphrase(new("naïve secret"), "x"))));
    }

    [Theory]
    [InlineData("0644", 0b110_100_100)]
    [InlineData("0640", 0b110_100_000)]
    [InlineData("0604", 0b110_000_100)]
    [InlineData("0620", 0b110_010_000)]
    [InlineData("0601", 0b110_000_001)]
    public async Task A_file_that_others_may_use_is_refused_with_its_mode(string shown, int mode)
    {
        var path = Write("p", new string('x', 40));
        File.SetUnixFileMode(path, (UnixFileMode)mode);

        var passphrase = await RefusalAsync(new KeySource.PassphraseFile(path));
        var key = await RefusalAsync(new KeySource.KeyFile(path));

        Assert.Equal($"passphrase file {path} has mode {shown}, so others than its owner may use it", passphrase.Message);
        Assert.Equal($"key file {path} has mode {shown}, so others than its owner may use it", key.Message);
        Assert.StartsWith($"Run 'chmod 600 {path}'.", key.Hint);
    }

    [Fact]
    public async Task What_cannot_be_read_is_named_by_its_place_and_never_by_what_it_says()
    {
        var missing = scratch["missing"];
        Assert.Equal($"key file {missing} does not exist", (await RefusalAsync(new KeySource.KeyFile(missing))).Message);
        Assert.Equal(
            "the passphrase command ended with 3",
            (await RefusalAsync(new KeySource.PassphraseCommand(new("echo canary; exit 3")))).Message);
        Assert.Equal("file descriptor 777 is not open for reading", (await RefusalAsync(new KeySource.PassphraseDescriptor(777))).Message);
        Assert.Equal(
            "credential app is configured, and CREDENTIALS_DIRECTORY is not set",
            (await RefusalAsync(new KeySource.Credential("app"))).Message);
        Assert.Equal("the passphrase in file " + Write("empty", "\n") + " is empty", await EmptyAsync());
        var large = Write("large", new string('x', (64 << 10) + 1));
        Assert.Equal(
            $"passphrase file {large} has more than 65536 bytes, which no key has",
            (await RefusalAsync(new KeySource.PassphraseFile(large))).Message);
    }

    [Fact]
    public async Task A_key_file_is_long_enough_to_be_random()
    {
        var failure = await RefusalAsync(new KeySource.KeyFile(Write("k", new string('x', 31))));

        Assert.Equal($"key file {scratch["k"]} has 31 bytes, and a key file has at least 32", failure.Message);
    }

    [Fact]
    public async Task A_secret_is_read_once_and_again_after_it_could_not_be_read()
    {
        var path = scratch["later"];
        var keys = SecretReader.KeyringOf(new KeySource.PassphraseFile(path), isSaved: false);
        await Assert.ThrowsAsync<KeyException>(() => keys.SecretAsync(default));

        Write("later", "secret");
        Assert.Equal("secret", Text(await keys.SecretAsync(default)));
        File.Delete(path);
        Assert.Equal("secret", Text(await keys.SecretAsync(default)));
    }

    [Fact]
    public async Task What_a_descriptor_gave_is_kept_when_its_number_is_that_of_another_file()
    {
        // As a daemon does it, where two sources have the same key: the second is read when the first has closed the descriptor.
        var number = (int)File.OpenHandle(Write("p", "secret\n")).DangerousGetHandle();
        var source = new KeySource.PassphraseDescriptor(number);
        var first = await ReadAsync(source);

        using var other = File.OpenHandle(Write("other", "canary\n"));
        var second = await SecretReader.KeyringOf(source, isSaved: false).SecretAsync(TestContext.Current.CancellationToken);

        Assert.Equal(("secret", "secret"), (Text(first), Text(second)));
    }

    async Task<string> EmptyAsync() =>
        (await RefusalAsync(new KeySource.PassphraseFile(scratch["empty"]))).Message;

    static Task<VaultSecret> ReadAsync(KeySource source) => SecretReader.ReadAsync(source, TestContext.Current.CancellationToken);

    static async Task<KeyException> RefusalAsync(KeySource source)
    {
        var failure = await Assert.ThrowsAsync<KeyException>(() => ReadAsync(source));
        Assert.Equal(FailureKind.Usage, failure.Kind);
        Assert.DoesNotContain("canary", failure.ToString(), StringComparison.Ordinal);
        return failure;
    }

    static string Text(VaultSecret secret) => Encoding.UTF8.GetString(secret.Bytes);

    string Write(string name, string text)
    {
        File.WriteAllText(scratch[name], text);
        File.SetUnixFileMode(scratch[name], UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return scratch[name];
    }
}
