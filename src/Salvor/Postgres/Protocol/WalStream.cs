using System.Buffers.Binary;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Protocol;

/// <summary>A piece of the log.</summary>
/// <param name="Start">The address of its first byte; the piece before ended there.</param>
/// <param name="Bytes">At least one, valid up to the next read.</param>
/// <param name="ServerEnd">Up to where the server has log: more may be on its way.</param>
/// <param name="SentAt">When it was sent, by the server's clock.</param>
public readonly record struct WalPiece(Lsn Start, ReadOnlyMemory<byte> Bytes, Lsn ServerEnd, DateTimeOffset SentAt)
{
    /// <summary>The address behind it.</summary>
    public Lsn End => Start + Bytes.Length;
}

/// <summary>Where a timeline ends on this server, and what goes on there.</summary>
/// <param name="NextTimeline">The one after it: not always the next number.</param>
/// <param name="SwitchPoint">The first address that is in the next.</param>
public sealed record TimelineEnd(uint NextTimeline, Lsn SwitchPoint);

/// <summary>
/// The log of one timeline, as the server writes it. Questions of the server are answered during reads, so one must be going on nearly
/// always; silence is answered by a question of our own, and longer silence counts as a loss. A read that is cancelled loses nothing.
/// </summary>
public sealed class WalStream
{
    const int StatusBytes = 34;

    /// <summary>A thousand years: what is further away is no time.</summary>
    const long MicrosMax = 1000L * 365 * 86_400 * 1_000_000;

    /// <summary>Midnight of 2000-01-01, in which the server counts microseconds.</summary>
    static readonly DateTimeOffset Epoch = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    readonly PostgresConnection connection;
    Lsn next;
    Lsn written;
    Lsn flushed;
    bool hasAsked;
    bool isEnding;
    PostgresRows? ending;

    WalStream(PostgresConnection connection) => this.connection = connection;

    public static readonly TimeSpan SilenceMaxDefault = TimeSpan.FromSeconds(60);

    /// <summary>How long a server may be silent: after half of it, it is asked.</summary>
    public TimeSpan SilenceMax { get; set; } = SilenceMaxDefault;

    /// <summary>Up to where the server has log, as far as it told.</summary>
    public Lsn ServerEnd { get; private set; }

    /// <summary>Set where a read returned nothing: the connection takes commands again.</summary>
    public TimelineEnd? End { get; private set; }

    /// <summary>Whether the next read has something at once: a good moment to flush is when it has not.</summary>
    public bool HasMore => connection.Messages.HasMessage;

    internal static async Task<WalStream> BeginAsync(PostgresConnection connection, string command, CancellationToken cancellationToken)
    {
        var reader = new WalStream(connection);
        await connection.Messages.WriteTextAsync((byte)'Q', command, cancellationToken);
        var message = await connection.FirstAsync(cancellationToken);
        if (message.Type == (byte)'T')
        {
            // Exactly where a timeline ends there is nothing to stream: the answer comes at once.
            reader.ending = new PostgresRows(connection, message.Body.Span);
            await reader.ReadEndAsync(cancellationToken);
        }
        else if (message.Type != (byte)'W')
        {
            throw connection.Unexpected(message.Type, "the start of the log");
        }

        return reader;
    }

    /// <summary>
    /// The next piece; null where the timeline ended: <see cref="End"/> says what follows. Waits for as long as the server lives.
    /// </summary>
    public async ValueTask<WalPiece?> ReadAsync(CancellationToken cancellationToken)
    {
        while (End is null)
        {
            if (isEnding)
            {
                await ReadEndAsync(cancellationToken);
                break;
            }

            ServerMessage message;
            try
            {
                message = await connection.NextAsync(cancellationToken, SilenceMax / 2);
                hasAsked = false;
            }
            catch (TimeoutException)
            {
                await AskAsync(cancellationToken);
                continue;
            }

            switch (message.Type)
            {
                case (byte)'d' when message.Body.Span is [(byte)'w', ..]:
                    if (PieceOf(message.Body) is { Bytes.Length: > 0 } piece)
                    {
                        return piece;
                    }

                    break;
                case (byte)'d' when message.Body.Span is [(byte)'k', ..]:
                    if (WantsAnswer(message.Body.Span))
                    {
                        await SendAsync(wantsAnswer: false, cancellationToken);
                    }

                    break;
                case (byte)'c':
                    // Before the answer: a read that is cancelled meanwhile must not forget that the timeline is over.
                    isEnding = true;
                    await connection.Messages.WriteAsync((byte)'c', default, CancellationToken.None);
                    break;
                case (byte)'C':
                    throw new PostgresException(
                        FailureKind.SourceUnreadable, $"server {connection.Host} shuts down",
                        "Start the server again; what was not received is sent then.", SqlStates.ShuttingDown);
                default:
                    throw connection.Unexpected(message.Type, "the log");
            }
        }

        return null;
    }

    /// <summary>
    /// Tells the server what is safe: it may remove what lies before <paramref name="flushedUpTo"/>, and lets those commit who wait for us.
    /// </summary>
    /// <param name="writtenUpTo">Up to where the log was received.</param>
    /// <param name="flushedUpTo">Up to where it is durable. Never more than that: a server believes it.</param>
    /// <param name="cancellationToken">Ends it before it is begun.</param>
    public async Task ReportAsync(Lsn writtenUpTo, Lsn flushedUpTo, CancellationToken cancellationToken)
    {
        Invariant.Check(flushedUpTo <= writtenUpTo);
        (written, flushed) = (writtenUpTo, flushedUpTo);
        await SendAsync(wantsAnswer: false, cancellationToken);
    }

    /// <summary>Ends the stream: what is on its way is read and dropped, then the connection takes commands again.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (End is not null)
        {
            return;
        }

        await connection.Messages.WriteAsync((byte)'c', default, cancellationToken);
        await connection.ReadyAsync(cancellationToken);
    }

    WalPiece PieceOf(ReadOnlyMemory<byte> message)
    {
        var body = new MessageBody($"{connection.Host}", message.Span[1..]);
        var (start, end, sent) = (body.Lsn(), body.Lsn(), body.I64());
        if (next != Lsn.None && start != next)
        {
            throw connection.Garbled($"its log goes on at {start} behind {next}");
        }

        // The end that it names is where it had read to, and what it sends may go further.
        var piece = new WalPiece(start, message[^body.Rest.Length..], end, TimeOf(sent));
        next = piece.End;
        ServerEnd = new Lsn(Math.Max(ServerEnd.Value, Math.Max(end.Value, next.Value)));
        return piece;
    }

    bool WantsAnswer(ReadOnlySpan<byte> message)
    {
        var body = new MessageBody($"{connection.Host}", message[1..]);
        ServerEnd = new Lsn(Math.Max(ServerEnd.Value, body.Lsn().Value));
        body.I64();
        return body.U8() == 1;
    }

    /// <summary>After the first half of the silence.</summary>
    async Task AskAsync(CancellationToken cancellationToken)
    {
        if (hasAsked)
        {
            throw PostgresErrors.Lost($"{connection.Host}", $"the server was silent for {SilenceMax.TotalSeconds:0} s");
        }

        hasAsked = true;
        await SendAsync(wantsAnswer: true, cancellationToken);
    }

    Task SendAsync(bool wantsAnswer, CancellationToken cancellationToken)
    {
        var body = new byte[StatusBytes];
        body[0] = (byte)'r';
        BinaryPrimitives.WriteUInt64BigEndian(body.AsSpan(1), written.Value);
        BinaryPrimitives.WriteUInt64BigEndian(body.AsSpan(9), flushed.Value);

        // Nothing is ever applied here: whoever waits for that must not wait for us.
        BinaryPrimitives.WriteUInt64BigEndian(body.AsSpan(17), Lsn.None.Value);
        BinaryPrimitives.WriteInt64BigEndian(body.AsSpan(25), (connection.Time.GetUtcNow() - Epoch).Ticks / TimeSpan.TicksPerMicrosecond);
        body[33] = wantsAnswer ? (byte)1 : (byte)0;
        return connection.Messages.WriteAsync((byte)'d', body, cancellationToken);
    }

    /// <summary>The next timeline, and the switch point.</summary>
    async Task ReadEndAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var message = await connection.NextAsync(cancellationToken);
            switch (message.Type)
            {
                case (byte)'T' when ending is null:
                    ending = new PostgresRows(connection, message.Body.Span);
                    break;
                case (byte)'D' when ending is not null:
                    ending.Add(message.Body.Span);
                    break;
                case (byte)'C':
                    break;
                case (byte)'Z':
                    End = ending?.NumberAt(0, 0) is { } timeline && ending.LsnAt(0, 1) is { } point
                        ? new TimelineEnd(timeline, point)
                        : throw connection.Garbled("it ends the log without saying what follows");
                    return;
                default:
                    throw connection.Unexpected(message.Type, "the end of the log");
            }
        }
    }

    static DateTimeOffset TimeOf(long micros) =>
        Epoch.AddTicks(Math.Clamp(micros, 0, MicrosMax) * TimeSpan.TicksPerMicrosecond);
}
