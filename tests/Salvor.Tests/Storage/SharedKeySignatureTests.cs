using System.Text;
using Salvor.Storage;

namespace Salvor.Tests.Storage;

/// <summary>The texts are those of Microsoft's description of the scheme, the signatures were made of them with openssl.</summary>
public sealed class SharedKeySignatureTests
{
    static readonly byte[] key = Encoding.ASCII.GetBytes("a key for a test vector");

    [Fact]
    public void The_text_of_a_request_without_a_body_is_that_of_the_description()
    {
        using var request = new HttpRequestMessage(
            HttpMethod.Get, "https://myaccount.blob.core.windows.net/mycontainer?restype=container&timeout=20&comp=metadata");
        request.Headers.TryAddWithoutValidation("x-ms-version", "2015-02-21");
        request.Headers.TryAddWithoutValidation("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT");

        Assert.Equal(
            "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
                + "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20",
            SharedKeySignature.TextOf("myaccount", request));
        Assert.Equal("myaccount:XvCgM738k7UBxG/Ei5QChmbMwMtd8x5x8QWiP5pdPlM=", SharedKeySignature.Of("myaccount", key, request));
    }

    [Fact]
    public void The_text_of_a_put_has_its_length_its_checksum_and_its_condition()
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, "http://127.0.0.1:10000/myaccount/box/a/b")
        {
            Content = new ReadOnlyMemoryContent("hello"u8.ToArray()),
        };
        request.Content.Headers.ContentLength = 5;
        request.Content.Headers.ContentMD5 = Convert.FromBase64String("XUFAKrxLKna5cZ2REBfFkg==");
        request.Headers.TryAddWithoutValidation("If-None-Match", "*");
        request.Headers.TryAddWithoutValidation("x-ms-blob-type", "BlockBlob");

        Assert.Equal(
            "PUT\n\n\n5\nXUFAKrxLKna5cZ2REBfFkg==\n\n\n\n\n*\n\n\nx-ms-blob-type:BlockBlob\n/myaccount/myaccount/box/a/b",
            SharedKeySignature.TextOf("myaccount", request));
        Assert.Equal("myaccount:FVFmAfd6yNCOIwbR5STvCwUi20bcB63KimqMbq/GrJE=", SharedKeySignature.Of("myaccount", key, request));
    }

    [Fact]
    public void A_parameter_is_signed_as_it_is_meant_and_not_as_it_is_written()
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "https://a.blob.core.windows.net/box?prefix=x%2Fy%2B&comp=list");

        Assert.EndsWith("/a/box\ncomp:list\nprefix:x/y+", SharedKeySignature.TextOf("a", request), StringComparison.Ordinal);
    }

    [Fact]
    public void An_empty_body_has_no_length_in_the_text()
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, "https://a.blob.core.windows.net/box/a")
        {
            Content = new ReadOnlyMemoryContent(default),
        };
        request.Content.Headers.ContentLength = 0;

        Assert.StartsWith("PUT\n\n\n\n\n", SharedKeySignature.TextOf("a", request), StringComparison.Ordinal);
    }
}
