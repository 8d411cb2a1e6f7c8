using Salvor.Jobs.Config;
using Salvor.Storage.Sftp;

namespace Salvor.Tests.Jobs.Config;

/// <summary>The same place, by configuration and by URL.</summary>
public sealed class SftpDestinationTests
{
    [Theory]
    [InlineData("sftp://nas/srv/salvor", "nas", null, null, "/srv/salvor")]
    [InlineData("sftp://salvor@nas:2222/srv/salvor", "nas", 2222, "salvor", "/srv/salvor")]
    [InlineData("sftp://u@[2001:db8::1]:23/a%20b", "2001:db8::1", 23, "u", "/a b")]
    [InlineData("sftp://u@[2001:db8::1]/a", "2001:db8::1", null, "u", "/a")]
    [InlineData("sftp://u1234@u1234.your-backup.example/~/salvor", "u1234.your-backup.example", null, "u1234", "salvor")]
    public void A_url_says_where_it_is(string url, string host, int? port, string? user, string path) =>
        Assert.Equal(new SftpOptions { Host = host, Port = port, User = user, Path = path }, Parse(url));

    [Theory]
    [InlineData("sftp://u@nas:23/srv/salvor")]
    [InlineData("sftp://nas/~/salvor?key_file=%2Fetc%2Fmy%20key&known_hosts=%2Fkh&host_key=ssh-ed25519%20AA%2BB%2F%3D&allow_weak=true")]
    [InlineData("sftp://u@[::1]:23/.")]
    public void What_messages_call_a_place_opens_it_again(string url)
    {
        var options = Parse(url);

        Assert.Equal(url, options.Location);
        Assert.Equal(url.Split('?')[0], options.Place);
    }

    [Fact]
    public void The_root_of_a_server_can_be_a_destination() => Assert.Equal("sftp://nas/.", Parse("sftp://nas/").Location);

    [Theory]
    [InlineData("sftp://nas", "the sftp:// URL has no path")]
    [InlineData("sftp:///srv", "the sftp:// URL is not right: host \"\" is not a host name or address")]
    [InlineData("sftp://nas:x/srv", "the sftp:// URL has \"x\" for a port")]
    [InlineData("sftp://nas:70000/srv", "the sftp:// URL is not right: port 70000 is not between 1 and 65535")]
    [InlineData("sftp://nas/srv?password=x", "the sftp:// URL has password in it, which others can see on the command line")]
    [InlineData("sftp://u:canary@nas/srv", "the sftp:// URL has a password in it, which others can see on the command line")]
    public void A_url_that_cannot_be_read_is_told_without_repeating_it(string url, string message)
    {
        var error = Assert.Throws<SalvorException>(() => DestinationUrl.Parse(url));

        Assert.Equal((FailureKind.Usage, message), (error.Kind, error.Message));
        Assert.DoesNotContain("canary", error.Message + error.Hint);
    }

    [Fact]
    public void The_folder_above_a_vault_is_a_destination_too()
    {
        var vault = DestinationUrl.Parse("sftp://u@nas/srv/app?key_file=/k");

        Assert.Equal("sftp://u@nas/srv?key_file=%2Fk", vault.ParentOf("app")?.Location);
        Assert.Null(vault.ParentOf("other"));
        Assert.Null(vault.ParentOf("pp"));
    }

    [Fact]
    public void A_configuration_says_the_same()
    {
        var config = ConfigTesting.Parse(WithDestination(
            "type: sftp, host: nas, port: 23, user: u, path: salvor, key_file: /k, known_hosts: /kh, host_key: ssh-rsa AA, "
                + "allow_weak: true"));

        Assert.Equal(
            Parse("sftp://u@nas:23/~/salvor?key_file=/k&known_hosts=/kh&host_key=ssh-rsa%20AA&allow_weak=true"),
            Assert.IsType<SftpDestinationConfig>(config.Destinations.Values.Single()).Options);
    }

    [Fact]
    public void A_password_is_in_the_configuration_or_in_a_variable_and_never_printed()
    {
        var config = ConfigTesting.Parse(
            WithDestination("type: sftp, host: nas, path: /srv, password: '${NAS}', key_file: /k, key_passphrase: canary-2"),
            ("NAS", "canary-1"));
        var destination = Assert.IsType<SftpDestinationConfig>(config.Destinations.Values.Single());
        Assert.Equal(("canary-1", "canary-2"), (destination.Options.Password?.Value, destination.Options.KeyPassphrase?.Value));
        Assert.DoesNotContain("canary", $"{destination} {destination.Location}", StringComparison.Ordinal);

        var url = Assert.IsType<SftpDestinationConfig>(DestinationUrl.Parse(
            "sftp://nas/srv?key_file=/k",
            name => name switch { "SALVOR_SFTP_PASSWORD" => "canary-3", "SALVOR_SFTP_KEY_PASSPHRASE" => "canary-4", _ => null }));
        Assert.Equal(("canary-3", "canary-4"), (url.Options.Password?.Value, url.Options.KeyPassphrase?.Value));
    }

    [Theory]
    [InlineData("type: sftp, path: /srv", "destination local has no host")]
    [InlineData("type: sftp, host: nas", "destination local has no path")]
    [InlineData("type: sftp, host: nas, path: /srv, passwrod: x", "unknown key \"passwrod\" in destination local")]
    [InlineData(
        "type: sftp, host: nas, path: /srv, key_passphrase: x",
        "destination local: key_passphrase is there without the key_file that it opens")]
    [InlineData(
        "type: sftp, host: nas, path: /srv, password: \"a\\tb\"",
        "destination local: password is empty, longer than 512 characters, or has a control character in it")]
    [InlineData("type: sftp, host: -x, path: /srv", "destination local: host \"-x\" is not a host name or address")]
    public void A_mistake_in_a_configuration_is_named(string destination, string message) => Assert.Equal(
        message, Assert.Throws<SalvorException>(() => ConfigTesting.Parse(WithDestination(destination))).Message.Split(": ", 2)[1]);

    static string WithDestination(string destination) =>
        ConfigTesting.Minimal.Replace("type: file, path: /backups", destination);

    static SftpOptions Parse(string url) => Assert.IsType<SftpDestinationConfig>(DestinationUrl.Parse(url)).Options;
}
