using System.Net.Sockets;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;
using Salvor.Platform;

namespace Salvor.Jobs;

/// <summary>What another process asks of a running daemon.</summary>
/// <param name="Verb">sync, backup, pause or resume.</param>
/// <param name="Path">The database that it is about.</param>
public sealed record ControlRequest(string Verb, string Path)
{
    /// <summary>The label of a backup.</summary>
    public string Label { get; init; } = "";

    /// <summary>What a backup is called.</summary>
    public string Mode { get; init; } = "";

    /// <summary>For how many days a backup stays; null where that was not said.</summary>
    public int? RetentionDays { get; init; }

    /// <summary>How what a backup stores is compressed; null for the way of its source.</summary>
    public string? Compression { get; init; }
}

/// <summary>The answer: a position, or an error as it would have been printed.</summary>
public sealed record ControlResponse
{
    public bool Ok { get; init; }

    public ulong Position { get; init; }

    public string Source { get; init; } = "";

    /// <summary>The backup that was made.</summary>
    public Vault.BackupRecord? Backup { get; init; }

    public FailureKind Kind { get; init; }

    public string Message { get; init; } = "";

    public string Hint { get; init; } = "";
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(ControlRequest))]
[JsonSerializable(typeof(ControlResponse))]
sealed partial class ControlJson : JsonSerializerContext;

/// <summary>
/// A Unix socket that only the same user can reach: one line of JSON asks, one answers. Its path is in the lock file of each database, so
/// nobody has to be told where it is.
/// </summary>
sealed class ControlServer : IAsyncDisposable
{
    const int RequestBytesMax = 16 << 10;
    const int BacklogMax = 64;
    static readonly TimeSpan AcceptRetry = TimeSpan.FromMilliseconds(100);

    /// <summary>Between being made and being listened to, a socket looks like one that was left.</summary>
    static readonly TimeSpan LeftoverAge = TimeSpan.FromMinutes(1);

    static int chosen;

    readonly Socket listener = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    readonly CancellationTokenSource stopping = new();
    readonly Func<ControlRequest, CancellationToken, Task<ControlResponse>> handler;
    readonly ILogger logger;
    readonly Task accepting;

    public ControlServer(string path, Func<ControlRequest, CancellationToken, Task<ControlResponse>> handler, ILogger logger)
    {
        (Path, this.handler, this.logger) = (path, handler, logger);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        listener.Listen(BacklogMax);
        accepting = AcceptAsync();
    }

    public string Path { get; }

    /// <summary>
    /// A path for this process's socket, in a folder that only this user can enter: the one that systemd made for the service, or one of
    /// ours. Short, because sockets need that. The folder may be shared with containers, where the same process id is another process.
    /// </summary>
    public static string ChoosePath(DateTimeOffset now)
    {
        var folder = Environment.GetEnvironmentVariable("RUNTIME_DIRECTORY") is { Length: > 0 } given && !given.Contains(':')
            ? given
            : System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"salvor-{Environment.UserName}");
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        ExpectOwn(folder);
        foreach (var socket in Directory.EnumerateFiles(folder, "*.sock").Where(path => IsLeftover(path, now)))
        {
            File.Delete(socket);
        }

        var number = Interlocked.Increment(ref chosen);
        return System.IO.Path.Combine(folder, $"{Environment.ProcessId}-{now.ToUnixTimeMilliseconds():x}-{number}.sock");
    }

    /// <summary>
    /// Whether a killed daemon left this socket: nobody listens, and not because its owner is about to. Who lives cannot be told from the
    /// process id, which may be of another container.
    /// </summary>
    static bool IsLeftover(string path, DateTimeOffset now)
    {
        if (now - File.GetLastWriteTimeUtc(path) < LeftoverAge)
        {
            return false;
        }

        using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return false;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.ConnectionRefused;
        }
    }

    /// <summary>Whoever owns the folder can put a socket of his own into it, and answer that commits are durable.</summary>
    static void ExpectOwn(string folder)
    {
        const uint WritableByOthers = 0x12;
        if (FileStat.Of(folder, followLinks: false) is { Kind: FileKind.Directory } stat
            && stat.UserId == Posix.EffectiveUserId()
            && (stat.Permissions & WritableByOthers) == 0)
        {
            return;
        }

        throw new SalvorException(
            FailureKind.Failure,
            $"{folder} belongs to somebody else, or others may write to it",
            $"Look at it with 'ls -ld {folder}' and remove it: it is made anew. Or name another place by the variable TMPDIR.");
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        listener.Dispose();
        await accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        File.Delete(Path);
        stopping.Dispose();
    }

    async Task AcceptAsync()
    {
        while (true)
        {
            try
            {
                _ = ServeAsync(await listener.AcceptAsync(stopping.Token));
            }
            catch (SocketException) when (!stopping.IsCancellationRequested)
            {
                // Too many open files, or a client that gave up: whoever asks next must still be answered.
                await Task.Delay(AcceptRetry, stopping.Token);
            }
        }
    }

    async Task ServeAsync(Socket client)
    {
        try
        {
            using var stream = new NetworkStream(client, ownsSocket: true);
            using var reader = new StreamReader(stream);
            if (await ReadLineAsync(reader) is { } line
                && JsonSerializer.Deserialize(line, ControlJson.Default.ControlRequest) is { } request)
            {
                var response = await AnswerAsync(request);
                await JsonSerializer.SerializeAsync(stream, response, ControlJson.Default.ControlResponse, stopping.Token);
                await stream.WriteAsync("\n"u8.ToArray(), stopping.Token);
            }
        }
        catch (Exception e) when (
            e is IOException or JsonException or OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // Whoever asked went away, or asked nonsense; there is nobody to tell.
            client.Dispose();
        }
    }

    async Task<string?> ReadLineAsync(StreamReader reader)
    {
        var buffer = new char[RequestBytesMax];
        var length = 0;
        while (length < buffer.Length)
        {
            var read = await reader.ReadAsync(buffer.AsMemory(length), stopping.Token);
            var end = Array.IndexOf(buffer, '\n', length, read);
            if (end >= 0)
            {
                return new string(buffer, 0, end);
            }

            if (read == 0)
            {
                return null;
            }

            length += read;
        }

        return null;
    }

    async Task<ControlResponse> AnswerAsync(ControlRequest request)
    {
        try
        {
            return await handler(request, stopping.Token);
        }
        catch (SalvorException e)
        {
            return new ControlResponse { Kind = e.Kind, Message = e.Message, Hint = e.Hint };
        }
        catch (Exception e) when (!stopping.IsCancellationRequested)
        {
            logger.RequestFailed(e, request.Verb, request.Path);
            return new ControlResponse
            {
                Kind = FailureKind.Failure,
                Message = $"the daemon met an error that nobody expected: {e.Message}",
                Hint = "It goes on with everything else. Please report this with its log.",
            };
        }
    }
}

/// <summary>Asks a running daemon.</summary>
static class ControlClient
{
    /// <summary>
    /// The answer of the process behind the socket. Throws what it answered, or <see cref="FailureKind.Failure"/> where it is gone.
    /// </summary>
    public static async Task<ControlResponse> AskAsync(string socketPath, ControlRequest request, CancellationToken cancellationToken)
    {
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(socketPath), cancellationToken);
            using var stream = new NetworkStream(socket);
            var line = JsonSerializer.Serialize(request, ControlJson.Default.ControlRequest) + "\n";
            await stream.WriteAsync(System.Text.Encoding.UTF8.GetBytes(line), cancellationToken);
            using var reader = new StreamReader(stream);
            var answer = await reader.ReadLineAsync(cancellationToken);
            var response = answer is null ? null : JsonSerializer.Deserialize(answer, ControlJson.Default.ControlResponse);
            return response switch
            {
                null => throw Gone(socketPath, inner: null),
                { Ok: true } => response,
                _ => throw new SalvorException(response.Kind, response.Message, response.Hint),
            };
        }
        catch (Exception e) when (e is SocketException or IOException or JsonException)
        {
            throw Gone(socketPath, e);
        }
    }

    static SalvorException Gone(string socketPath, Exception? inner) => new(
        FailureKind.Failure,
        $"the daemon behind {socketPath} did not answer",
        "Run 'salvor status' to see whether it still runs.",
        inner);
}
