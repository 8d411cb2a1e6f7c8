using Salvor.Jobs.Config;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Recovery;

/// <summary>A kit is given out of the house, so what is in it is what was let in.</summary>
public sealed class KitConfigTests : IDisposable
{
    readonly ScratchDirectory _scratch = new();

    public void Dispose() => _scratch.Dispose();

    [Fact]
    public void No_secret_of_the_configuration_is_in_it_and_each_that_is_needed_has_a_variable()
    {
        File.WriteAllText(_scratch["c.yaml"], """
            common: &common { verify: off, batch: 1s }
            destinations:
              local: { type: file, path: ./vaults }
              cloud: { type: s3, bucket: acme, access_key_id: HIDDEN1, secret_access_key: "${SECRET}", session_token: HIDDEN2 }
              blob: { type: azure, account: acme, container: backups, account_key: HIDDEN3 }
              host: { type: sftp, host: backup.example.com, path: salvor, key_file: ./id }
            sources:
              app: { <<: *common, type: sqlite, path: ./app.db, to: [local, cloud], encryption: { passphrase: HIDDEN4 } }
              other:
                type: sqlite
                path: "${DATA}/other.db"
                to: local
                encryption: { passphrase_command: HIDDEN5 }
                drill: { checks: [ { command: HIDDEN6 } ] }
              server:
                type: command
                command: [pg_dump, HIDDEN8]
                environment: { PGPASSWORD: HIDDEN9 }
                to: local
                hooks: { before_backup: [curl, HIDDEN10] }
            unknown: { url: HIDDEN7 }
            """);

        var (text, variables, leftOut) = ConfigFile.WithoutSecrets(_scratch["c.yaml"]);

        Assert.DoesNotContain("HIDDEN", text, StringComparison.Ordinal);
        Assert.Equal(
            [
                "SALVOR_DESTINATIONS_CLOUD_ACCESS_KEY_ID", "SECRET", "SALVOR_DESTINATIONS_CLOUD_SESSION_TOKEN",
                "SALVOR_DESTINATIONS_BLOB_ACCOUNT_KEY", "SALVOR_SOURCES_APP_ENCRYPTION_PASSPHRASE", "DATA",
                "SALVOR_SOURCES_OTHER_ENCRYPTION_PASSPHRASE",
            ],
            variables);
        Assert.Equal([
                "common", "sources.other.drill", "sources.server.command", "sources.server.environment", "sources.server.hooks", "unknown",
            ],
            leftOut);
        var config = ConfigFile.Parse(text, "/elsewhere/c.yaml", name => name == "DATA" ? "/data" : "YWJj");
        Assert.Equal(_scratch["app.db"], config.Sources["app"].Path);
        Assert.Equal("/data/other.db", config.Sources["other"].Path);
        Assert.Equal(TimeSpan.FromSeconds(1), config.Sources["app"].Batch);
        Assert.Null(config.Sources["app"].Verify.Every);
        Assert.Equal(_scratch["vaults"], config.Destinations["local"].Location);
        Assert.Contains("backup.example.com", config.Destinations["host"].Location, StringComparison.Ordinal);
        Assert.Contains(_scratch["id"], text, StringComparison.Ordinal);
        Assert.Contains("path: \"salvor\"", text, StringComparison.Ordinal);
    }
}
