using System.Net;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;
using static Salvor.Tests.Support.AnswerHandler;

namespace Salvor.Tests.Storage.S3;

/// <summary>The contract in Google's words.</summary>
public sealed class GoogleStorageContractTests : ObjectStoreContractTests
{
    protected override IObjectStore CreateStore()
    {
        var gateway = GoogleGateway.StartedAsync().GetAwaiter().GetResult();
        return CephGateway.Open(gateway.NewBucketAsync().GetAwaiter().GetResult() with { Prefix = "some/where" });
    }
}

/// <summary>What is said to Google Cloud Storage, and what its refusals mean.</summary>
public sealed class GoogleStorageTests
{
    static readonly S3Options Acme = new() { Service = S3Service.Google, Bucket = "acme", Prefix = "app" };
    readonly Dictionary<string, string> variables = [];

    [Fact]
    public async Task No_header_of_a_request_is_Amazons_and_a_put_has_Googles_condition()
    {
        variables["GCS_ACCESS_KEY_ID"] = "GOOG1";
        variables["GCS_SECRET_ACCESS_KEY"] = "s";
        variables["AWS_REGION"] = "eu-west-1";
        variables["AWS_ENDPOINT_URL"] = "https://elsewhere.example";
        using var handler = new AnswerHandler(Answer(HttpStatusCode.OK));

        await Open(handler, Acme with { StorageClass = "NEARLINE" }).PutAsync("packs/1", new byte[200_000], default);

        var request = handler.Requests.Single();
        Assert.Equal("https://storage.googleapis.com/acme/app/packs/1", request.RequestUri!.AbsoluteUri);
        Assert.DoesNotContain(request.Headers.NonValidated, item => item.Key.StartsWith("x-amz", StringComparison.OrdinalIgnoreCase));
        Assert.False(request.Headers.NonValidated.Contains("If-None-Match"));
        Assert.Equal(["0"], request.Headers.NonValidated["x-goog-if-generation-match"]);
        Assert.Equal(["NEARLINE"], request.Headers.NonValidated["x-goog-storage-class"]);
        Assert.StartsWith(
            "GOOG4-HMAC-SHA256 Credential=GOOG1/20260801/auto/storage/goog4_request, SignedHeaders=host;x-goog-content-sha256;"
                + "x-goog-date;x-goog-if-generation-match;x-goog-storage-class, Signature=",
            request.Headers.NonValidated["Authorization"].ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Keys_in_the_variables_of_other_tools_count_where_they_are_Googles()
    {
        variables["AWS_ACCESS_KEY_ID"] = "GOOG1OTHER";
        variables["AWS_SECRET_ACCESS_KEY"] = "s";
        using var handler = new AnswerHandler(Answer(HttpStatusCode.OK));
        await Open(handler, Acme).PutAsync("a", new byte[1], default);
        Assert.Contains("GOOG1OTHER/", handler.Requests[0].Headers.NonValidated["Authorization"].ToString(), StringComparison.Ordinal);

        variables["AWS_ACCESS_KEY_ID"] = "AKIA";
        var refused = await Assert.ThrowsAsync<StorageException>(() => Open(handler, Acme).PutAsync("a", new byte[1], default));

        Assert.Equal("there are no keys for Google Cloud Storage", refused.Message);
        Assert.Equal(
            "Set GCS_ACCESS_KEY_ID and GCS_SECRET_ACCESS_KEY; 'gcloud storage hmac create SERVICE-ACCOUNT' makes them.", refused.Hint);
        Assert.Single(handler.Requests);
    }

    [Theory]
    [InlineData(true, "AlreadyExists")]
    [InlineData(false, "the credentials of variable GCS_ACCESS_KEY_ID may not write (x does not have storage.objects.create access)")]
    public async Task Who_may_not_overwrite_is_told_what_exists_and_who_may_not_write_is_told_so(bool isThere, string outcome)
    {
        variables["GCS_ACCESS_KEY_ID"] = "GOOG1";
        variables["GCS_SECRET_ACCESS_KEY"] = "s";
        using var handler = new AnswerHandler(request => request.Method == HttpMethod.Put
            ? Answer(
                HttpStatusCode.Forbidden,
                "<Error><Code>AccessDenied</Code><Message>x does not have storage.objects.create access.</Message></Error>")
            : isThere ? Answer(HttpStatusCode.OK, "x")
            : Answer(HttpStatusCode.NotFound, request.Method == HttpMethod.Head ? "" : "<Error><Code>NoSuchKey</Code></Error>"));

        if (isThere)
        {
            Assert.Equal(outcome, $"{await Open(handler, Acme).PutAsync("a", new byte[1], default)}");
            return;
        }

        var refused = await Assert.ThrowsAsync<StorageException>(() => Open(handler, Acme).PutAsync("a", new byte[1], default));
        Assert.Equal($"cannot write a at gs://acme/app: {outcome}", refused.Message);
        Assert.Equal(
            "Grant storage.objects.create on gs://acme to whom the key belongs; roles/storage.objectUser has all that is needed.",
            refused.Hint);
    }

    [Fact]
    public async Task What_is_wrong_is_named()
    {
        var gateway = await GoogleGateway.StartedAsync();
        var bucket = await gateway.NewBucketAsync();
        var service = new Uri(gateway.Endpoint).Authority;

        await AssertRefusedAsync(
            bucket with { Bucket = "nowhere" }, $"there is no bucket nowhere at {service}",
            "Correct 'bucket', or make it: 'gcloud storage buckets create gs://nowhere'.");
        await AssertRefusedAsync(
            bucket with { Credentials = new(GoogleGateway.KeyId, "wrong", null, "the test") },
            "the secret key of the test is not the right one",
            "Check GCS_ACCESS_KEY_ID and GCS_SECRET_ACCESS_KEY: 'gcloud storage hmac list' shows which keys are active.");
        await AssertRefusedAsync(
            bucket with { Credentials = new("GOOG1NOBODY", "wrong", null, "the test") },
            "the service does not know the access key of the test",
            "Check GCS_ACCESS_KEY_ID and GCS_SECRET_ACCESS_KEY: 'gcloud storage hmac list' shows which keys are active.");
    }

    static async Task AssertRefusedAsync(S3Options options, string reason, string hint)
    {
        var store = CephGateway.Open(options);
        var failure = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("log/1", new byte[1], default));
        Assert.Equal(
            (StorageFailure.Denied, $"cannot write log/1 at {store.Location}: {reason}", hint),
            (failure.Failure, failure.Message, failure.Hint));
    }

    S3Store Open(AnswerHandler handler, S3Options options)
    {
        var http = new HttpMessageInvoker(handler);
        return new S3Store(options, _ => true, new ManualTime(), new AwsEnvironment(variables.GetValueOrDefault), http, http);
    }
}
