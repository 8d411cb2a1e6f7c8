using System.Text;
using Salvor.Storage.S3;

namespace Salvor.Tests.Storage.S3;

/// <summary>The examples of Amazon's reference ("Authenticating Requests: Using the Authorization Header"), with its signatures.</summary>
public sealed class SigV4Tests
{
    static readonly AwsCredentials Example =
        new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", null, "the reference");

    [Theory]
    [InlineData("/test.txt", "bytes=0-9", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")]
    [InlineData("/?lifecycle", null, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543")]
    [InlineData("/?max-keys=2&prefix=J", null, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
    [InlineData("/?prefix=J&max-keys=2", null, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7")]
    public void A_request_without_content_has_the_signature_of_the_reference(string address, string? range, string signature)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"https://examplebucket.s3.amazonaws.com{address}");
        if (range is not null)
        {
            request.Headers.TryAddWithoutValidation("Range", range);
        }

        Assert.EndsWith($"Signature={signature}", Sign(request, ""), StringComparison.Ordinal);
    }

    [Fact]
    public void A_put_has_the_signature_of_the_reference()
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, "https://examplebucket.s3.amazonaws.com/test%24file.text");
        request.Headers.TryAddWithoutValidation("Date", "Fri, 24 May 2013 00:00:00 GMT");
        request.Headers.TryAddWithoutValidation("x-amz-storage-class", "REDUCED_REDUNDANCY");

        Assert.Equal(
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                + "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
                + "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            Sign(request, "Welcome to Amazon S3."));
    }

    [Fact]
    public void A_session_token_is_sent_and_signed()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "http://127.0.0.1:7480/bucket/key");

        SigV4.Sign(request, new AwsCredentials("id", "secret", "token", "the test"), "us-east-1", SigV4.EmptyHash, Moment);

        Assert.Equal(["token"], request.Headers.GetValues("x-amz-security-token"));
        Assert.Contains("x-amz-date;x-amz-security-token,", Authorization(request), StringComparison.Ordinal);
    }

    [Fact]
    public void The_hash_of_no_content_is_that_of_no_bytes() => Assert.Equal(SigV4.EmptyHash, SigV4.HashOf([]));

    static DateTimeOffset Moment => new(2013, 5, 24, 0, 0, 0, TimeSpan.Zero);

    static string Sign(HttpRequestMessage request, string content)
    {
        SigV4.Sign(request, Example, "us-east-1", SigV4.HashOf(Encoding.UTF8.GetBytes(content)), Moment);
        return Authorization(request);
    }

    static string Authorization(HttpRequestMessage request) => request.Headers.NonValidated["Authorization"].ToString();
}
