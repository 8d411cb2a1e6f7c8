using Salvor.Storage;
using Salvor.Storage.Sftp;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage.Sftp;

/// <summary>Passwords and passphrases, by a real client and a real server.</summary>
public sealed class SshPasswordTests : IAsyncLifetime
{
    const string Passphrase = "canary of the key";

    readonly TemporaryDirectory directory = new();
    SshServer server = null!;

    public async ValueTask InitializeAsync() => server = await SshServer.RunningAsync();

    public ValueTask DisposeAsync()
    {
        directory.Dispose();
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_password_lets_in_and_is_in_no_argument_variable_or_file()
    {
        var options = await server.PasswordOptionsAsync();
        var store = new SftpStore(options);

        Assert.Equal(PutResult.Created, await store.PutAsync("vault/a", new byte[] { 7 }, default));

        Assert.Equal([7], await store.GetAsync("vault/a", 9, default));
        var client = Assert.Single(SshClients.With(options.User!), IsOurs);
        foreach (var file in (string[])["cmdline", "environ"])
        {
            var text = await File.ReadAllTextAsync($"/proc/{client.Id}/{file}", TestContext.Current.CancellationToken);
            Assert.Contains(file == "cmdline" ? options.User! : "SSH_ASKPASS=", text, StringComparison.Ordinal);
            Assert.DoesNotContain(SshServer.Password, text, StringComparison.Ordinal);
        }

        await Eventually.HoldsAsync(
            () => Directory.GetDirectories(Path.GetTempPath(), "salvor-ssh-*").Length == 0, () => "the pipe is still there");
    }

    [Fact]
    public async Task A_wrong_password_is_told()
    {
        var options = await server.PasswordOptionsAsync() with { Password = new SecretText("canary that is wrong") };

        var failure = await FailureAsync(options);

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal(
            $"cannot look for a at {options.Place}: 127.0.0.1 refuses the password of user {options.User}", failure.Message);
        Assert.Equal("Correct 'password' and 'user', or use a key_file.", failure.Hint);
    }

    [Fact]
    public async Task A_server_that_takes_no_passwords_is_told()
    {
        var options = server.Options(directory.Path) with { KeyFile = null, Password = new SecretText(SshServer.Password) };

        var failure = await FailureAsync(options);

        Assert.Equal(
            $"cannot look for a at {options.Place}: 127.0.0.1 takes no passwords of user {Environment.UserName}, only publickey",
            failure.Message);
        Assert.Equal("Use a key_file, or set 'PasswordAuthentication yes' in /etc/ssh/sshd_config there.", failure.Hint);
    }

    [Fact]
    public async Task A_passphrase_opens_a_key_and_a_wrong_one_is_told()
    {
        var key = directory["key"];
        File.Copy(server.KeyFile, key);
        File.SetUnixFileMode(key, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        var sealing = await ChildProcess.RunAsync("ssh-keygen", ["-q", "-p", "-P", "", "-N", Passphrase, "-f", key]);
        Assert.True(sealing.ExitCode == 0, $"{sealing}");
        var options = server.Options(directory.Path) with { KeyFile = key };

        Assert.Null(await new SftpStore(options with { KeyPassphrase = new SecretText(Passphrase) }).SizeAsync("a", default));

        var failure = await FailureAsync(options with { KeyPassphrase = new SecretText("canary that is wrong") });
        Assert.Equal(
            $"cannot look for a at {options.Place}: the key cannot be used: its passphrase is not the right one", failure.Message);
        Assert.Equal($"Correct key_passphrase; 'ssh-keygen -y -f {key}' asks for it and tells whether it is right.", failure.Hint);
        Assert.DoesNotContain("canary", $"{failure}{failure.Hint}{options}", StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_another_started_is_given_no_answer()
    {
        using var files = SshFiles.Write(new() { Host = "nas", Path = "/", Password = new SecretText("canary") });

        // As the client on the way through a jump host would ask: its parent is not this process.
        const string AsGrandchild = "/bin/sh -c '\"$0\" \"u@nas password: \"; true' \"$0\"; true";
        var asked = await ChildProcess.RunAsync("/bin/sh", ["-c", AsGrandchild, files.Askpass!]);

        Assert.Equal("", asked.Stdout);
        var direct = await ChildProcess.RunAsync("/bin/sh", ["-c", "\"$0\" 'u@nas password: '; true", files.Askpass!]);
        Assert.Equal("canary\n", direct.Stdout);
    }

    /// <summary>Those of other processes that tests started have the same user.</summary>
    static bool IsOurs(System.Diagnostics.Process client) =>
        File.ReadAllText($"/proc/{client.Id}/stat").Split(' ')[3] == $"{Environment.ProcessId}";

    static Task<StorageException> FailureAsync(SftpOptions options) =>
        Assert.ThrowsAsync<StorageException>(() => new SftpStore(options).SizeAsync("a", TestContext.Current.CancellationToken));
}
