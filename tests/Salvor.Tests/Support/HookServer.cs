using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Salvor.Tests.Support;

/// <summary>A request that <see cref="HookServer"/> took.</summary>
sealed record Hook(HttpMessage Message)
{
    /// <summary><c>POST /path</c>.</summary>
    public string Line => Message.FirstLine[..^" HTTP/1.1".Length];

    public string Body => Encoding.UTF8.GetString(Message.Bytes.AsSpan(Message.BodyAt));
}

/// <summary>A service of this machine that takes messages by HTTP, and answers as a test says: with a status, or never.</summary>
sealed class HookServer : IAsyncDisposable
{
    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly CancellationTokenSource stopping = new();
    readonly Task accepting;

    public HookServer(int port = 0)
    {
        listener = new TcpListener(IPAddress.Loopback, port);
        listener.Server.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
        listener.Start();
        accepting = AcceptAsync();
    }

    public int Port => ((IPEndPoint)listener.LocalEndpoint).Port;

    public string Url => $"http://127.0.0.1:{Port}";

    /// <summary>What was asked, in order.</summary>
    public ConcurrentQueue<Hook> Hooks { get; } = [];

    /// <summary>The status, or a negative number for no answer at all.</summary>
    public Func<Hook, int> Answer { get; set; } = _ => 200;

    /// <summary>What is answered.</summary>
    public string Said { get; set; } = "";

    /// <summary>Further lines of the answer's head, each with its end.</summary>
    public string Head { get; set; } = "";

    public Task<Hook> NextAsync(int number = 0) => NextAsync(_ => true, number);

    /// <summary>The request of this kind with this number, when it has come.</summary>
    public async Task<Hook> NextAsync(Func<Hook, bool> isMeant, int number = 0)
    {
        await Eventually.HoldsAsync(
            () => Hooks.Count(isMeant) > number, () => $"{Hooks.Count} requests: {string.Join(", ", Hooks.Select(hook => hook.Line))}");
        return Hooks.Where(isMeant).ElementAt(number);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        listener.Dispose();
        await accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        stopping.Dispose();
    }

    async Task AcceptAsync()
    {
        while (true)
        {
            _ = ServeAsync(await listener.AcceptSocketAsync(stopping.Token));
        }
    }

    async Task ServeAsync(Socket socket)
    {
        using var owned = socket;
        var bytes = new HttpBytes(socket, stopping.Token);
        if (await bytes.ReadAsync(isHead: false) is not { } message)
        {
            return;
        }

        var hook = new Hook(message);
        Hooks.Enqueue(hook);
        var status = Answer(hook);
        if (status < 0)
        {
            await Task.Delay(Timeout.Infinite, stopping.Token);
        }

        var length = Encoding.UTF8.GetByteCount(Said).ToString(CultureInfo.InvariantCulture);
        await bytes.WriteAsync(Encoding.UTF8.GetBytes(
            $"HTTP/1.1 {status} Said\r\n{Head}Connection: close\r\nContent-Length: {length}\r\n\r\n{Said}"));
    }
}
