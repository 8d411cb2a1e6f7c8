using Salvor.Storage;
using Salvor.Storage.Sftp;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage.Sftp;

/// <summary>What OpenSSH's client and a real server make of right and wrong settings.</summary>
public sealed class SshProcessTests : IAsyncLifetime
{
    readonly TemporaryDirectory directory = new();
    SshServer server = null!;

    public async ValueTask InitializeAsync() => server = await SshServer.RunningAsync();

    public ValueTask DisposeAsync()
    {
        directory.Dispose();
        return ValueTask.CompletedTask;
    }

    SftpOptions Options => server.Options(directory.Path);

    string Place => $"sftp://{Environment.UserName}@127.0.0.1:{server.Port}{directory.Path}";

    [Fact]
    public async Task An_unknown_host_key_is_refused_with_its_fingerprint_then_the_command_that_adds_it()
    {
        File.WriteAllText(directory["known_hosts"], "");
        var failure = await FailureAsync(Options with { KnownHostsFile = directory["known_hosts"] });

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal(
            $"cannot look for a at {Place}: the host key of 127.0.0.1 is not known: ssh-ed25519 {await server.FingerprintAsync()}",
            failure.Message);
        Assert.Equal(
            "Compare it with what 'ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub' prints on 127.0.0.1; if they are equal, add it: "
                + $"'ssh-keyscan -p {server.Port} 127.0.0.1 >> {directory["known_hosts"]}'.",
            failure.Hint);
    }

    [Fact]
    public async Task The_command_that_the_hint_names_makes_the_host_known()
    {
        var scan = await ChildProcess.RunAsync(
            "/bin/sh", ["-c", $"ssh-keyscan -p {server.Port} 127.0.0.1 >> {directory["known_hosts"]}"]);
        Assert.True(scan.ExitCode == 0, $"{scan}");

        Assert.Null(await new SftpStore(Options with { KnownHostsFile = directory["known_hosts"] }).SizeAsync("a", default));
    }

    [Fact]
    public async Task A_changed_host_key_is_refused()
    {
        File.WriteAllText(directory["known_hosts"], $"[127.0.0.1]:{server.Port} {server.StrangeHostKey}\n");
        var failure = await FailureAsync(Options with { KnownHostsFile = directory["known_hosts"] });

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal(
            $"cannot look for a at {Place}: the host key of 127.0.0.1 has changed: ssh-ed25519 {await server.FingerprintAsync()}",
            failure.Message);
        Assert.Equal(
            "Somebody may be answering in its place. If the server was set up anew, forget the old key with "
                + $"'ssh-keygen -R [127.0.0.1]:{server.Port} -f {directory["known_hosts"]}', then add the new one: "
                + $"'ssh-keyscan -p {server.Port} 127.0.0.1 >> {directory["known_hosts"]}'.",
            failure.Hint);
    }

    [Fact]
    public async Task A_pinned_host_key_is_the_only_one_that_counts()
    {
        var right = Options with { KnownHostsFile = null, HostKey = server.HostKey };
        Assert.Null(await new SftpStore(right).SizeAsync("a", default));

        var failure = await FailureAsync(Options with { HostKey = server.StrangeHostKey });

        Assert.Contains("the host key of 127.0.0.1 has changed: ssh-ed25519 SHA256:", failure.Message);
        Assert.EndsWith($"put the new key into host_key: 'ssh-keyscan -p {server.Port} 127.0.0.1' prints it.", failure.Hint);
        await Eventually.HoldsAsync(
            () => Directory.GetDirectories(Path.GetTempPath(), "salvor-ssh-*").Length == 0, () => "the pinned key is still in a file");
    }

    [Fact]
    public async Task A_key_that_the_server_does_not_know_is_told_with_the_command_that_lets_it_in()
    {
        var failure = await FailureAsync(Options with { KeyFile = server.StrangeKeyFile });

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal(
            $"cannot look for a at {Place}: 127.0.0.1 refuses the key of user {Environment.UserName}", failure.Message);
        Assert.Equal(
            $"Let it in: 'ssh-copy-id -i {server.StrangeKeyFile}.pub -p {server.Port} {Environment.UserName}@127.0.0.1'. "
                + "A password goes into 'password'.",
            failure.Hint);
    }

    [Fact]
    public async Task A_key_file_that_does_not_exist_is_told_before_anything_is_sent()
    {
        var failure = await FailureAsync(Options with { KeyFile = "/nowhere/id" });

        Assert.Equal($"cannot look for a at {Place}: key file /nowhere/id does not exist", failure.Message);
        Assert.Equal("Name another with key_file, or make one: 'ssh-keygen -t ed25519 -N \"\" -f /nowhere/id'.", failure.Hint);
    }

    [Fact]
    public async Task A_server_that_does_not_listen_may_listen_later()
    {
        var failure = await FailureAsync(Options with { Port = 1 });

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal(
            $"cannot look for a at {Place.Replace($":{server.Port}", ":1")}: connect to host 127.0.0.1 port 1: Connection refused",
            failure.Message);
        Assert.Equal(
            "Check that 127.0.0.1 is up and that its name and port are right: "
                + $"'ssh -p 1 {Environment.UserName}@127.0.0.1'.",
            failure.Hint);
    }

    [Fact]
    public async Task A_name_that_nobody_has_is_told()
    {
        var failure = await FailureAsync(Options with { Host = "nowhere.invalid", Port = null });

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Contains("could not resolve hostname nowhere.invalid", failure.Message);
    }

    [Fact]
    public async Task Without_an_ssh_client_the_package_is_named()
    {
        var sessions = new SftpSessions(() => SshProcess.Start(Options, TimeProvider.System, "ssh-is-not-here"), TimeProvider.System);
        var failure = await Assert.ThrowsAsync<StorageException>(
            () => new SftpStore(Options, sessions, TimeProvider.System).SizeAsync("a", default));

        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal($"cannot look for a at {Place}: there is no program ssh", failure.Message);
        Assert.Equal("Install OpenSSH's client: 'apt-get install openssh-client'.", failure.Hint);
    }

    [Fact]
    public async Task A_client_that_is_killed_in_the_middle_of_puts_costs_a_repetition()
    {
        var failures = new List<StorageException>();
        var store = new RetryingStore(
            new SftpStore(WithKeyOfItsOwn()), TimeProvider.System, new Random(1), failure =>
            {
                if (failure is not null)
                {
                    lock (failures)
                    {
                        failures.Add(failure);
                    }
                }
            });
        await store.PutAsync("vault/first", new byte[1], default);
        var puts = Enumerable.Range(0, 8).Select(i => store.PutAsync($"vault/{i}", Content(i), default)).ToList();

        KillClients();
        await Task.WhenAll(puts);

        Assert.NotEmpty(failures);
        Assert.All(failures, failure => Assert.EndsWith(": the connection ended", failure.Message));
        foreach (var i in Enumerable.Range(0, 8))
        {
            Assert.True((await store.GetAsync($"vault/{i}", 16 << 20, default)).AsSpan().SequenceEqual(Content(i)));
        }
    }

    [Fact]
    public async Task A_client_that_is_killed_in_the_middle_of_a_read_fails_it_then_the_next_read_connects_anew()
    {
        var store = new SftpStore(WithKeyOfItsOwn());
        await store.PutAsync("vault/a", Content(1), default);
        var reads = Enumerable.Range(0, 20).Select(_ => store.GetAsync("vault/a", 16 << 20, default)).ToList();

        KillClients();

        var failed = 0;
        foreach (var read in reads)
        {
            try
            {
                Assert.True((await read).AsSpan().SequenceEqual(Content(1)));
            }
            catch (StorageException e)
            {
                failed++;
                Assert.Equal(StorageFailure.Unreachable, e.Failure);
            }
        }

        Assert.NotEqual(0, failed);
        Assert.True((await store.GetAsync("vault/a", 16 << 20, default)).AsSpan().SequenceEqual(Content(1)));
    }

    static byte[] Content(int seed)
    {
        var content = new byte[8 << 20];
        new Random(seed).NextBytes(content);
        return content;
    }

    /// <summary>By which its clients are told from those of other tests.</summary>
    SftpOptions WithKeyOfItsOwn()
    {
        File.Copy(server.KeyFile, directory["key"]);
        return Options with { Path = Directory.CreateDirectory(directory["root"]).FullName, KeyFile = directory["key"] };
    }

    void KillClients()
    {
        var clients = SshClients.With(directory["key"]);
        Assert.NotEmpty(clients);
        clients.ForEach(client => client.Kill());
    }

    static Task<StorageException> FailureAsync(SftpOptions options) =>
        Assert.ThrowsAsync<StorageException>(() => new SftpStore(options).SizeAsync("a", TestContext.Current.CancellationToken));
}
