using System.Buffers.Binary;
using System.Threading.Channels;

namespace Salvor.Storage.Sftp;

/// <summary>An answer: its kind, and its content after the request's number.</summary>
/// <param name="Type">What it is.</param>
/// <param name="Content">Empty where the content went to the buffer that the request came with.</param>
/// <param name="DataBytes">How many bytes went there.</param>
readonly record struct SftpReply(SftpPacketType Type, ReadOnlyMemory<byte> Content, int DataBytes);

/// <summary>
/// Requests and answers over one connection: many calls at a time, each request with a number that its answer has too. What is sent
/// in a row is answered in a row, so a caller may send several requests before it waits for the first.
/// </summary>
sealed class SftpConnection
{
    /// <summary>The longest packet, as OpenSSH has it.</summary>
    public const int PacketBytesMax = 256 * 1024;

    /// <summary>How long a server may be silent while it owes an answer. A flush of a busy disk takes seconds.</summary>
    public static readonly TimeSpan SilenceMax = TimeSpan.FromSeconds(60);

    /// <summary>How long a connection that nobody uses stays open.</summary>
    public static readonly TimeSpan IdleMax = TimeSpan.FromMinutes(5);

    /// <summary>Why such a connection ends.</summary>
    public static readonly SftpEnd Idle = new(
        StorageFailure.Unreachable, "the connection was idle and was closed", "Try again: the next call connects anew.");

    const int ReadAheadBytes = 64 * 1024;
    const int OutgoingMax = 16;
    const uint ProtocolVersion = 3;

    readonly ISftpTransport transport;
    readonly TimeProvider time;
    readonly Stream input;
    readonly ITimer watch;
    readonly Channel<(SftpPacket Packet, uint Number)> outgoing =
        Channel.CreateBounded<(SftpPacket, uint)>(new BoundedChannelOptions(OutgoingMax) { SingleReader = true });

    readonly Lock gate = new();
    readonly Dictionary<uint, Pending> pending = [];
    readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    uint lastNumber;
    long heardAt;
    bool isEnding;
    SftpEnd? end;

    SftpConnection(ISftpTransport transport, Stream input, TimeProvider time)
    {
        (this.transport, this.input, this.time, heardAt) = (transport, input, time, time.GetTimestamp());
        watch = time.CreateTimer(_ => Look(), null, IdleMax, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whether calls can be made.</summary>
    public bool IsAlive
    {
        get
        {
            lock (gate)
            {
                return !isEnding;
            }
        }
    }

    /// <summary>
    /// Greets the server. Returns the connection and the names of the extensions that the server offers. Throws
    /// <see cref="SftpEndedException"/>.
    /// </summary>
    public static async Task<(SftpConnection Connection, IReadOnlySet<string> Extensions)> OpenAsync(
        ISftpTransport transport, TimeProvider time, TimeSpan within)
    {
        var connection = new SftpConnection(transport, new BufferedStream(transport.FromServer, ReadAheadBytes), time);
        using var deadline = new CancellationTokenSource(within, time);
        try
        {
            var extensions = await connection.GreetAsync(deadline.Token);
            _ = connection.SendAllAsync();
            _ = connection.ReceiveAllAsync();
            return (connection, extensions);
        }
        catch (OperationCanceledException)
        {
            throw new SftpEndedException(await connection.EndAsync(Silent(within)));
        }
        catch (IOException e)
        {
            throw new SftpEndedException(await connection.EndAsync(Broken(e)));
        }
    }

    /// <summary>
    /// Sends a request and waits for its answer. Throws <see cref="SftpEndedException"/> where the connection ends first. A caller that is
    /// cancelled no longer waits, and its buffer is no longer written to; the server may still do what was asked.
    /// </summary>
    /// <param name="packet">The request; its bytes are returned.</param>
    /// <param name="data">Where the bytes of a read go; empty for other requests.</param>
    public async Task<SftpReply> CallAsync(SftpPacket packet, Memory<byte> data, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var call = new Pending(data);
        var number = Begin(call);
        try
        {
            await outgoing.Writer.WriteAsync((packet, number), cancellationToken);
        }
        catch (Exception e) when (e is OperationCanceledException or ChannelClosedException)
        {
            Forget(number);
            packet.Return();
            throw e is ChannelClosedException && end is { } known ? new SftpEndedException(known) : e;
        }

        await using var _ = cancellationToken.UnsafeRegister(
            static (state, token) =>
            {
                var (connection, call) = ((SftpConnection, Pending))state!;
                connection.Abandon(call, token);
            },
            (this, call));
        return await call.Answer.Task;
    }

    /// <summary>Sends a request whose answer nobody needs: what does not succeed only leaves something to tidy up.</summary>
    public void Send(SftpPacket packet)
    {
        _ = SendAsync();

        async Task SendAsync()
        {
            try
            {
                await CallAsync(packet, default, CancellationToken.None);
            }
            catch (IOException)
            {
                // The connection is gone, and with it every handle.
            }
        }
    }

    /// <summary>Ends the connection because of an answer that makes no sense.</summary>
    public Task<SftpEnd> BreakAsync(SftpProtocolException e) => EndAsync(Broken(e));

    uint Begin(Pending call)
    {
        lock (gate)
        {
            if (end is not null)
            {
                throw new SftpEndedException(end);
            }

            if (pending.Count == 0)
            {
                heardAt = time.GetTimestamp();
                watch.Change(SilenceMax, Timeout.InfiniteTimeSpan);
            }

            pending.Add(++lastNumber, call);
            return lastNumber;
        }
    }

    void Forget(uint number)
    {
        lock (gate)
        {
            pending.Remove(number);
        }
    }

    /// <summary>The answer will come and finds nobody; the number stays taken until then.</summary>
    void Abandon(Pending call, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            call.IsAbandoned = true;
            call.Answer.TrySetCanceled(cancellationToken);
        }
    }

    async Task SendAllAsync()
    {
        try
        {
            await foreach (var (packet, number) in outgoing.Reader.ReadAllAsync())
            {
                await transport.ToServer.WriteAsync(packet.Seal(number));
                packet.Return();
                if (outgoing.Reader.Count == 0)
                {
                    await transport.ToServer.FlushAsync();
                }
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            await EndAsync(Broken(e));
        }
    }

    async Task ReceiveAllAsync()
    {
        try
        {
            var buffer = new byte[PacketBytesMax];
            while (true)
            {
                Deliver(await ReceiveAsync(buffer, CancellationToken.None));
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            await EndAsync(Broken(e));
        }
    }

    /// <summary>One packet without its length.</summary>
    async Task<ReadOnlyMemory<byte>> ReceiveAsync(byte[] buffer, CancellationToken cancellationToken)
    {
        await input.ReadExactlyAsync(buffer.AsMemory(0, sizeof(uint)), cancellationToken);
        var length = BinaryPrimitives.ReadUInt32BigEndian(buffer);
        if (length is < 1 + sizeof(uint) or > PacketBytesMax)
        {
            throw new SftpProtocolException($"a packet of {length} bytes");
        }

        var packet = buffer.AsMemory(0, (int)length);
        await input.ReadExactlyAsync(packet, cancellationToken);
        return packet;
    }

    void Deliver(ReadOnlyMemory<byte> packet)
    {
        var type = (SftpPacketType)packet.Span[0];
        var number = BinaryPrimitives.ReadUInt32BigEndian(packet.Span[1..]);
        var content = packet[(1 + sizeof(uint))..];
        lock (gate)
        {
            heardAt = time.GetTimestamp();
            if (!pending.TryGetValue(number, out var call))
            {
                throw new SftpProtocolException($"an answer to request {number}, which was not asked");
            }

            if (call.IsAbandoned)
            {
                CloseUnwanted(type, content.Span);
            }
            else if (type == SftpPacketType.Data)
            {
                // Under the lock, so that a caller that gives up meanwhile finds its buffer at rest.
                call.Answer.SetResult(new(type, default, Fill(call.Data.Span, content.Span)));
            }
            else
            {
                call.Answer.SetResult(new(type, content.ToArray(), 0));
            }

            // Last, so that a call whose answer makes no sense is ended with the others.
            pending.Remove(number);
        }
    }

    static int Fill(Span<byte> data, ReadOnlySpan<byte> content)
    {
        var bytes = new SftpPacketReader(content).ReadBytes();
        if (bytes.Length > data.Length)
        {
            throw new SftpProtocolException($"{bytes.Length} bytes where {data.Length} were asked for");
        }

        bytes.CopyTo(data);
        return bytes.Length;
    }

    /// <summary>A file that was opened for a caller who has gone would stay open as long as the connection.</summary>
    void CloseUnwanted(SftpPacketType type, ReadOnlySpan<byte> content)
    {
        if (type == SftpPacketType.Handle)
        {
            Send(SftpPacket.With(SftpPacketType.Close, new SftpPacketReader(content).ReadBytes()));
        }
    }

    /// <summary>Version and extensions; these two packets have no numbers.</summary>
    async Task<IReadOnlySet<string>> GreetAsync(CancellationToken cancellationToken)
    {
        var greeting = new byte[9];
        BinaryPrimitives.WriteUInt32BigEndian(greeting, (uint)greeting.Length - sizeof(uint));
        greeting[4] = (byte)SftpPacketType.Init;
        BinaryPrimitives.WriteUInt32BigEndian(greeting.AsSpan(5), ProtocolVersion);
        await transport.ToServer.WriteAsync(greeting, cancellationToken);
        await transport.ToServer.FlushAsync(cancellationToken);

        var answer = await ReceiveAsync(new byte[PacketBytesMax], cancellationToken);
        var reader = new SftpPacketReader(answer.Span[1..]);
        if ((SftpPacketType)answer.Span[0] != SftpPacketType.Version || reader.ReadUInt32() is var version && version < ProtocolVersion)
        {
            throw new SftpProtocolException("a greeting that is not that of SFTP version 3");
        }

        var extensions = new HashSet<string>(StringComparer.Ordinal);
        while (!reader.IsAtEnd)
        {
            extensions.Add(reader.ReadText());
            reader.ReadBytes();
        }

        return extensions;
    }

    /// <summary>Ends the connection where the server is silent, or nobody has a use for it.</summary>
    void Look()
    {
        SftpEnd noticed;
        lock (gate)
        {
            var rest = (pending.Count > 0 ? SilenceMax : IdleMax) - time.GetElapsedTime(heardAt);
            if (rest > TimeSpan.Zero && !isEnding)
            {
                watch.Change(rest, Timeout.InfiniteTimeSpan);
                return;
            }

            noticed = pending.Count > 0 ? Silent(SilenceMax) : Idle;
        }

        _ = EndAsync(noticed);
    }

    async Task<SftpEnd> EndAsync(SftpEnd noticed)
    {
        bool isFirst;
        lock (gate)
        {
            (isFirst, isEnding) = (!isEnding, true);
        }

        if (!isFirst)
        {
            await ended.Task;
            return end!;
        }

        await watch.DisposeAsync();
        var why = await transport.EndAsync(noticed);
        List<Pending> unanswered;
        lock (gate)
        {
            end = why;
            unanswered = [.. pending.Values];
            pending.Clear();
        }

        outgoing.Writer.TryComplete();
        foreach (var call in unanswered)
        {
            call.Answer.TrySetException(new SftpEndedException(why));
        }

        ended.SetResult();
        return why;
    }

    static SftpEnd Silent(TimeSpan duration) => new(
        StorageFailure.Unreachable,
        $"the server did not answer for {duration.TotalSeconds:0} s",
        "Check that the server and its disk are not overloaded, and the network between.");

    static SftpEnd Broken(Exception e) => e is SftpProtocolException
        ? new(
            StorageFailure.Denied,
            $"what answers there does not speak SFTP: {e.Message}",
            "A start-up file of the login shell there may print something: the shell must be silent where nobody is logged in.")
        : new(StorageFailure.Unreachable, "the connection ended", "Check that the server is running and can be reached.");

    sealed class Pending(Memory<byte> data)
    {
        public Memory<byte> Data => data;

        public TaskCompletionSource<SftpReply> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public bool IsAbandoned { get; set; }
    }
}
