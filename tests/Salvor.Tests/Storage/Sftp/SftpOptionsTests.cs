using Salvor.Storage;
using Salvor.Storage.Sftp;

namespace Salvor.Tests.Storage.Sftp;

public sealed class SftpOptionsTests
{
    static readonly SftpOptions Plain = new() { Host = "nas", Path = "/srv/salvor" };

    [Theory]
    [InlineData("-oProxyCommand=x", "host \"-oProxyCommand=x\" is not a host name or address")]
    [InlineData("", "host \"\" is not a host name or address")]
    [InlineData("a b", "host \"a b\" is not a host name or address")]
    public void A_host_that_ssh_would_take_for_something_else_is_refused(string host, string problem) =>
        Assert.Equal(problem, (Plain with { Host = host }).Problem());

    [Theory]
    [InlineData("-l")]
    [InlineData("$(id)")]
    [InlineData("a;b")]
    public void A_user_that_a_shell_would_take_for_something_else_is_refused(string user) =>
        Assert.Equal($"user \"{user}\" has characters that SSH does not take", (Plain with { User = user }).Problem());

    [Theory]
    [InlineData("/keys/%h")]
    [InlineData("/keys/${HOME}")]
    [InlineData("/keys/\" -o X=\"")]
    public void A_file_in_whose_name_ssh_would_replace_something_is_refused(string file)
    {
        Assert.Equal(
            $"key_file \"{file}\" has characters that SSH gives a meaning of their own", (Plain with { KeyFile = file }).Problem());
        Assert.Equal(
            $"known_hosts \"{file}\" has characters that SSH gives a meaning of their own",
            (Plain with { KnownHostsFile = file }).Problem());
    }

    [Theory]
    [InlineData("ssh-ed25519")]
    [InlineData("nas ssh-ed25519 AAAA")]
    [InlineData("ssh-ed25519 AAAA\nother ssh-rsa BBBB")]
    [InlineData("SHA256:abc")]
    public void A_host_key_that_is_none_is_refused(string key) => Assert.StartsWith(
        "host_key is not a public key: a type and a base64 text", (Plain with { HostKey = key }).Problem());

    [Fact]
    public void Ordinary_options_are_accepted() => Assert.Null((Plain with
    {
        Host = "2001:db8::1",
        User = "u1234-sub1",
        Port = 23,
        Path = "backups",
        KeyFile = "/etc/salvor/my key",
        HostKey = "ssh-ed25519 AAAAC3Nz+/=",
    }).Problem());

    [Fact]
    public void Keys_are_checked_nobody_is_asked_and_nothing_of_the_server_is_an_option()
    {
        var arguments = SshCommand.Arguments(Plain with { Port = 23, User = "u", KeyFile = "/k e y", KnownHostsFile = "/kh" }, null);

        foreach (var setting in (string[])["BatchMode=yes", "StrictHostKeyChecking=yes", "IdentityFile=\"/k e y\"", "IdentitiesOnly=yes",
            "UserKnownHostsFile=\"/kh\"", "ForwardAgent=no", "PermitLocalCommand=no"])
        {
            Assert.Contains(setting, arguments);
        }

        Assert.Equal(["-s", "--", "nas", "sftp"], arguments.TakeLast(4));
    }

    [Fact]
    public void What_the_user_configured_for_a_host_holds_where_nothing_else_is_said()
    {
        var arguments = SshCommand.Arguments(Plain, null);

        Assert.DoesNotContain("-p", arguments);
        Assert.DoesNotContain("-l", arguments);
        Assert.DoesNotContain(arguments, argument => argument.StartsWith("Identit", StringComparison.Ordinal));
        Assert.DoesNotContain(arguments, argument => argument.Contains("KnownHosts", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("Load key \"/k\": bad permissions", StorageFailure.Denied, "the key cannot be used: bad permissions")]
    [InlineData("u@nas: Permission denied (publickey).", StorageFailure.Denied, "nas refuses the key of the user")]
    [InlineData("subsystem request failed on channel 0", StorageFailure.Denied, "nas does not offer SFTP")]
    [InlineData(
        "/root/.ssh/config: line 1: Bad configuration option: x", StorageFailure.Denied,
        "ssh refuses its configuration: /root/.ssh/config: line 1: Bad configuration option: x")]
    [InlineData("Connection closed by 10.0.0.1 port 22", StorageFailure.Unreachable, "Connection closed by 10.0.0.1 port 22")]
    [InlineData("ssh: Could not resolve hostname nas: x", StorageFailure.Unreachable, "could not resolve hostname nas: x")]
    public void The_last_words_of_a_client_say_what_to_do(string line, StorageFailure failure, string reason)
    {
        var end = SshFailures.Explain(Plain, ["Welcome to nas", line]);

        Assert.Equal((failure, reason), (end!.Failure, end.Reason));
    }

    [Theory]
    [InlineData("debug1: Reading configuration data /etc/ssh/ssh_config")]
    [InlineData("OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19 27 Jan 2026")]
    [InlineData("Authenticated to nas ([10.0.0.1]:22) using \"publickey\".")]
    [InlineData("")]
    public void What_a_client_always_says_explains_nothing(string line) => Assert.False(SshFailures.IsTelling(line));
}
