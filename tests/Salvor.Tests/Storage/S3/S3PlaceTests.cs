using Salvor.Storage.S3;

namespace Salvor.Tests.Storage.S3;

/// <summary>Which address a bucket has.</summary>
public sealed class S3PlaceTests
{
    static readonly S3Options Acme = new() { Bucket = "acme" };

    [Fact]
    public void A_bucket_of_Amazons_is_a_host() => Assert.Equal(
        "https://acme.s3.eu-west-1.amazonaws.com/app/log/1", AddressOf(Acme with { Region = "eu-west-1", Prefix = "app" }));

    [Fact]
    public void Without_a_region_it_is_the_first_one() => Assert.Equal("https://acme.s3.us-east-1.amazonaws.com/log/1", AddressOf(Acme));

    [Fact]
    public void Chinas_regions_have_a_name_of_their_own() => Assert.Equal(
        "https://acme.s3.cn-north-1.amazonaws.com.cn/log/1", AddressOf(Acme with { Region = "cn-north-1" }));

    [Fact]
    public void A_bucket_with_a_dot_is_in_the_path_because_no_certificate_is_for_it() => Assert.Equal(
        "https://s3.us-east-1.amazonaws.com/acme.example/log/1", AddressOf(Acme with { Bucket = "acme.example" }));

    [Theory]
    [InlineData("https://ams3.digitaloceanspaces.com", null, "https://ams3.digitaloceanspaces.com/acme/log/1")]
    [InlineData("https://ams3.digitaloceanspaces.com/", false, "https://acme.ams3.digitaloceanspaces.com/log/1")]
    [InlineData("https://example.com/storage/v1/s3", null, "https://example.com/storage/v1/s3/acme/log/1")]
    [InlineData("http://127.0.0.1:9000", null, "http://127.0.0.1:9000/acme/log/1")]
    [InlineData("http://[::1]:9000", null, "http://[::1]:9000/acme/log/1")]
    [InlineData("http://localhost:9000", null, "http://localhost:9000/acme/log/1")]
    [InlineData("https://s3.eu-west-1.amazonaws.com", true, "https://s3.eu-west-1.amazonaws.com/acme/log/1")]
    public void Elsewhere_it_is_in_the_path(string endpoint, bool? pathStyle, string address) =>
        Assert.Equal(address, AddressOf(Acme with { Endpoint = endpoint, PathStyle = pathStyle }));

    [Fact]
    public void Region_and_endpoint_come_from_variables_where_nothing_else_says_them()
    {
        (string, string)[] variables =
        [
            ("AWS_REGION", "eu-west-2"), ("AWS_DEFAULT_REGION", "eu-west-3"), ("AWS_ENDPOINT_URL", "https://a.example"),
            ("AWS_ENDPOINT_URL_S3", "https://b.example"),
        ];

        Assert.Equal("https://b.example/acme/log/1", AddressOf(Acme, variables));
        Assert.Equal("https://a.example/acme/log/1", AddressOf(Acme, variables[..3]));
        Assert.Equal("https://acme.s3.eu-west-2.amazonaws.com/log/1", AddressOf(Acme, variables[..2]));
        Assert.Equal("https://acme.s3.eu-west-3.amazonaws.com/log/1", AddressOf(Acme, variables[1]));
        Assert.Equal("https://c.example/acme/log/1", AddressOf(Acme with { Endpoint = "https://c.example" }, variables));
    }

    [Fact]
    public void Http_to_another_machine_is_refused_unless_it_is_allowed()
    {
        var options = Acme with { Endpoint = "http://minio.example:9000" };

        var refused = Refusal(options);

        Assert.Equal("endpoint http://minio.example:9000 of bucket acme is http, and not on this machine", refused.Message);
        Assert.Equal(
            "Use https, or say allow_insecure: true where the network between is yours: whoever is on it can read and change all.",
            refused.Hint);
        Assert.Equal("http://minio.example:9000/acme/log/1", AddressOf(options with { AllowInsecure = true }));
        Assert.Equal(refused.Message, Refusal(Acme, ("AWS_ENDPOINT_URL", "http://minio.example:9000")).Message);
    }

    [Theory]
    [InlineData("http://127.0.0.1.example")]
    [InlineData("http://localhost.example")]
    [InlineData("http://0.0.0.0")]
    public void What_only_looks_like_this_machine_is_another(string endpoint) =>
        Assert.EndsWith("and not on this machine", Refusal(Acme with { Endpoint = endpoint }).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("ac", "\"ac\" cannot be the name of a bucket")]
    [InlineData("ac me", "\"ac me\" cannot be the name of a bucket")]
    [InlineData("a..c", "\"a..c\" cannot be the name of a bucket")]
    [InlineData("acme/x", "\"acme/x\" cannot be the name of a bucket")]
    public void A_bucket_without_a_possible_name_is_refused(string bucket, string message) =>
        Assert.Equal(message, Refusal(Acme with { Bucket = bucket }).Message);

    [Theory]
    [InlineData("a//b")]
    [InlineData("../b")]
    [InlineData("a b")]
    [InlineData(".a")]
    public void A_prefix_that_is_no_key_is_refused(string prefix) =>
        Assert.Equal($"prefix \"{prefix}\" of bucket acme is not legal", Refusal(Acme with { Prefix = prefix }).Message);

    [Theory]
    [InlineData("GLACIER")]
    [InlineData("DEEP_ARCHIVE")]
    [InlineData("STANDARD IA")]
    public void A_class_that_is_not_read_at_once_is_refused(string name)
    {
        var refused = Refusal(Acme with { StorageClass = name });

        Assert.Equal($"storage_class {name} of bucket acme is none from which a backup can be read at once", refused.Message);
        Assert.Equal("Use one such as STANDARD_IA, INTELLIGENT_TIERING or GLACIER_IR.", refused.Hint);
    }

    [Fact]
    public void What_else_cannot_be_is_refused()
    {
        Assert.Equal("region \"eu west\" of bucket acme is no region", Refusal(Acme with { Region = "eu west" }).Message);
        Assert.Equal(
            "endpoint \"s3.example\" of bucket acme is no URL of a service", Refusal(Acme with { Endpoint = "s3.example" }).Message);
        Assert.Equal("bucket acme has kms_key without sse: aws:kms", Refusal(Acme with { KmsKey = "k" }).Message);
        Assert.Equal(
            "kms_key \"a\nb\" of bucket acme is no key", Refusal(Acme with { Encryption = S3Encryption.Kms, KmsKey = "a\nb" }).Message);
    }

    [Fact]
    public void A_secret_in_an_endpoint_is_not_repeated()
    {
        var refused = Refusal(Acme with { Endpoint = "https://AKIA:canary@s3.example" });

        Assert.Equal("the endpoint of bucket acme has a user in it", refused.Message);
        Assert.DoesNotContain("canary", refused.ToString(), StringComparison.Ordinal);
    }

    static string AddressOf(S3Options options, params (string Name, string Value)[] variables)
    {
        var place = S3Place.Of(options, Environment(variables));
        return place.UriOf(place.Prefix + "log/1", "").AbsoluteUri;
    }

    static SalvorException Refusal(S3Options options, params (string Name, string Value)[] variables)
    {
        var refused = Assert.Throws<SalvorException>(() => S3Place.Of(options, Environment(variables)));
        Assert.Equal(FailureKind.Usage, refused.Kind);
        return refused;
    }

    static AwsEnvironment Environment((string Name, string Value)[] variables) =>
        new(name => name == "HOME" ? "/nonexistent" : variables.FirstOrDefault(variable => variable.Name == name).Value);
}
