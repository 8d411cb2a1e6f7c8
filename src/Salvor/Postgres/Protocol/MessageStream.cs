using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Salvor.Postgres.Protocol;

/// <summary>A message of the server: what it is, and its content up to the next read.</summary>
readonly record struct ServerMessage(byte Type, ReadOnlyMemory<byte> Body);

/// <summary>
/// Messages in both directions. A read that is cancelled or that waits no longer loses nothing: the next one goes on where it was. One
/// reader and one writer may work at the same time.
/// </summary>
sealed class MessageStream(Stream stream, string place, TimeProvider time) : IAsyncDisposable
{
    /// <summary>A history of timelines is the longest that comes; pieces of log have at most 1 MiB.</summary>
    public const int MessageBytesMax = 16 << 20;

    const int HeaderBytes = 5;
    const int BufferBytesMin = 256 << 10;

    readonly SemaphoreSlim writing = new(1);
    byte[] buffer = new byte[BufferBytesMin];
    int from;
    int to;
    Task<int>? fill;

    /// <summary>Whether a whole message is here: it is read without waiting.</summary>
    public bool HasMessage => to - from >= HeaderBytes && to - from >= 1 + LengthAt(from);

    /// <summary>The next message. Throws <see cref="TimeoutException"/> where none comes within this time; null waits for ever.</summary>
    public async ValueTask<ServerMessage> ReadAsync(TimeSpan? within, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        while (true)
        {
            if (to - from >= HeaderBytes)
            {
                var length = LengthAt(from);
                if (length is < 4 or > MessageBytesMax)
                {
                    throw PostgresErrors.Garbled(place, $"it announces a message of {(uint)length} bytes");
                }

                if (to - from > length)
                {
                    var message = new ServerMessage(buffer[from], buffer.AsMemory(from + HeaderBytes, length - 4));
                    from += 1 + length;
                    return message;
                }
            }

            await FillAsync(within, cancellationToken);
        }
    }

    /// <summary>Sends a message with this content.</summary>
    /// <param name="type">What it is; 0 for the first one, which has no type.</param>
    /// <param name="body">Its content.</param>
    /// <param name="cancellationToken">Ends the wait before it is begun to be sent.</param>
    public async Task WriteAsync(byte type, ReadOnlyMemory<byte> body, CancellationToken cancellationToken)
    {
        var header = type == 0 ? 4 : HeaderBytes;
        var bytes = ArrayPool<byte>.Shared.Rent(header + body.Length);
        await writing.WaitAsync(cancellationToken);
        try
        {
            bytes[0] = type;
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(header - 4), 4 + body.Length);
            body.CopyTo(bytes.AsMemory(header));

            // Half a message would garble all that follow, so it is not cancelled; a connection that is closed ends it.
            await stream.WriteAsync(bytes.AsMemory(0, header + body.Length), CancellationToken.None);
            await stream.FlushAsync(CancellationToken.None);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            throw PostgresErrors.Lost(place, e.Message, e);
        }
        finally
        {
            writing.Release();
            bytes.AsSpan(0, header + body.Length).Clear();
            ArrayPool<byte>.Shared.Return(bytes);
        }
    }

    /// <summary>Sends a text with a zero behind it.</summary>
    public Task WriteTextAsync(byte type, string text, CancellationToken cancellationToken) =>
        WriteAsync(type, Encoding.UTF8.GetBytes(text + '\0'), cancellationToken);

    public async ValueTask DisposeAsync()
    {
        await stream.DisposeAsync();
        if (fill is not null)
        {
            await ((Task)fill).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        writing.Dispose();
    }

    int LengthAt(int at) => BinaryPrimitives.ReadInt32BigEndian(buffer.AsSpan(at + 1));

    async Task FillAsync(TimeSpan? within, CancellationToken cancellationToken)
    {
        fill ??= BeginFill();
        try
        {
            var count = fill.IsCompleted
                ? await fill
                : await fill.WaitAsync(within ?? Timeout.InfiniteTimeSpan, time, cancellationToken);
            fill = null;
            to += count > 0 ? count : throw PostgresErrors.Lost(place, "the server closed it");
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            fill = null;
            throw PostgresErrors.Lost(place, e.Message, e);
        }
    }

    /// <summary>Never while one is going on, because it moves what is in the buffer.</summary>
    Task<int> BeginFill()
    {
        var needed = to - from >= HeaderBytes ? 1 + LengthAt(from) : HeaderBytes;
        if (from == to)
        {
            (from, to) = (0, 0);
        }

        if (buffer.Length - from < needed || to == buffer.Length)
        {
            var target = buffer.Length < needed ? new byte[needed] : buffer;
            buffer.AsSpan(from, to - from).CopyTo(target);
            (buffer, from, to) = (target, 0, to - from);
        }

        return stream.ReadAsync(buffer.AsMemory(to)).AsTask();
    }
}
