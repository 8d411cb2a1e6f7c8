using Salvor.Jobs.Config.Conversion;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Config.Conversion;

public sealed class GeodeConversionTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    public void Dispose() => scratch.Dispose();

    [Fact]
    public void A_complete_file_becomes_the_same_protection_and_each_key_is_accounted_for()
    {
        const string Text = """
            backup:
              s3:
                enabled: true
                bucket: "my-geode-backups"
                prefix: "production/"
                region: "us-east-1"
                endpoint: ""
                access_key_id: "${AWS_ACCESS_KEY_ID}"
                secret_access_key: "${AWS_SECRET_ACCESS_KEY}"
                compression: true
                encryption: true
                storage_class: "STANDARD_IA"
                multipart_threshold: "100MB"
                max_concurrent_uploads: 10
              schedule:
                enabled: true
                full_backup: "0 2 * * 0"
                incremental_backup: "0 2 * * 1-6"
                retention_days: 90
              wal_archiving:
                enabled: true
                interval: 5m
                retention_hours: 168
              verify:
                enabled: true
                after_backup: true
                weekly_full_verify: true
              notifications:
                email:
                  enabled: true
                  recipients: ["ops@example.com"]
                  on_success: false
                  on_failure: true
                webhook:
                  enabled: true
                  url: "https://hooks.slack.com/services/T/B/HOOKPART"

            """;
        File.WriteAllText(scratch["geode.yaml"], Text);

        var converted = ConfigConversion.Convert(scratch["geode.yaml"], "/data/app.db");

        Assert.Equal("Geode", converted.From);
        Assert.EndsWith(
            """

            destinations:
              s3:
                type: s3
                bucket: my-geode-backups
                prefix: production
                region: us-east-1
                storage_class: STANDARD_IA
                access_key_id: "${AWS_ACCESS_KEY_ID}"
                secret_access_key: "${AWS_SECRET_ACCESS_KEY}"
                sse: aes256
            sources:
              app:
                type: sqlite
                path: /data/app.db
                to: [s3]
                compression: true
                retention_days: 90
                snapshot_every: 24h
                keep: { commits: 7d, days: 90d }
                verify: { every: 24h, deep: true }
            notifications:
              email:
                host: localhost
                tls: none
                from: salvor@localhost
                to: [ops@example.com]
                on_success: false
                on_failure: true
              webhooks:
                webhook: { preset: slack, url: "${NOTIFY_WEBHOOK_URL}" }

            """,
            converted.Yaml,
            StringComparison.Ordinal);
        string[] leaves = [.. Text.Split('\n').Where(line => line.Contains(": ", StringComparison.Ordinal)).Select(Key)];
        Assert.Equal(
            leaves.Except(["endpoint"]).Order(), converted.Keys.Select(key => key.From.Split('.')[^1]).Distinct().Order());
        Assert.DoesNotContain("HOOKPART", converted.Yaml + string.Concat(converted.Keys), StringComparison.Ordinal);
    }

    [Fact]
    public void A_key_that_is_not_known_is_refused_with_its_place()
    {
        File.WriteAllText(scratch["geode.yaml"], "backup:\n  s3:\n    bucket: acme\n    acl: private\n");

        var e = Assert.Throws<SalvorException>(() => ConfigConversion.Convert(scratch["geode.yaml"], null));

        Assert.Equal($"{scratch["geode.yaml"]}:4:5: backup.s3.acl is a key that is not known here", e.Message);
    }

    [Fact]
    public void What_becomes_a_configuration_that_is_not_right_is_refused()
    {
        File.WriteAllText(scratch["geode.yaml"], "backup:\n  s3:\n    bucket: acme\n    storage_class: GLACIER\n");

        var e = Assert.Throws<SalvorException>(() => ConfigConversion.Convert(scratch["geode.yaml"], null));

        Assert.Contains(
            "becomes a configuration that is not right: 6:13: storage_class GLACIER of bucket acme is none", e.Message,
            StringComparison.Ordinal);
    }

    static string Key(string line) => line.Split(':')[0].Trim();
}
