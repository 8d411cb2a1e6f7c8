using System.Net;
using System.Text;
using Salvor.Storage;
using Salvor.Storage.S3;
using Salvor.Tests.Support;
using static Salvor.Tests.Support.AnswerHandler;

namespace Salvor.Tests.Storage.S3;

/// <summary>What services say when they refuse, and what becomes of it.</summary>
public sealed class S3RefusalTests
{
    const string Secret = "canary-secret-1b7e";
    const string ReadPermissions =
        "s3:GetObject on arn:aws:s3:::acme/app/*, and s3:ListBucket on arn:aws:s3:::acme, without which what does not exist is refused "
        + "in this way too";

    const string Place = "s3://acme/app?region=eu-west-1";

    public static TheoryData<int, string, StorageFailure, string, string> Refusals => new()
    {
        {
            404, "NoSuchBucket", StorageFailure.Denied, "there is no bucket acme at s3.eu-west-1.amazonaws.com",
            "Correct 'bucket', 'region' and 'endpoint', or make it: 'aws s3 mb s3://acme --region eu-west-1'."
        },
        {
            403, "InvalidAccessKeyId", StorageFailure.Denied, "the service does not know the access key of the test",
            "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile, and that they are for s3.eu-west-1.amazonaws.com."
        },
        {
            403, "SignatureDoesNotMatch", StorageFailure.Denied, "the secret key of the test is not the right one",
            "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile, and that they are for s3.eu-west-1.amazonaws.com."
        },
        {
            400, "ExpiredToken", StorageFailure.Denied, "the credentials of the test have ended",
            "Get new ones; where they are lent for hours, let a profile with credential_process or a role give them."
        },
        {
            403, "QuotaExceeded", StorageFailure.Full, "there is no room (QuotaExceeded)",
            "Raise the quota of the bucket or its owner, or let 'salvor prune' make room."
        },
        {
            507, "", StorageFailure.Full, "there is no room (507)",
            "Raise the quota of the bucket or its owner, or let 'salvor prune' make room."
        },
        {
            403, "InvalidObjectState", StorageFailure.Denied, "the object is archived and cannot be read at once",
            "Restore it in the service first, and keep backups in a class that is read at once, such as STANDARD_IA."
        },
        {
            400, "InvalidStorageClass", StorageFailure.Denied, "the service does not have that storage class",
            "Correct 'storage_class', or leave it out."
        },
        {
            501, "NotImplemented", StorageFailure.Denied, "the service cannot do this (501 NotImplemented)",
            "Salvor needs If-None-Match and ListObjectsV2; use a service that has them."
        },
        {
            503, "SlowDown", StorageFailure.Unreachable, "the service answered 503 SlowDown",
            "It passes; ask who runs the service if it does not."
        },
        {
            500, "", StorageFailure.Unreachable, "the service answered 500", "It passes; ask who runs the service if it does not."
        },
        {
            429, "", StorageFailure.Unreachable, "the service answered 429", "It passes; lower the load if it comes back."
        },
        {
            418, "Teapot", StorageFailure.Denied, "the service answered 418 Teapot",
            "Check 'endpoint', 'region', 'bucket' and 'path_style'."
        },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task A_refusal_says_what_to_do(int status, string code, StorageFailure failure, string reason, string hint)
    {
        var refused = await RefusedAsync(() => Answer((HttpStatusCode)status, code.Length == 0 ? "" : Body(code)), ReadAsync);

        Assert.Equal(failure, refused.Failure);
        Assert.Equal($"cannot read log/1 at {Place}: {reason}", refused.Message);
        Assert.Equal(hint, refused.Hint);
    }

    [Theory]
    [InlineData("read", ReadPermissions)]
    [InlineData("look for", ReadPermissions)]
    [InlineData("write", "s3:PutObject on arn:aws:s3:::acme/app/*")]
    [InlineData("delete", "s3:DeleteObject on arn:aws:s3:::acme/app/*")]
    [InlineData("list", "s3:ListBucket on arn:aws:s3:::acme")]
    public async Task A_verb_that_is_not_allowed_is_named_with_the_permission_for_it(string verb, string permission)
    {
        Func<S3Store, Task> call = verb switch
        {
            "read" => ReadAsync,
            "look for" => store => store.SizeAsync("log/1", default),
            "write" => store => store.PutAsync("log/1", new byte[1], default),
            "delete" => store => store.DeleteAsync("log/1", default),
            _ => async store => await store.ListAsync("log/", null, default).ToListAsync(),
        };

        var refused = await RefusedAsync(() => Answer(HttpStatusCode.Forbidden, Body("AccessDenied")), call);

        var on = verb == "list" ? "" : " log/1";
        Assert.Equal(StorageFailure.Denied, refused.Failure);
        Assert.Equal($"cannot {verb}{on} at {Place}: the credentials of the test may not {verb}", refused.Message);
        Assert.Equal($"Allow {permission}.", refused.Hint);
    }

    [Theory]
    [InlineData(301, "PermanentRedirect", "us-west-2", "")]
    [InlineData(400, "AuthorizationHeaderMalformed", "", "<Region>us-west-2</Region>")]
    [InlineData(301, "", "us-west-2", "")]
    public async Task Another_region_is_named(int status, string code, string header, string more)
    {
        var refused = await RefusedAsync(
            () => Answer((HttpStatusCode)status, Body(code, more), header.Length == 0 ? [] : [("x-amz-bucket-region", header)]), ReadAsync);

        Assert.Equal($"cannot read log/1 at {Place}: bucket acme is in region us-west-2, not in eu-west-1", refused.Message);
        Assert.Equal("Write region: us-west-2.", refused.Hint);
    }

    [Theory]
    [InlineData(-40, "behind the service's by 40 minutes")]
    [InlineData(40, "ahead of the service's by 40 minutes")]
    public async Task A_wrong_clock_is_told_with_the_difference(int minutes, string words)
    {
        var date = new ManualTime().GetUtcNow().AddMinutes(-minutes).ToString("r");

        var refused = await RefusedAsync(
            () => Answer(HttpStatusCode.Forbidden, Body("RequestTimeTooSkewed"), ("Date", date)), ReadAsync);

        Assert.Equal(StorageFailure.Denied, refused.Failure);
        Assert.Equal($"cannot read log/1 at {Place}: the clock of this machine is {words}", refused.Message);
        Assert.Equal("Set the clock: 'timedatectl set-ntp true'. Requests more than 15 minutes off are refused.", refused.Hint);
    }

    [Fact]
    public async Task What_a_service_says_is_repeated_on_one_short_line()
    {
        var refused = await RefusedAsync(
            () => Answer(HttpStatusCode.BadRequest, Body("Odd", $"<Message>a\nb\u0085{new string('x', 500)}</Message>")), ReadAsync);

        Assert.StartsWith(
            $"cannot read log/1 at {Place}: the service answered 400 Odd (a b xxx", refused.Message, StringComparison.Ordinal);
        Assert.True(refused.Message.Length < 320, refused.Message);
    }

    [Fact]
    public async Task A_refusal_without_end_is_not_read_to_its_end()
    {
        var refused = await RefusedAsync(() => Answer(HttpStatusCode.BadRequest, new string('x', 1 << 20)), ReadAsync);

        Assert.Contains("the answer is longer than 65536 bytes", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(HttpRequestError.NameResolutionError, "there is no host s3.eu-west-1.amazonaws.com")]
    [InlineData(HttpRequestError.ConnectionError, "cannot connect to s3.eu-west-1.amazonaws.com: refused")]
    [InlineData(HttpRequestError.ResponseEnded, "the connection to s3.eu-west-1.amazonaws.com broke off: refused")]
    public async Task A_connection_that_fails_may_pass(HttpRequestError error, string reason)
    {
        var refused = await RefusedAsync(() => throw new HttpRequestException(error, "refused."), ReadAsync);

        Assert.Equal(StorageFailure.Unreachable, refused.Failure);
        Assert.Equal($"cannot read log/1 at {Place}: {reason}", refused.Message);
    }

    [Fact]
    public async Task A_certificate_that_is_not_trusted_does_not_pass()
    {
        var inner = new System.Security.Authentication.AuthenticationException("The certificate is of another host.");
        var refused = await RefusedAsync(
            () => throw new HttpRequestException(HttpRequestError.SecureConnectionError, "ssl", inner), ReadAsync);

        Assert.Equal(StorageFailure.Denied, refused.Failure);
        Assert.Equal(
            $"cannot read log/1 at {Place}: s3.eu-west-1.amazonaws.com cannot be trusted: The certificate is of another host",
            refused.Message);
    }

    [Fact]
    public async Task A_service_that_never_answers_is_not_waited_for()
    {
        using var handler = new AnswerHandler(async (_, cancelled) =>
        {
            await Task.Delay(Timeout.Infinite, cancelled);
            return Answer(HttpStatusCode.OK);
        });

        var refused = await Assert.ThrowsAsync<StorageException>(() => ReadAsync(Open(handler, new FastTime(300))));

        Assert.Equal(StorageFailure.Unreachable, refused.Failure);
        Assert.StartsWith(
            $"cannot read log/1 at {Place}: s3.eu-west-1.amazonaws.com did not answer in time (",
            refused.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_that_sends_a_byte_now_and_then_is_left()
    {
        using var handler = new AnswerHandler(_ =>
        {
            var answer = new HttpResponseMessage(HttpStatusCode.OK) { Content = new StreamContent(new DrippingStream()) };
            answer.Content.Headers.ContentLength = 1 << 20;
            return answer;
        });

        var refused = await Assert.ThrowsAsync<StorageException>(
            () => Open(handler, new FastTime(300)).ReadAsync("log/1", 0, new byte[100_000], TestContext.Current.CancellationToken));

        Assert.Contains("did not answer in time", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_failure_has_a_secret_in_it()
    {
        foreach (var row in Refusals)
        {
            var (status, code, _, _, _) = row.Data;
            var refused = await RefusedAsync(
                () => Answer((HttpStatusCode)status, Body(code)), store => store.PutAsync("a", default, default));
            Assert.DoesNotContain(Secret, refused.ToString(), StringComparison.Ordinal);
        }

        Assert.DoesNotContain(Secret, Options.ToString(), StringComparison.Ordinal);
    }

    static S3Options Options => new()
    {
        Bucket = "acme",
        Prefix = "app",
        Region = "eu-west-1",
        Credentials = new AwsCredentials("AKIA", Secret, Secret, "the test"),
    };

    static string Body(string code, string more = "") =>
        $"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code>{more}<RequestId>1</RequestId></Error>";

    static Task ReadAsync(S3Store store) => store.ReadAsync("log/1", 0, new byte[10], TestContext.Current.CancellationToken);

    static S3Store Open(AnswerHandler handler, TimeProvider time)
    {
        var http = new HttpMessageInvoker(handler);
        return new S3Store(Options, _ => true, time, new AwsEnvironment(_ => null), http, http);
    }

    static async Task<StorageException> RefusedAsync(Func<HttpResponseMessage> answer, Func<S3Store, Task> call)
    {
        using var handler = new AnswerHandler(_ => answer());
        return await Assert.ThrowsAsync<StorageException>(() => call(Open(handler, new ManualTime())));
    }

    /// <summary>One byte every 5 ms, for ever.</summary>
    sealed class DrippingStream : MemoryStream
    {
        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Delay(5, cancellationToken);
            buffer.Span[0] = 1;
            return 1;
        }
    }
}
