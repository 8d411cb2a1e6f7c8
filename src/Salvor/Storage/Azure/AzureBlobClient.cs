using System.Globalization;
using System.Net;

namespace Salvor.Storage;

/// <summary>A request of a store.</summary>
/// <param name="Verb">What it is for.</param>
/// <param name="Key">What messages call its object; for a listing, the prefix.</param>
/// <param name="Method">The method of HTTP.</param>
/// <param name="Uri">Without what lets us in.</param>
/// <param name="BytesMax">How many bytes may travel, which decides how long it may take.</param>
sealed record AzureRequest(AzureVerb Verb, string Key, HttpMethod Method, Uri Uri, long BytesMax)
{
    public HttpContent? Content { get; init; }

    /// <summary>Further headers, as name and value.</summary>
    public IReadOnlyList<(string Name, string Value)> Headers { get; init; } = [];
}

/// <summary>
/// Sends requests to the blob service of a storage account: signs them, ends those that take too long, and tells every failure as what it
/// means to the caller of a store. It tries each once.
/// </summary>
sealed class AzureBlobClient(AzureBlobOptions options, HttpMessageInvoker http, TimeProvider time)
{
    /// <summary>Old enough for every cloud and appliance, new enough for all that is used here.</summary>
    const string ServiceVersion = "2021-12-02";

    /// <summary>How long the service may take for a request of no bytes.</summary>
    internal static readonly TimeSpan AnswerMax = TimeSpan.FromSeconds(30);

    /// <summary>What is slower than this (64 KiB/s) is not waited for: a call that hangs must end, whatever trickles.</summary>
    const long BytesPerSecondMin = 64 << 10;

    readonly AzureErrors errors = new(options, time);

    public AzureBlobOptions Options => options;

    public AzureErrors Errors => errors;

    /// <summary>
    /// Sends a request and reads its answer if that is of success, or one that <paramref name="read"/> understands because
    /// <paramref name="isAnswer"/> says so. All that happens counts for the time that the call may take.
    /// </summary>
    public async Task<T> SendAsync<T>(
        AzureRequest request, Func<HttpStatusCode, string?, bool>? isAnswer,
        Func<HttpResponseMessage, CancellationToken, Task<T>> read, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var timeMax = AnswerMax + TimeSpan.FromSeconds(request.BytesMax / (double)BytesPerSecondMin);
        using var late = new CancellationTokenSource(timeMax, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            using var message = await CreateMessageAsync(request, either.Token);
            using var response = await http.SendAsync(message, either.Token);
            if (response.IsSuccessStatusCode || isAnswer?.Invoke(response.StatusCode, AzureErrors.CodeOf(response)) == true)
            {
                return await read(response, either.Token);
            }

            if (response.StatusCode == HttpStatusCode.Unauthorized && options.Credential is AzureCredential.Identity identity)
            {
                identity.Tokens.Forget();
            }

            throw errors.Refused(request, response);
        }
        catch (OperationCanceledException e) when (!cancellationToken.IsCancellationRequested)
        {
            throw errors.TooLate(request, late.IsCancellationRequested ? timeMax : HttpTransport.ConnectMax, e);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            throw errors.Broken(request, e);
        }
    }

    async Task<HttpRequestMessage> CreateMessageAsync(AzureRequest request, CancellationToken cancellationToken)
    {
        var message = new HttpRequestMessage(request.Method, request.Uri) { Content = request.Content };
        foreach (var (name, value) in request.Headers)
        {
            message.Headers.TryAddWithoutValidation(name, value);
        }

        message.Headers.TryAddWithoutValidation("x-ms-version", ServiceVersion);
        message.Headers.TryAddWithoutValidation("x-ms-date", time.GetUtcNow().ToString("R", CultureInfo.InvariantCulture));
        switch (options.Credential)
        {
            case AzureCredential.SharedKey { Key: var key }:
                message.Headers.TryAddWithoutValidation(
                    "Authorization", $"SharedKey {SharedKeySignature.Of(options.Account, key, message)}");
                break;
            case AzureCredential.Sas { Token: var token }:
                var separator = request.Uri.Query.Length > 0 ? '&' : '?';
                message.RequestUri = new($"{request.Uri.AbsoluteUri}{separator}{token}");
                break;
            case AzureCredential.Identity { Tokens: var tokens }:
                message.Headers.TryAddWithoutValidation("Authorization", $"Bearer {await tokens.GetAsync(cancellationToken)}");
                break;
        }

        return message;
    }
}
