using Salvor.Jobs.Config;
using Salvor.Storage.S3;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

/// <summary>A bucket of Google Cloud Storage in a configuration, and as a URL.</summary>
public sealed class GcsConfigTests
{
    [Fact]
    public void A_bucket_is_enough_and_everything_can_be_said()
    {
        Assert.Equal(new S3Options { Service = S3Service.Google, Bucket = "acme" }, Read("bucket: acme").Options);

        var offsite = Read(
            "bucket: acme, prefix: /a/b/, endpoint: 'http://gcs:9000', storage_class: ARCHIVE, allow_insecure: true, "
                + "access_key_id: '${ID}', secret_access_key: '${SECRET}'",
            ("ID", "id"), ("SECRET", "canary-secret"));

        Assert.Equal("gs://acme/a/b?endpoint=http://gcs:9000&allow_insecure=true", offsite.Location);
        Assert.Equal(
            ("ARCHIVE", "canary-secret"), (offsite.Options.StorageClass, offsite.Options.Credentials!.SecretAccessKey));
        Assert.DoesNotContain("canary", $"{offsite} {offsite.Location}", StringComparison.Ordinal);
    }

    [Fact]
    public void The_name_of_the_type_is_taken_for_the_scheme_too() =>
        Assert.Equal("gs://acme/a", DestinationUrl.Parse("gcs://acme/a").Location);

    [Theory]
    [InlineData("gs://acme")]
    [InlineData("gs://acme/a/b?endpoint=http://127.0.0.1:7480&allow_insecure=true")]
    public void A_location_can_be_given_as_it_is_printed(string url) => Assert.Equal(url, DestinationUrl.Parse(url).Location);

    [Theory]
    [InlineData(
        "bucket: acme, region: r", "2:39", "unknown key \"region\" in destination offsite",
        "Known keys are type, bucket, prefix, endpoint, storage_class, allow_insecure, access_key_id, secret_access_key, max_upload, "
            + "max_download, max_concurrent_uploads, required, on_incomplete and price_per_gb_month.")]
    [InlineData(
        "bucket: acme, endpoint: 'http://gcs:9000'", "2:33", "endpoint http://gcs:9000 of bucket acme is http, and not on this machine",
        "Use https, or say allow_insecure: true where the network between is yours: whoever is on it can read and change all.")]
    public void What_is_wrong_is_said_with_its_place(string keys, string place, string message, string hint) =>
        AssertError(place, message, hint, () => Read(keys));

    [Theory]
    [InlineData(
        "gs://GOOG1:canary@acme/a", "the gs:// URL has a user in it",
        "Keys belong into GCS_ACCESS_KEY_ID and GCS_SECRET_ACCESS_KEY: others can see the command line.")]
    [InlineData(
        "gs://acme?sse=aes256", "unknown setting \"sse\" in the URL of bucket acme",
        "Known are endpoint, storage_class and allow_insecure.")]
    public void What_is_wrong_with_a_url_is_said_without_what_may_be_secret(string url, string message, string hint)
    {
        var refused = Assert.Throws<SalvorException>(() => DestinationUrl.Parse(url));

        Assert.Equal((FailureKind.Usage, message, hint), (refused.Kind, refused.Message, refused.Hint));
    }

    static S3DestinationConfig Read(string keys, params (string Name, string Value)[] variables) => (S3DestinationConfig)Parse(
        $$"""
        destinations:
          offsite: { type: gcs, {{keys}} }
        sources:
          app: { type: sqlite, path: /data/app.db, to: [offsite] }
        """,
        variables).Destinations["offsite"];
}
