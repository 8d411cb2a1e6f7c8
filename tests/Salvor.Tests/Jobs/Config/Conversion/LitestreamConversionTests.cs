using Salvor.Jobs.Config;
using Salvor.Jobs.Config.Conversion;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Config.Conversion;

public sealed class LitestreamConversionTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    public void Dispose() => scratch.Dispose();

    [Fact]
    public void A_file_of_version_3_becomes_the_same_protection()
    {
        var converted = Convert("""
            access-key-id: AKIAIOSFODNN7EXAMPLE
            secret-access-key: wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY

            addr: ":9090"

            dbs:
              - path: /var/lib/app/app.db
                monitor-interval: 1s
                replicas:
                  - type: file
                    path: /var/backups/litestream/app
                    retention: 24h
                  - url: s3://acme-backups/litestream/app
                    region: eu-west-1
                    retention: 72h
                    retention-check-interval: 1h
                    sync-interval: 1s
                    snapshot-interval: 12h
                    validation-interval: 6h
              - path: $DATA/other.db
                replicas:
                  - url: sftp://backup@nas.example.com:2222/srv/litestream
                    key-path: /etc/litestream/key

            """);

        Assert.Equal("Litestream", converted.From);
        Assert.Equal(
            """
            destinations:
              file:
                type: file
                path: /var/backups/litestream/app/salvor
              s3:
                type: s3
                bucket: acme-backups
                prefix: litestream/app/salvor
                region: eu-west-1
                access_key_id: "${LITESTREAM_ACCESS_KEY_ID}"
                secret_access_key: "${LITESTREAM_SECRET_ACCESS_KEY}"
              sftp:
                type: sftp
                host: nas.example.com
                path: /srv/litestream/salvor
                port: 2222
                user: backup
                key_file: /etc/litestream/key
            sources:
              app:
                type: sqlite
                path: /var/lib/app/app.db
                to: [file, s3]
                batch: 1s
                snapshot_every: 12h
                keep: { commits: 3d }
                verify: { every: 6h }
              other:
                type: sqlite
                path: "${DATA}/other.db"
                to: [sftp]

            """,
            WithoutComments(converted.Yaml));
        Assert.Contains(
            "# not taken over: addr: metrics: { listen: \"127.0.0.1:9188\" } answers Prometheus; ", converted.Yaml,
            StringComparison.Ordinal);
        Assert.DoesNotContain("wJalrXUtnFEMI", converted.Yaml + string.Join('\n', converted.Keys), StringComparison.Ordinal);
        Assert.Contains(
            new ConvertedKey(12, "dbs[0].replicas[0].retention", "sources.app.keep.commits", "for the source, not for each destination"),
            converted.Keys);
    }

    [Fact]
    public void A_file_of_version_5_becomes_the_same_protection()
    {
        var converted = Convert("""
            snapshot: { interval: 24h, retention: 168h }
            levels:
              - interval: 30s
            l0-retention: 5m
            validation: { interval: 24h }
            heartbeat-url: https://example.com/ping
            dbs:
              - path: /data/app.db
                checkpoint-interval: 1m
                replica:
                  type: abs
                  account-name: acmebackups
                  account-key: ${AZURE_KEY}
                  bucket: litestream
                  path: app
              - dir: /data/tenants
                pattern: "*.sqlite"
                recursive: true
                watch: true
                replica:
                  url: s3://tenants
                  endpoint: http://localhost:9000
                  force-path-style: true
                  access-key-id: ${MINIO_ID}
                  secret-access-key: literal-secret-of-minio

            """);

        Assert.Equal(
            """
            destinations:
              azure:
                type: azure
                container: litestream
                prefix: app/salvor
                account: acmebackups
                account_key: "${AZURE_KEY}"
              s3:
                type: s3
                bucket: tenants
                prefix: salvor
                endpoint: http://localhost:9000
                path_style: true
                access_key_id: "${MINIO_ID}"
                secret_access_key: "${S3_SECRET_KEY}"
            sources:
              app:
                type: sqlite
                path: /data/app.db
                to: [azure]
                snapshot_every: 1d
                keep: { commits: 7d }
                verify: { every: 1d }
              tenants:
                type: sqlite
                paths: "/data/tenants/**/*.sqlite"
                to: [s3]
                snapshot_every: 1d
                keep: { commits: 7d }
                verify: { every: 1d }

            """,
            WithoutComments(converted.Yaml));
        Assert.DoesNotContain("literal-secret", converted.Yaml, StringComparison.Ordinal);
        Assert.Contains(
            converted.Keys,
            key => key is { From: "heartbeat-url", To: null } && key.Reason.Contains("status --check", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("retentoin: 1h", "6:9: dbs[0].replicas[0].retentoin is a key that is not known here", "Did you mean \"retention\"? ")]
    [InlineData(
        "age: { identities: [x] }", "6:14: dbs[0].replicas[0].age encrypts what is stored, with keys that cannot be taken over", "")]
    [InlineData(
        "skip-verify: true", "6:22: dbs[0].replicas[0].skip-verify turns the check of certificates off, which ours does not do", "")]
    [InlineData("retention: 1.5h", "6:20: dbs[0].replicas[0].retention is \"1.5h\", which is not a duration", "")]
    public void What_cannot_be_taken_over_is_refused_with_its_place(string key, string message, string hint)
    {
        var e = Assert.Throws<SalvorException>(() => Convert($"""
            dbs:
              - path: /data/app.db
                replicas:
                  - type: s3
                    bucket: acme
                    {key}

            """));

        Assert.Equal((FailureKind.Usage, $"{scratch["old.yml"]}:{message}"), (e.Kind, e.Message));
        Assert.StartsWith(hint, e.Hint, StringComparison.Ordinal);
    }

    [Fact]
    public void A_bucket_of_Google_and_a_password_are_taken_over()
    {
        var converted = Convert("""
            dbs:
              - path: /data/app.db
                replicas:
                  - url: gs://acme-backups/app
                  - { type: sftp, host: nas, path: /srv, user: me, password: a secret }

            """);

        var read = ConfigFile.Parse(converted.Yaml, "new.yaml", name => name == "NAS_PASSWORD" ? "a secret" : null);
        Assert.Equal("gs://acme-backups/app/salvor", read.Destinations.First().Value.Location);
        Assert.Equal("a secret", ((SftpDestinationConfig)read.Destinations.Last().Value).Options.Password!.Value);
        Assert.DoesNotContain("a secret", converted.Yaml, StringComparison.Ordinal);
        Assert.Contains(converted.Keys, key => key.Reason.Contains("set GCS_ACCESS_KEY_ID", StringComparison.Ordinal));
    }

    [Fact]
    public void A_replica_of_a_type_that_is_not_available_is_refused()
    {
        var e = Assert.Throws<SalvorException>(() => Convert("dbs: [{ path: /a.db, replicas: [{ url: 'nats://server/x' }] }]\n"));

        Assert.EndsWith("dbs[0].replicas[0].type nats has no equivalent in this version", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_another_tool_is_refused()
    {
        var e = Assert.Throws<SalvorException>(() => Convert("repositories: [x]\n"));

        Assert.Equal(
            $"{scratch["old.yml"]}:1:1: this is neither a configuration of Litestream (dbs:) nor of Geode (backup:)", e.Message);
    }

    ConfigConversion Convert(string text)
    {
        File.WriteAllText(scratch["old.yml"], text);
        return ConfigConversion.Convert(scratch["old.yml"], source: null);
    }

    static string WithoutComments(string yaml) =>
        string.Join('\n', yaml.Split('\n').Where(line => !line.StartsWith('#'))).TrimStart('\n');
}
