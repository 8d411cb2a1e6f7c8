using System.Net;

namespace Salvor.Storage.S3;

/// <summary>A request that is not yet signed.</summary>
/// <param name="Method">Of HTTP.</param>
/// <param name="Verb">What it does, as a message says it: <c>read</c>, <c>write</c>, <c>list</c>, <c>look for</c>, <c>delete</c>.</param>
/// <param name="Key">The key of an object without the prefix; empty for the bucket.</param>
sealed record S3Call(HttpMethod Method, string Verb, string Key)
{
    /// <summary>Whether the bucket is asked, although it is for the sake of an object.</summary>
    public bool IsOfBucket { get; init; }

    /// <summary>Encoded, without the question mark.</summary>
    public string Query { get; init; } = "";

    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];

    public ReadOnlyMemory<byte> Content { get; init; }

    /// <summary>How many bytes are sent or received at most; gives the call its time.</summary>
    public long Bytes { get; init; }

    /// <summary>Whether the service wants to be told the MD5 of the content, as it does of everything about locks.</summary>
    public bool HasDigest { get; init; }

    /// <summary>Whether it asks for a lock.</summary>
    public bool IsLocking => Headers.Any(header => header.Name == S3Locks.ModeHeader);

    /// <summary>The answers that the caller understands; others are failures.</summary>
    public required HttpStatusCode[] Expected { get; init; }
}

/// <summary>Signs requests, sends each once, and says what a failure means. Repeating is for whoever knows how long to wait.</summary>
sealed class S3Client(S3Place place, AwsCredentialChain credentials, HttpMessageInvoker http, TimeProvider time)
{
    /// <summary>Above it the service is asked first whether it wants the content: an object that exists need not travel again.</summary>
    const int AskFirstBytes = 1 << 20;

    /// <param name="read">Takes what is needed of an expected answer.</param>
    public async Task<T> SendAsync<T>(
        S3Call call, Func<HttpResponseMessage, S3Deadline, Task<T>> read, CancellationToken cancellationToken)
    {
        using var deadline = new S3Deadline(call.Bytes, time, cancellationToken);
        try
        {
            cancellationToken.ThrowIfCancellationRequested();
            var signer = await credentials.GetAsync(deadline.Token);
            using var request = Build(call, signer, deadline);
            using var response = await http.SendAsync(request, deadline.Token);
            deadline.Move();
            return call.Expected.Contains(response.StatusCode)
                ? await read(response, deadline)
                : throw await FailureAsync(call, response, signer, deadline);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw S3Errors.Silent(place, call, deadline.Elapsed);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw S3Errors.Broken(place, call, e);
        }
    }

    /// <summary>A content up to a limit.</summary>
    public static async Task<byte[]> ReadAllAsync(HttpResponseMessage response, int bytesMax, S3Deadline deadline)
    {
        if (response.Content.Headers.ContentLength > bytesMax)
        {
            throw new IOException($"the answer is longer than {bytesMax} bytes");
        }

        using var stream = await response.Content.ReadAsStreamAsync(deadline.Token);
        using var content = new MemoryStream();
        var buffer = new byte[16 << 10];
        for (int read; (read = await stream.ReadAsync(buffer, deadline.Token)) > 0;)
        {
            deadline.Move();
            content.Write(buffer, 0, read);
            if (content.Length > bytesMax)
            {
                throw new IOException($"the answer is longer than {bytesMax} bytes");
            }
        }

        return content.ToArray();
    }

    HttpRequestMessage Build(S3Call call, AwsCredentials signer, S3Deadline deadline)
    {
        var uri = place.UriOf(call.IsOfBucket || call.Key.Length == 0 ? null : place.Prefix + call.Key, call.Query);
        var request = new HttpRequestMessage(call.Method, uri) { Version = HttpVersion.Version11 };
        foreach (var (name, value) in call.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        var hash = SigV4.EmptyHash;
        if (call.Method == HttpMethod.Put)
        {
            request.Content = new UploadContent(call.Content, deadline);
            request.Headers.ExpectContinue = call.Content.Length >= AskFirstBytes;
            hash = SigV4.HashOf(call.Content.Span);
            if (call.HasDigest)
            {
                request.Content.Headers.ContentMD5 = S3Locks.DigestOf(call.Content.Span);
            }
        }

        SigV4.Sign(request, signer, place.Region, hash, time.GetUtcNow(), place.Dialect);
        return request;
    }

    async Task<StorageException> FailureAsync(S3Call call, HttpResponseMessage response, AwsCredentials signer, S3Deadline deadline)
    {
        var refusal = S3Xml.ReadRefusal(await ReadAllAsync(response, S3Xml.RefusalBytesMax, deadline));
        if (refusal.Region.Length == 0 && response.Headers.TryGetValues("x-amz-bucket-region", out var regions))
        {
            refusal = refusal with { Region = regions.First() };
        }

        if (refusal.Code is "ExpiredToken" or "TokenRefreshRequired" or "InvalidToken")
        {
            credentials.Forget(signer);
        }

        return S3Errors.Refused(place, call, response.StatusCode, refusal, signer, time.GetUtcNow() - response.Headers.Date);
    }

    /// <summary>Content from memory that tells of its progress.</summary>
    sealed class UploadContent : HttpContent
    {
        const int PieceBytes = 64 << 10;

        readonly ReadOnlyMemory<byte> content;
        readonly S3Deadline deadline;

        public UploadContent(ReadOnlyMemory<byte> content, S3Deadline deadline)
        {
            this.content = content;
            this.deadline = deadline;
            Headers.ContentLength = content.Length;
        }

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) =>
            SerializeToStreamAsync(stream, context, deadline.Token);

        protected override async Task SerializeToStreamAsync(
            Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            for (var at = 0; at < content.Length; at += PieceBytes)
            {
                await stream.WriteAsync(content[at..Math.Min(content.Length, at + PieceBytes)], cancellationToken);
                deadline.Move();
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = content.Length;
            return true;
        }
    }
}
