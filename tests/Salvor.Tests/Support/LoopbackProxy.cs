using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Salvor.Tests.Support;

/// <summary>What a proxy does to an exchange instead of passing it on unchanged.</summary>
abstract record ProxyFault
{
    /// <summary>Answers itself; the server sees nothing.</summary>
    public sealed record Answer(string Status, string[] Headers, string Body = "") : ProxyFault;

    /// <summary>The server does it, and nobody hears of it: the connection is reset instead of answered.</summary>
    public sealed record LoseAnswer : ProxyFault;

    /// <summary>The connection is reset before anything is passed on.</summary>
    public sealed record Reset : ProxyFault;

    /// <summary>Ends the connection after so many bytes of the body of the answer, by a reset or as if all were well.</summary>
    public sealed record CutBody(int AfterBytes, bool IsReset) : ProxyFault;

    /// <summary>Replaces a header of the answer.</summary>
    public sealed record SetHeader(string Name, string Value) : ProxyFault;

    /// <summary>Replaces a text in the answer, head and body, without looking at lengths.</summary>
    public sealed record Rewrite(string From, string To) : ProxyFault;

    /// <summary>Turns a bit of the body of the request, at this place.</summary>
    public sealed record FlipRequestBit(int AtByte) : ProxyFault;

    /// <summary>Passes the answer on so many bytes at a time, with pauses.</summary>
    public sealed record Drip(int Bytes, TimeSpan Pause) : ProxyFault;

    /// <summary>Answers as the server answered the same request the last time, whatever happened since.</summary>
    public sealed record Stale : ProxyFault;

    /// <summary>Nothing goes wrong.</summary>
    public sealed record Pass : ProxyFault;

    /// <summary>Takes the request and never answers.</summary>
    public sealed record Silence : ProxyFault;
}

/// <summary>
/// A proxy on loopback for any protocol over HTTP/1.1 without encryption: bytes go in and come out as they are, except where a rule wants a
/// fault. It knows nothing of what the bytes mean beyond where a message ends.
/// </summary>
sealed class LoopbackProxy : IAsyncDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly IPEndPoint server;
    readonly CancellationTokenSource ended = new();
    readonly Lock gate = new();
    readonly List<Rule> rules = [];
    readonly ConcurrentQueue<string> requests = new();
    readonly ConcurrentDictionary<string, HttpMessage> lastAnswers = new();
    readonly ConcurrentDictionary<Task, bool> serving = new();
    readonly Task accepting;

    public LoopbackProxy(IPEndPoint server)
    {
        this.server = server;
        listener.Start();
        accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    /// <summary>What passes the next answers on later than they came, as a long way would.</summary>
    public TimeSpan Latency { get; set; }

    /// <summary>The first line of every request so far, without the version.</summary>
    public IReadOnlyCollection<string> Requests => requests;

    /// <summary>
    /// From now on, does this to the next requests whose first line begins with one text and has the other in it. Of several rules the one
    /// that was added first acts.
    /// </summary>
    public void Add(ProxyFault fault, string method = "", string part = "", int times = 1)
    {
        lock (gate)
        {
            rules.Add(new(fault, method, part) { Left = times });
        }
    }

    /// <summary>How many faults were asked for and did not happen yet.</summary>
    public int Waiting
    {
        get
        {
            lock (gate)
            {
                return rules.Sum(rule => rule.Left);
            }
        }
    }

    /// <summary>Forgets all rules.</summary>
    public void Clear()
    {
        lock (gate)
        {
            rules.Clear();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await ended.CancelAsync();
        listener.Stop();
        await accepting;
        await Task.WhenAll(serving.Keys);
        ended.Dispose();
    }

    sealed record Rule(ProxyFault Fault, string Method, string Part)
    {
        public int Left { get; set; }
    }

    ProxyFault? FaultFor(string line)
    {
        lock (gate)
        {
            var rule = rules.Find(rule => rule.Left > 0
                && line.StartsWith(rule.Method, StringComparison.Ordinal) && line.Contains(rule.Part, StringComparison.Ordinal));
            if (rule is not null)
            {
                rule.Left--;
            }

            return rule?.Fault;
        }
    }

    async Task AcceptAsync()
    {
        while (!ended.IsCancellationRequested)
        {
            try
            {
                var client = await listener.AcceptSocketAsync(ended.Token);
                var task = ServeAsync(client);
                serving[task] = true;
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
            {
                // The end of the test, or a client that is gone before it was greeted.
            }
        }
    }

    async Task ServeAsync(Socket client)
    {
        using var upstream = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        using (client)
        {
            client.NoDelay = true;
            try
            {
                await upstream.ConnectAsync(server, ended.Token);
                var (near, far) = (new HttpBytes(client, ended.Token), new HttpBytes(upstream, ended.Token));
                while (await near.ReadAsync(isHead: false) is { } request && await ExchangeAsync(request, near, far))
                {
                    // Until one of the three ends it.
                }
            }
            catch (Exception e) when (e is OperationCanceledException or SocketException or IOException)
            {
                // Whoever is left sees its connection end.
            }
        }
    }

    /// <summary>False where the connection ends with this exchange.</summary>
    async Task<bool> ExchangeAsync(HttpMessage request, HttpBytes near, HttpBytes far)
    {
        var line = request.FirstLine[..request.FirstLine.LastIndexOf(' ')];
        requests.Enqueue(line);
        var fault = FaultFor(line);
        switch (fault)
        {
            case ProxyFault.Silence:
                await Task.Delay(Timeout.Infinite, ended.Token);
                return false;
            case ProxyFault.Reset:
                near.Reset();
                return false;
            case ProxyFault.Answer answer:
                await near.WriteAsync(Encoding.ASCII.GetBytes(TextOf(answer, hasBody: !IsHead(line))));
                return true;
            case ProxyFault.Stale when lastAnswers.TryGetValue(line, out var last):
                await near.WriteAsync(last.Bytes);
                return true;
            case ProxyFault.FlipRequestBit flip:
                request.Bytes[request.BodyAt + flip.AtByte] ^= 1;
                break;
        }

        await far.WriteAsync(request.Bytes);
        var response = await AnswerAsync(line, far);
        if (line.StartsWith("GET ", StringComparison.Ordinal))
        {
            lastAnswers[line] = response;
        }

        await Task.Delay(Latency, ended.Token);
        return await PassOnAsync(response, fault, near);
    }

    /// <summary>What the server says first, that it goes on reading, is no answer.</summary>
    static async Task<HttpMessage> AnswerAsync(string line, HttpBytes far)
    {
        while (true)
        {
            var response = await far.ReadAsync(IsHead(line)) ?? throw new IOException("no answer");
            if (!response.FirstLine.StartsWith("HTTP/1.1 100", StringComparison.Ordinal))
            {
                return response;
            }
        }
    }

    static bool IsHead(string line) => line.StartsWith("HEAD ", StringComparison.Ordinal);

    async Task<bool> PassOnAsync(HttpMessage response, ProxyFault? fault, HttpBytes near)
    {
        switch (fault)
        {
            case ProxyFault.LoseAnswer:
                near.Reset();
                return false;
            case ProxyFault.CutBody cut:
                await near.WriteAsync(response.Bytes.AsMemory(0, Math.Min(response.Bytes.Length, response.BodyAt + cut.AfterBytes)));
                if (cut.IsReset)
                {
                    // What was sent must arrive before the reset overtakes it.
                    await Task.Delay(50, ended.Token);
                    near.Reset();
                }

                return false;
            case ProxyFault.SetHeader header:
                await near.WriteAsync(response.WithHeader(header.Name, header.Value));
                return true;
            case ProxyFault.Rewrite rewrite:
                var text = Encoding.Latin1.GetString(response.Bytes).Replace(rewrite.From, rewrite.To, StringComparison.Ordinal);
                await near.WriteAsync(Encoding.Latin1.GetBytes(text));
                return true;
            case ProxyFault.Drip drip:
                for (var at = 0; at < response.Bytes.Length; at += drip.Bytes)
                {
                    await near.WriteAsync(response.Bytes.AsMemory(at, Math.Min(drip.Bytes, response.Bytes.Length - at)));
                    await Task.Delay(drip.Pause, ended.Token);
                }

                return true;
            default:
                await near.WriteAsync(response.Bytes);
                return true;
        }
    }

    static string TextOf(ProxyFault.Answer answer, bool hasBody) => string.Concat(
        $"HTTP/1.1 {answer.Status}\r\n", string.Concat(answer.Headers.Select(header => $"{header}\r\n")),
        $"Content-Length: {answer.Body.Length}\r\n\r\n", hasBody ? answer.Body : "");
}
