using System.Net;
using System.Text;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;
using static Salvor.Tests.Support.AnswerHandler;

namespace Salvor.Tests.Storage.S3;

/// <summary>What the store asks of a service, and what it makes of answers that a real one gives rarely.</summary>
public sealed class S3StoreTests
{
    const string Place = "s3://acme/app?region=eu-west-1";

    [Fact]
    public async Task A_put_that_meets_another_asks_again_and_learns_who_won()
    {
        using var handler = new AnswerHandler(
            Answer(HttpStatusCode.Conflict), Answer(HttpStatusCode.Conflict), Answer(HttpStatusCode.PreconditionFailed));

        Assert.Equal(PutResult.AlreadyExists, await Open(handler).PutAsync("log/1", new byte[3], default));
        Assert.Equal(3, handler.Requests.Count);
        Assert.All(handler.Requests, request => Assert.Equal(["*"], request.Headers.NonValidated["If-None-Match"]));
    }

    [Fact]
    public async Task A_put_that_meets_others_for_ever_is_given_up_as_one_that_may_pass()
    {
        using var handler = new AnswerHandler(Answer(HttpStatusCode.Conflict));

        var failure = await FailureAsync(handler, store => store.PutAsync("log/1", new byte[3], default));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal($"cannot write log/1 at {Place}: s3.eu-west-1.amazonaws.com answered 409 20 times", failure.Message);
    }

    [Fact]
    public async Task A_replacement_has_no_condition()
    {
        using var handler = new AnswerHandler(Answer(HttpStatusCode.OK));

        await Open(handler).ReplaceAsync("log/1", new byte[3], default);

        Assert.False(handler.Requests.Single().Headers.NonValidated.Contains("If-None-Match"));
    }

    [Fact]
    public async Task The_storage_class_is_for_what_is_large_and_rarely_read()
    {
        using var handler = new AnswerHandler(Answer(HttpStatusCode.OK));
        var store = Open(handler, Options with { StorageClass = "STANDARD_IA" }, key => key.Contains("packs", StringComparison.Ordinal));

        await store.PutAsync("app/packs/1", new byte[128 << 10], default);
        await store.PutAsync("app/packs/2", new byte[(128 << 10) - 1], default);
        await store.PutAsync("app/log/1", new byte[128 << 10], default);

        Assert.Equal(
            [true, false, false], handler.Requests.Select(request => request.Headers.NonValidated.Contains("x-amz-storage-class")));
        Assert.Equal(["STANDARD_IA"], handler.Requests[0].Headers.NonValidated["x-amz-storage-class"]);
    }

    [Fact]
    public async Task What_the_operator_says_of_encryption_is_asked_for()
    {
        using var handler = new AnswerHandler(Answer(HttpStatusCode.OK, "", ("x-amz-server-side-encryption", "aws:kms")));

        await Open(handler, Options with { Encryption = S3Encryption.Kms, KmsKey = "alias/backups" }).PutAsync("a", new byte[3], default);

        var headers = handler.Requests.Single().Headers.NonValidated;
        Assert.Equal(["aws:kms"], headers["x-amz-server-side-encryption"]);
        Assert.Equal(["alias/backups"], headers["x-amz-server-side-encryption-aws-kms-key-id"]);
    }

    [Fact]
    public async Task A_service_that_does_not_encrypt_although_it_was_asked_gets_no_other_object()
    {
        using var handler = new AnswerHandler(Answer(HttpStatusCode.OK));
        var store = Open(handler, Options with { Encryption = S3Encryption.Aes256 });

        var first = await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("log/1", new byte[3], default));
        await Assert.ThrowsAsync<StorageException>(() => store.PutAsync("log/1", new byte[3], default));

        Assert.Equal(StorageFailure.Denied, first.Failure);
        Assert.Equal($"cannot write log/1 at {Place}: the service does not encrypt although 'sse' asks for it", first.Message);
        Assert.Single(handler.Requests);
    }

    [Theory]
    [InlineData("bytes 1-3/10", 3)]
    [InlineData("bytes 0-10/20", 11)]
    [InlineData("bytes 0-3/10", 3)]
    [InlineData(null, 3)]
    public async Task An_answer_about_other_bytes_than_were_asked_for_is_none(string? range, int length)
    {
        (string Name, string Value)[] headers = range is null ? [] : [("Content-Range", range)];
        using var handler = new AnswerHandler(Answer(HttpStatusCode.PartialContent, new string('x', length), headers));

        var failure = await FailureAsync(handler, store => store.ReadAsync("log/1", 0, new byte[10], default));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal(
            $"cannot read log/1 at {Place}: s3.eu-west-1.amazonaws.com answered with other bytes than were asked for", failure.Message);
    }

    [Fact]
    public async Task A_service_without_ranges_can_be_read_from_the_beginning_alone()
    {
        using var handler = new AnswerHandler(_ => Answer(HttpStatusCode.OK, "0123456789"));
        var buffer = new byte[4];

        Assert.Equal(4, await Open(handler).ReadAsync("log/1", 0, buffer, default));
        Assert.Equal("0123"u8, buffer);
        await FailureAsync(handler, store => store.ReadAsync("log/1", 1, buffer, default));
    }

    [Fact]
    public async Task A_content_that_ends_early_is_a_connection_that_broke_off()
    {
        using var handler = new AnswerHandler(_ =>
        {
            var answer = Answer(HttpStatusCode.PartialContent, "012", ("Content-Range", "bytes 0-9/10"));
            answer.Content.Headers.ContentLength = 10;
            return answer;
        });

        var failure = await FailureAsync(handler, store => store.ReadAsync("log/1", 0, new byte[10], default));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Contains("3 of 10 bytes came", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task All_of_an_object_is_one_request_and_so_is_its_end_and_a_missing_one()
    {
        using var handler = new AnswerHandler(
            Answer(HttpStatusCode.PartialContent, "0123456789", ("Content-Range", "bytes 0-9/10")),
            Answer(HttpStatusCode.PartialContent, "789", ("Content-Range", "bytes 7-9/10")),
            Answer(HttpStatusCode.OK, "0123456789"),
            Answer(HttpStatusCode.NotFound, "<Error><Code>NoSuchKey</Code></Error>"));
        var store = Open(handler);

        Assert.Equal("0123456789"u8.ToArray(), await store.GetAsync("log/1", 100, default));
        var end = (await store.ReadEndAsync("log/1", 3, default))!.Value;
        Assert.Equal(("789", 10), (Encoding.ASCII.GetString(end.Buffer, 0, end.Length), end.SizeBytes));
        Assert.Equal("0123456789"u8.ToArray(), await store.GetAsync("log/1", 100, default));
        Assert.Null(await store.GetAsync("log/1", 100, default));
        Assert.All(handler.Requests, request => Assert.Equal(HttpMethod.Get, request.Method));
        Assert.Equal(
            ["bytes=-100", "bytes=-3", "bytes=-100", "bytes=-100"],
            handler.Requests.Select(request => request.Headers.NonValidated["Range"].ToString()));
    }

    [Fact]
    public async Task A_larger_object_than_the_format_allows_is_refused_and_no_memory_taken_for_it()
    {
        using var handler = new AnswerHandler(
            Answer(HttpStatusCode.PartialContent, "789", ("Content-Range", "bytes 999999999997-999999999999/1000000000000")));

        var failure = await Assert.ThrowsAsync<SalvorException>(() => Open(handler).GetAsync("log/1", 3, default));

        Assert.Equal($"object log/1 at {Place} has 1000000000000 bytes, more than the 3 that the format allows", failure.Message);
    }

    [Theory]
    [InlineData("bytes 0-8/10", 9)]
    [InlineData("bytes 1-9/10", 9)]
    [InlineData("bytes 0-9/*", 10)]
    [InlineData("bytes 0-9/10", 9)]
    [InlineData("bytes 0-199/200", 200)]
    public async Task An_end_with_other_bytes_than_were_asked_for_is_none(string range, int length)
    {
        using var handler = new AnswerHandler(Answer(HttpStatusCode.PartialContent, new string('x', length), ("Content-Range", range)));

        var failure = await FailureAsync(handler, store => store.ReadEndAsync("log/1", 100, default));

        Assert.EndsWith("answered with other bytes than were asked for", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_does_not_count_from_the_end_is_asked_for_the_size()
    {
        using var handler = new AnswerHandler(request =>
            request.Method == HttpMethod.Head || !$"{request.Headers.NonValidated["Range"]}".StartsWith("bytes=-", StringComparison.Ordinal)
                ? Answer(HttpStatusCode.OK, "0123456789")
                : Answer(HttpStatusCode.RequestedRangeNotSatisfiable));

        Assert.Equal("0123456789"u8.ToArray(), await Open(handler).GetAsync("log/1", 100, default));
        Assert.Equal(["GET", "HEAD", "GET"], handler.Requests.Select(request => request.Method.Method));
    }

    [Fact]
    public async Task A_missing_bucket_is_no_missing_object()
    {
        using var handler = new AnswerHandler(request => Answer(
            HttpStatusCode.NotFound, request.Method == HttpMethod.Head ? "" : "<Error><Code>NoSuchBucket</Code></Error>"));

        var failure = await FailureAsync(handler, store => store.SizeAsync("log/1", default));

        Assert.Equal(
            $"cannot look for log/1 at {Place}: there is no bucket acme at s3.eu-west-1.amazonaws.com", failure.Message);
    }

    [Fact]
    public async Task Missing_objects_cost_one_request_each_once_the_bucket_is_known()
    {
        using var handler = new AnswerHandler(request => Answer(
            HttpStatusCode.NotFound, request.Method == HttpMethod.Head ? "" : "<Error><Code>NoSuchKey</Code></Error>"));
        var store = Open(handler);

        Assert.Null(await store.SizeAsync("log/1", default));
        Assert.Null(await store.SizeAsync("log/2", default));

        Assert.Equal(["HEAD", "GET", "HEAD"], handler.Requests.Select(request => request.Method.Method));
    }

    [Fact]
    public async Task What_others_keep_in_the_bucket_is_not_listed()
    {
        using var handler = new AnswerHandler(Answer(
            HttpStatusCode.OK, Page(false, "app/.part", "app/a%20b", "app/a//b", "app/log/1", "app/log/2/")));

        var rows = await Open(handler).ListAsync("", null, default).ToListAsync();

        Assert.Equal([new ObjectInfo("log/1", 7) { StoredAt = new(2026, 8, 1, 10, 30, 0, TimeSpan.Zero) }], rows);
    }

    [Fact]
    public async Task A_listing_goes_on_after_the_last_key_of_each_page_even_where_it_is_not_ours()
    {
        using var handler = new AnswerHandler(
            Answer(HttpStatusCode.OK, Page(true, "app/log/1", "app/log/2%20")), Answer(HttpStatusCode.OK, Page(false, "app/log/3")));

        var rows = await Open(handler).ListAsync("log/", "log/0", default).ToListAsync();

        Assert.Equal(["log/1", "log/3"], rows.Select(row => row.Key));
        Assert.Equal(
            [
                "?encoding-type=url&list-type=2&max-keys=1000&prefix=app%2Flog%2F&start-after=app%2Flog%2F0",
                "?encoding-type=url&list-type=2&max-keys=1000&prefix=app%2Flog%2F&start-after=app%2Flog%2F2%20",
            ],
            handler.Requests.Select(request => request.RequestUri!.Query));
    }

    [Theory]
    [InlineData("with keys that are not in order", true, "app/b", "app/a")]
    [InlineData("with keys that are not in order", true, "app/a", "app/a")]
    [InlineData("with keys that are not in order", true, "other/a")]
    [InlineData("that more comes after nothing", true)]
    public async Task A_listing_that_cannot_be_trusted_is_refused(string what, bool isCut, params string[] keys)
    {
        using var handler = new AnswerHandler(_ => Answer(HttpStatusCode.OK, Page(isCut, keys)));

        var failure = await FailureAsync(handler, async store => await store.ListAsync("", null, default).ToListAsync());

        Assert.Equal($"cannot list at {Place}: s3.eu-west-1.amazonaws.com answered {what}", failure.Message);
    }

    [Theory]
    [InlineData("")]
    [InlineData("<html><body>Log in to the network")]
    [InlineData("<html/>")]
    [InlineData("<ListBucketResult><Contents><Key>app/a</Key></Contents></ListBucketResult>")]
    [InlineData("<ListBucketResult><Contents><Key>app/a</Key><Size>-1</Size></Contents></ListBucketResult>")]
    [InlineData("<ListBucketResult><Contents><Key>app/a</Key><Size>99999999999999999999</Size></Contents></ListBucketResult>")]
    [InlineData("<!DOCTYPE a [<!ENTITY b \"c\">]><ListBucketResult>&b;</ListBucketResult>")]
    public async Task An_answer_that_is_no_listing_is_refused(string content)
    {
        using var handler = new AnswerHandler(Answer(HttpStatusCode.OK, content));

        var failure = await FailureAsync(handler, async store => await store.ListAsync("", null, default).ToListAsync());

        Assert.Equal(
            $"cannot list at {Place}: s3.eu-west-1.amazonaws.com answered something else than a listing", failure.Message);
        Assert.Equal("Check that 'endpoint' is a service for S3, and that no proxy changes what it says.", failure.Hint);
    }

    [Fact]
    public async Task A_deletion_of_what_is_gone_succeeds_however_a_service_says_it()
    {
        using var handler = new AnswerHandler(Answer(HttpStatusCode.NotFound, "<Error><Code>NoSuchKey</Code></Error>"));

        await Open(handler).DeleteAsync("log/1", default);
    }

    [Fact]
    public async Task Each_call_is_sent_once()
    {
        using var handler = new AnswerHandler(_ => Answer(HttpStatusCode.ServiceUnavailable));

        await FailureAsync(handler, store => store.PutAsync("log/1", new byte[3], default));

        Assert.Single(handler.Requests);
    }

    static S3Options Options => new()
    {
        Bucket = "acme",
        Prefix = "app",
        Region = "eu-west-1",
        Credentials = new AwsCredentials("AKIA", "secret", null, "the test"),
    };

    static string Page(bool isCut, params IEnumerable<string> keys)
    {
        var rows = keys.Select(key =>
            $"<Contents><Key>{key}</Key><LastModified>2026-08-01T10:30:00.000Z</LastModified><ETag>&quot;1&quot;</ETag><Size>7</Size>"
                + "<Owner><ID>1</ID></Owner><StorageClass>STANDARD</StorageClass></Contents>");
        return "<?xml version=\"1.0\" encoding=\"UTF-8\"?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
            + $"<Name>acme</Name><Prefix>app/</Prefix><IsTruncated>{(isCut ? "true" : "false")}</IsTruncated>{string.Concat(rows)}"
            + "</ListBucketResult>";
    }

    static S3Store Open(AnswerHandler handler, S3Options? options = null, Func<string, bool>? isRarelyRead = null)
    {
        var http = new HttpMessageInvoker(handler);
        return new S3Store(options ?? Options, isRarelyRead ?? (_ => true), new ManualTime(), new AwsEnvironment(_ => null), http, http);
    }

    static Task<StorageException> FailureAsync(AnswerHandler handler, Func<S3Store, Task> call) =>
        Assert.ThrowsAsync<StorageException>(() => call(Open(handler)));
}
