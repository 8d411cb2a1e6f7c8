using Salvor.Jobs.Config;
using Salvor.Storage.S3;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

/// <summary>A bucket in a configuration, and as a URL.</summary>
public sealed class S3ConfigTests
{
    [Fact]
    public void A_bucket_and_a_region_are_enough()
    {
        var offsite = Read("bucket: acme-backups, region: eu-west-1");

        Assert.Equal("offsite", offsite.Name);
        Assert.Equal(new S3Options { Bucket = "acme-backups", Region = "eu-west-1" }, offsite.Options);
        Assert.Equal("s3://acme-backups?region=eu-west-1", offsite.Location);
    }

    [Fact]
    public void Everything_can_be_said()
    {
        var offsite = Read(
            "bucket: acme, prefix: /a/b/, region: r, endpoint: 'http://minio:9000', path_style: true, storage_class: STANDARD_IA, "
                + "sse: 'aws:kms', kms_key: alias/x, allow_insecure: true, access_key_id: '${ID}', secret_access_key: '${SECRET}', "
                + "session_token: '${TOKEN}', price_per_gb_month: 0.023",
            ("ID", "id"), ("SECRET", "canary-secret"), ("TOKEN", "canary-token"));

        Assert.Equal(
            new S3Options
            {
                Bucket = "acme",
                Prefix = "a/b",
                Region = "r",
                Endpoint = "http://minio:9000",
                PathStyle = true,
                StorageClass = "STANDARD_IA",
                Encryption = S3Encryption.Kms,
                KmsKey = "alias/x",
                AllowInsecure = true,
                Credentials = offsite.Options.Credentials,
            },
            offsite.Options);
        var credentials = offsite.Options.Credentials!;
        Assert.Equal(
            ("id", "canary-secret", "canary-token", "destination offsite"),
            (credentials.AccessKeyId, credentials.SecretAccessKey, credentials.SessionToken, credentials.Origin));
        Assert.DoesNotContain("canary", $"{offsite} {offsite.Location}", StringComparison.Ordinal);
    }

    [Fact]
    public void A_lock_and_who_deletes_can_be_said()
    {
        var offsite = Read(
            "bucket: acme, object_lock: { mode: governance, days: 30 }, "
                + "maintain: { access_key_id: '${ID}', secret_access_key: '${SECRET}' }",
            ("ID", "id"), ("SECRET", "canary-secret"));

        Assert.Equal(new S3Lock(S3LockMode.Governance, TimeSpan.FromDays(30)), offsite.Options.Lock);
        Assert.Equal(
            ("id", "canary-secret", "maintain of destination offsite"),
            (offsite.Options.Maintain!.Credentials!.AccessKeyId, offsite.Options.Maintain.Credentials.SecretAccessKey,
                offsite.Options.Maintain.Credentials.Origin));
        Assert.DoesNotContain("canary", $"{offsite}", StringComparison.Ordinal);
        Assert.Equal(
            new S3Lock(S3LockMode.Compliance, TimeSpan.FromDays(7)),
            ((S3DestinationConfig)DestinationUrl.Parse("s3://acme?object_lock=compliance:7")).Options.Lock);
        foreach (var wrong in (string[])["compliance", "compliance:0", "worm:7", ":7"])
        {
            var failure = Assert.Throws<SalvorException>(() => DestinationUrl.Parse($"s3://acme?object_lock={wrong}"));
            Assert.Equal($"unknown object_lock \"{wrong}\" in the URL of a bucket", failure.Message);
        }
    }

    [Fact]
    public void Other_keys_make_another_destination_so_that_a_reload_takes_them() => Assert.NotEqual(
        Read("bucket: acme, access_key_id: a, secret_access_key: b").ToString(),
        Read("bucket: acme, access_key_id: a, secret_access_key: c").ToString());

    [Theory]
    [InlineData("region: r", "2:12", "destination offsite has no bucket", "Add bucket: acme-backups.")]
    [InlineData(
        "bucket: a b", "2:32", "\"a b\" cannot be the name of a bucket", "Write it as in bucket: acme-backups.")]
    [InlineData(
        "bucket: acme, sse: AES", "2:43", "unknown sse \"AES\" in destination offsite", "Known are aes256 and aws:kms.")]
    [InlineData(
        "bucket: acme, access_key_id: a", "2:12", "destination offsite has no secret_access_key",
        "Add secret_access_key: ${S3_SECRET_KEY}.")]
    [InlineData(
        "bucket: acme, profile: p, access_key_id: a", "2:47", "destination offsite has both profile and keys of its own",
        "Keep one of the two.")]
    [InlineData(
        "bucket: acme, object_lock: { mode: worm, days: 3 }", "2:59", "unknown mode \"worm\" in object_lock of destination offsite",
        "Known are governance and compliance.")]
    [InlineData(
        "bucket: acme, object_lock: { mode: compliance }", "2:51", "object_lock of destination offsite has no days", "Add days: 30.")]
    [InlineData(
        "bucket: acme, maintain: {}", "2:48", "maintain of destination offsite has no access_key_id",
        "Add access_key_id: ${S3_MAINTAIN_KEY_ID}.")]
    [InlineData(
        "bucket: acme, regoin: r", "2:38", "unknown key \"regoin\" in destination offsite",
        "Did you mean \"region\"? Known keys are type, bucket, prefix, region, endpoint, path_style, storage_class, sse, kms_key, "
            + "object_lock, profile, allow_insecure, access_key_id, secret_access_key, session_token, maintain, max_upload, max_download, "
            + "max_concurrent_uploads, required, on_incomplete and price_per_gb_month.")]
    public void What_is_wrong_is_said_with_its_place(string keys, string place, string message, string hint) =>
        AssertError(place, message, hint, () => Read(keys));

    [Theory]
    [InlineData("s3://acme")]
    [InlineData("s3://acme/a/b")]
    [InlineData("s3://acme/a?region=eu-west-1&endpoint=http://127.0.0.1:7480&path_style=true&profile=p&allow_insecure=true")]
    public void A_location_can_be_given_as_it_is_printed(string url) => Assert.Equal(url, DestinationUrl.Parse(url).Location);

    [Fact]
    public void A_url_says_what_a_configuration_says()
    {
        var destination = (S3DestinationConfig)DestinationUrl.Parse(
            "s3://acme/a/?endpoint=https%3A%2F%2Fs3.example&storage_class=STANDARD_IA&sse=aes256&path_style=false");

        Assert.Equal(
            new S3Options
            {
                Bucket = "acme",
                Prefix = "a",
                Endpoint = "https://s3.example",
                StorageClass = "STANDARD_IA",
                Encryption = S3Encryption.Aes256,
                PathStyle = false,
            },
            destination.Options);
    }

    [Theory]
    [InlineData(
        "s3://AKIA:canary@acme/a", "the s3:// URL has a user in it",
        "Keys belong into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY: others can see the command line.")]
    [InlineData(
        "s3://acme?secret_access_key=canary", "unknown setting \"secret_access_key\" in the URL of bucket acme",
        "Known are region, endpoint, path_style, storage_class, sse, kms_key, object_lock, profile and allow_insecure.")]
    [InlineData(
        "s3://acme?regin=canary", "unknown setting \"regin\" in the URL of bucket acme",
        "Did you mean \"region\"? Known are region, endpoint, path_style, storage_class, sse, kms_key, object_lock, profile and "
            + "allow_insecure.")]
    [InlineData(
        "s3://acme?path_style=1", "unknown path_style \"1\" in the URL of a bucket",
        "Known are true and false. Write it as in s3://acme-backups/salvor?region=eu-west-1.")]
    [InlineData("s3://", "\"\" cannot be the name of a bucket", "Write it as in bucket: acme-backups.")]
    public void What_is_wrong_with_a_url_is_said_without_what_may_be_secret(string url, string message, string hint)
    {
        var refused = Assert.Throws<SalvorException>(() => DestinationUrl.Parse(url));

        Assert.Equal((FailureKind.Usage, message, hint), (refused.Kind, refused.Message, refused.Hint));
    }

    [Theory]
    [InlineData("s3://acme/a/app", "s3://acme/a")]
    [InlineData("s3://acme/app?region=r", "s3://acme?region=r")]
    [InlineData("s3://acme/myapp", null)]
    [InlineData("s3://acme", null)]
    public void The_place_above_a_vault_is_found(string url, string? above) =>
        Assert.Equal(above, DestinationUrl.Parse(url).ParentOf("app")?.Location);

    static S3DestinationConfig Read(string keys, params (string Name, string Value)[] variables) => (S3DestinationConfig)Parse(
        $$"""
        destinations:
          offsite: { type: s3, {{keys}} }
        sources:
          app: { type: sqlite, path: /data/app.db, to: [offsite] }
        """,
        variables).Destinations["offsite"];
}
