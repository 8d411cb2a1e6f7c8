using System.Net;
using System.Text;

namespace Salvor.Tests.Support;

/// <summary>A service that answers each request as a test says, without a network.</summary>
sealed class AnswerHandler(Func<HttpRequestMessage, CancellationToken, Task<HttpResponseMessage>> answer) : HttpMessageHandler
{
    readonly List<HttpRequestMessage> requests = [];

    public AnswerHandler(Func<HttpRequestMessage, HttpResponseMessage> answer)
        : this((request, _) => Task.FromResult(answer(request)))
    {
    }

    /// <summary>The answers in this order, the last one for all that follow.</summary>
    public AnswerHandler(params HttpResponseMessage[] answers)
        : this(Next(answers))
    {
    }

    /// <summary>What was asked.</summary>
    public IReadOnlyList<HttpRequestMessage> Requests => requests;

    public static HttpResponseMessage Answer(
        HttpStatusCode status, string content = "", params ReadOnlySpan<(string Name, string Value)> headers)
    {
        var response = new HttpResponseMessage(status) { Content = new ByteArrayContent(Encoding.UTF8.GetBytes(content)) };
        foreach (var (name, value) in headers)
        {
            if (!response.Headers.TryAddWithoutValidation(name, value))
            {
                response.Content.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return response;
    }

    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        if (request.RequestUri!.Query == "?versioning")
        {
            // No bucket of these tests keeps versions; nothing they look at is about that.
            return Task.FromResult(Answer(HttpStatusCode.OK, "<VersioningConfiguration/>"));
        }

        lock (requests)
        {
            requests.Add(request);
        }

        return answer(request, cancellationToken);
    }

    static Func<HttpRequestMessage, HttpResponseMessage> Next(HttpResponseMessage[] answers)
    {
        var next = -1;
        return _ => answers[Math.Min(Interlocked.Increment(ref next), answers.Length - 1)];
    }
}
