using Salvor.Jobs.Config;
using Salvor.Jobs.Keys;
using Salvor.Storage.S3;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Config;

/// <summary>Secrets of destinations that are kept elsewhere than in the configuration.</summary>
public sealed class SecretValueTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    public void Dispose() => scratch.Dispose();

    [Fact]
    public void A_secret_comes_from_a_file_and_another_from_a_command()
    {
        Write("secret", "of-the-file\n", mode: 0b110_000_000);

        var credentials = Read("file:secret", "cmd:echo of-the-command")!;

        Assert.Equal(("of-the-file", "of-the-command"), (credentials.AccessKeyId, credentials.SecretAccessKey));
    }

    [Fact]
    public void Who_reads_without_secrets_needs_none_and_is_told_of_slips_all_the_same()
    {
        const string Text = """
            destinations:
              b: { type: s3, bucket: acme, access_key_id: "${NOT_SET}", secret_access_key: "cmd:touch ran" }
              n: { type: sftp, host: h, path: /p, password: "file:none" }
            sources:
              app:
                type: sqlite
                path: /a.db
                to: [b, n]
                drill: { checks: [ { sql: "${NOT_SET}" } ] }
                encryption: { passphrase: "cmd:touch ran" }
              db:
                type: command
                command: [pg_dump, "${NOT_SET}"]
                environment: { PGPASSWORD: "cmd:touch ran" }
                hooks: { before_backup: [curl, "${NOT_SET}"] }
                to: b
            metrics: { listen: "127.0.0.1:1", token: "cmd:touch ran" }

            """;
        Write("c.yaml", Text.Replace("touch ran", $"touch {scratch["ran"]}"), mode: 0b110_000_000);

        var config = ConfigFile.LoadLocal(scratch["c.yaml"]);
        Write("slip.yaml", Text.Replace("type: sqlite", "rp0: 1m"), mode: 0b110_000_000);
        Write("other.yaml", Text.Replace("to: [b, n]", "to: [b, n]\n    rp0: 1m"), mode: 0b110_000_000);

        Assert.Equal(["b", "n"], config.Sources["app"].To);
        Assert.Equal("command pg_dump", config.Trees["db"].Subject);
        Assert.False(File.Exists(scratch["ran"]));
        Assert.Throws<SalvorException>(() => ConfigFile.LoadLocal(scratch["slip.yaml"]));
        var slip = Assert.Throws<SalvorException>(() => ConfigFile.LoadLocal(scratch["other.yaml"]));
        Assert.Equal($"{scratch["other.yaml"]}:9:5: unknown key \"rp0\" in source app", slip.Message);
    }

    [Fact]
    public void A_file_that_others_may_read_is_refused()
    {
        Write("secret", "of-the-file\n", mode: 0b110_100_100);

        AssertRefused(
            "file:secret", "x",
            $"4:20: access_key_id of destination b: file {scratch["secret"]} has mode 0644, so others than its owner may use it");
    }

    [Fact]
    public void A_file_that_is_not_there_is_named() => AssertRefused(
        "file:secret", "x", $"4:20: access_key_id of destination b: file {scratch["secret"]} does not exist");

    [Fact]
    public void A_command_that_fails_is_named_and_its_output_is_not() => AssertRefused(
        "x", "\"cmd:echo half-a-secret; exit 3\"", "5:24: secret_access_key of destination b: the command ended with 3");

    [Fact]
    public void A_command_that_prints_nothing_is_refused() => AssertRefused(
        "x", "\"cmd:true\"", "5:24: secret_access_key of destination b: what is there is empty, or more than one line");

    [Fact]
    public void A_passphrase_is_read_only_when_it_is_needed()
    {
        var source = ConfigTesting.ParseSource(
            "type: sqlite\n    path: /a.db\n    to: [local]\n    encryption: { passphrase: \"cmd:pass show app\" }");
        var other = ConfigTesting.ParseSource(
            "type: sqlite\n    path: /a.db\n    to: [local]\n    encryption: { passphrase: file:app.passphrase }");

        Assert.Equal(new KeySource.PassphraseCommand(new SecretText("pass show app")), source.Encryption!.Key);
        Assert.Equal(new KeySource.PassphraseFile("/etc/salvor/app.passphrase"), other.Encryption!.Key);
    }

    [Fact]
    public void A_secret_in_a_file_that_others_can_read_is_warned_of()
    {
        var path = Write("salvor.yaml", Text("\"${ID}\"", "in-the-file"), mode: 0b110_100_000);
        var config = ConfigFile.Load(path, _ => "id");

        Assert.Equal(
            $"{path}:5:24: secret_access_key of destination b is a secret, and others can read the file. "
                + $"hint: Run 'chmod 600 {path}', or write it as ${{NAME}}, file:PATH or cmd:COMMAND.",
            ConfigFile.ExposureOf(config));
        File.SetUnixFileMode(path, UnixFileMode.UserRead);
        Assert.Null(ConfigFile.ExposureOf(config));
    }

    [Fact]
    public void A_file_without_secrets_may_be_read_by_all()
    {
        var path = Write("salvor.yaml", Text("\"${ID}\"", "\"cmd:echo x\""), mode: 0b110_100_100);

        Assert.Null(ConfigFile.ExposureOf(ConfigFile.Load(path, _ => "id")));
    }

    AwsCredentials? Read(string id, string secret) => ((S3DestinationConfig)ConfigFile.Parse(
        Text(id, secret), scratch["salvor.yaml"], _ => null).Destinations["b"]).Options.Credentials;

    void AssertRefused(string id, string secret, string message)
    {
        var e = Assert.Throws<SalvorException>(() => Read(id, secret));
        Assert.Equal($"{scratch["salvor.yaml"]}:{message}", e.Message);
    }

    static string Text(string id, string secret) => $$"""
        destinations:
          b:
            type: s3
            access_key_id: {{id}}
            secret_access_key: {{secret}}
            bucket: acme
        sources: { app: { type: sqlite, path: /a.db, to: [b] } }

        """;

    string Write(string name, string text, int mode)
    {
        File.WriteAllText(scratch[name], text);
        File.SetUnixFileMode(scratch[name], (UnixFileMode)mode);
        return scratch[name];
    }
}
