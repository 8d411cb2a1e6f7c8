using System.Globalization;
using System.Text.RegularExpressions;
using Salvor.Postgres.Protocol;
using Salvor.Vault.Wal;

namespace Salvor.Postgres;

/// <summary>How a server is followed.</summary>
public sealed record WalReceiverOptions
{
    /// <summary>The server. Its application name is the one that <c>synchronous_standby_names</c> may list.</summary>
    public required PostgresSettings Server { get; init; }

    /// <summary>Where the log is kept until it is in the vault.</summary>
    public required string Folder { get; init; }

    /// <summary>The replication slot, which is made where it is absent, and stays.</summary>
    public string Slot { get; init; } = "salvor";

    /// <summary>How long what was received may wait for the disk. What is not there is not confirmed.</summary>
    public TimeSpan FlushEvery { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>How often what is new is published.</summary>
    public TimeSpan PublishEvery { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>How long it waits before it connects again.</summary>
    public TimeSpan RetryEvery { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>
    /// How much may wait on the disk. At that nothing more is received, and the server keeps its log. What is published too stays until its
    /// block is complete, so less than a few blocks or segments does not count.
    /// </summary>
    public long SpoolBytesMax { get; init; } = 8L << 30;
}

/// <summary>
/// Follows a server: its log comes over a replication connection to the local disk, and is confirmed when it is durable there. Timelines
/// are followed as the server says, each after its history. Nothing of that waits for a vault; <see cref="WalPublishing"/> goes on beside.
/// </summary>
/// <param name="options">How.</param>
/// <param name="vaultEnds">
/// The timelines of the vault and up to where they are whole from the slot's address on, for a start without a spool; none where they
/// are not known.
/// </param>
/// <param name="time">The clock.</param>
public sealed partial class WalReceiver(
    WalReceiverOptions options, Func<Lsn, CancellationToken, Task<IReadOnlyList<(uint Timeline, Lsn End)>>> vaultEnds, TimeProvider time)
    : IDisposable
{
    /// <summary>From this version on a slot that is invalid may still say from where on it keeps the log.</summary>
    const int VersionOfIdleTimeout = 180000;

    bool isSlotInvalid;
    bool isFull;

    /// <summary>What an operator has to know: gaps, a slot that was lost, a full disk, connections.</summary>
    public Action<WalNotice>? Told { get; init; }

    /// <summary>The local copy; null before the first connection, where nothing was left of an earlier run.</summary>
    public WalSpool? Spool { get; private set; } = WalSpool.Find(options.Folder);

    /// <summary>Up to where the server has log, as far as it told on this connection.</summary>
    public Lsn ServerEnd { get; private set; }

    /// <summary>Whether the server sends its log now.</summary>
    public bool IsConnected { get; private set; }

    /// <summary>The timeline that was received last; 0 before the first.</summary>
    public uint Timeline { get; private set; }

    /// <summary>Whether commits wait for this receiver, as the server was set when it was connected to.</summary>
    public bool IsSynchronous { get; private set; }

    /// <summary>
    /// Whether the server was a standby when it was connected to, as far as that is told: to it, no more than to a server that only reads.
    /// </summary>
    public bool IsStandby { get; private set; }

    /// <summary>Follows the server until it is cancelled. Throws what does not pass by itself.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                await FollowAsync(cancellationToken);
            }
            catch (PostgresException e) when (
                e.IsConnectionLoss || isSlotInvalid || e.SqlState is SqlStates.Removed or SqlStates.InUse)
            {
                Told?.Invoke(new(isFull ? WalNoticeKind.SpoolFull : WalNoticeKind.ServerLost, e.Message, e.Hint));
            }
            finally
            {
                (IsConnected, isFull, ServerEnd) = (false, false, Lsn.None);
            }

            Spool?.Flush();
            await Task.Delay(options.RetryEvery, time, cancellationToken);
        }
    }

    public void Dispose() => Spool?.Dispose();

    /// <summary>Whether <c>synchronous_standby_names</c> has the application name of these settings.</summary>
    internal static bool IsNamedBy(string names, PostgresSettings server) => NamePattern().Matches(names).Any(match =>
        match.Value == "*" || match.Value.Equals(server.ApplicationName, StringComparison.OrdinalIgnoreCase));

    async Task FollowAsync(CancellationToken cancellationToken)
    {
        await using var connection = await ReplicationConnection.OpenAsync(options.Server, time, cancellationToken);
        var server = await connection.IdentifyAsync(cancellationToken);
        OpenSpool(await ShapeAsync(connection, server, cancellationToken));
        ExpectRoom();
        await LookForWaitingAsync(connection.Connection, cancellationToken);
        var kept = await SlotAsync(connection, cancellationToken);
        var path = new ServerPath(await KeepHistoryAsync(connection, server.Timeline, cancellationToken), server.Flushed);
        var slot = (Timeline: path.TimelineAt(kept), At: kept.Floor(Spool!.Shape.SegmentBytes));
        var (timeline, at) = path.Continue([.. Ends(), .. await vaultEnds(kept, cancellationToken)]) ?? slot;
        while (true)
        {
            ExpectRoom();
            var start = at.Floor(Spool.Shape.SegmentBytes);
            Spool.Begin(timeline, start);
            var end = await ReceiveAsync(connection, timeline, start, slot, cancellationToken);
            if (end.NextTimeline > server.Timeline)
            {
                // It was promoted meanwhile.
                path = new ServerPath(await KeepHistoryAsync(connection, end.NextTimeline, cancellationToken), end.SwitchPoint);
                await LookForWaitingAsync(connection.Connection, cancellationToken);
            }

            (timeline, at) = (end.NextTimeline, path.Clamp(end.NextTimeline, end.SwitchPoint));
        }
    }

    /// <summary>Commits wait for those who receive from the server on which they are made, and never for those of a standby.</summary>
    async Task LookForWaitingAsync(PostgresConnection connection, CancellationToken cancellationToken)
    {
        var names = await connection.ShowAsync("synchronous_standby_names", cancellationToken);
        IsSynchronous = IsNamedBy(names, options.Server) && connection.Parameters.GetValueOrDefault("in_hot_standby") != "on";

        // Before version 14 the server does not report whether it is in recovery.
        IsStandby = await connection.ShowAsync("transaction_read_only", cancellationToken) == "on";
    }

    /// <summary>Up to where each timeline is on the disk.</summary>
    IEnumerable<(uint Timeline, Lsn End)> Ends() => Spool!.Segments.Select(item => (item.Segment.Timeline, item.End));

    void OpenSpool(WalShape shape)
    {
        Spool ??= WalSpool.Open(options.Folder, shape);
        if (Spool.Shape != shape)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"{options.Folder} has log of the cluster with system identifier {Spool.Shape.SystemId}, and this server has "
                    + $"{shape.SystemId}",
                "Name another folder for this cluster; what is in that one is still to be published.");
        }
    }

    static async Task<WalShape> ShapeAsync(
        ReplicationConnection connection, ServerIdentity server, CancellationToken cancellationToken)
    {
        var page = await connection.Connection.ShowAsync("wal_block_size", cancellationToken);
        return new WalShape(
            ulong.Parse(server.SystemId, CultureInfo.InvariantCulture), (uint)await connection.SegmentBytesAsync(cancellationToken),
            uint.Parse(page, CultureInfo.InvariantCulture));
    }

    /// <summary>From where on the slot keeps the log. One that is absent is made; one that was lost is made anew.</summary>
    async Task<Lsn> SlotAsync(ReplicationConnection connection, CancellationToken cancellationToken)
    {
        var slot = await connection.ReadSlotAsync(options.Slot, cancellationToken);
        if (slot.Exists && (slot.RestartLsn is null || isSlotInvalid))
        {
            Told?.Invoke(new(
                WalNoticeKind.SlotLost,
                $"slot {options.Slot} was lost: the server removed log that it should have kept, because of max_slot_wal_keep_size or "
                    + "idle_replication_slot_timeout; it is made anew, and a full backup is needed where log is missing",
                "Raise max_slot_wal_keep_size of the server, and see what kept its log from being received."));
            await connection.DropSlotAsync(options.Slot, cancellationToken);
            slot = new SlotPosition(false, null, null);
        }

        isSlotInvalid = false;
        if (slot.RestartLsn is null)
        {
            await connection.CreateSlotAsync(options.Slot, isTemporary: false, cancellationToken);
            slot = await connection.ReadSlotAsync(options.Slot, cancellationToken);
        }

        return slot.RestartLsn ?? throw new SalvorException(
            FailureKind.SourceUnreadable, $"slot {options.Slot} was made and keeps no log",
            $"Drop it: SELECT pg_drop_replication_slot('{options.Slot}'); the next start makes it again.");
    }

    /// <summary>A history is durable before anything of its timeline. The newest has those of all timelines before it.</summary>
    async Task<TimelineHistory> KeepHistoryAsync(ReplicationConnection connection, uint timeline, CancellationToken cancellationToken)
    {
        if (timeline == 1)
        {
            return TimelineHistory.Read(timeline, default);
        }

        var history = TimelineHistory.Read(timeline, (await connection.ReadHistoryAsync(timeline, cancellationToken)).Content);
        Spool!.Keep(history);
        return history;
    }

    /// <summary>Receives a timeline up to its end on this server.</summary>
    /// <param name="slot">The first segment that the slot keeps.</param>
    async Task<TimelineEnd> ReceiveAsync(
        ReplicationConnection connection, uint timeline, Lsn start, (uint Timeline, Lsn At) slot, CancellationToken cancellationToken)
    {
        try
        {
            var stream = await connection.ReceiveAsync(options.Slot, start, timeline, cancellationToken);
            (Timeline, IsConnected) = (timeline, true);
            Told?.Invoke(new(WalNoticeKind.Follows, $"follows timeline {timeline} of {options.Server.Hosts[0]} from {start} on"));
            await ReceiveAsync(stream, cancellationToken);
            return stream.End!;
        }
        catch (PostgresException e) when (
            e.SqlState == SqlStates.NotInState && connection.ServerVersion >= VersionOfIdleTimeout)
        {
            isSlotInvalid = true;
            throw;
        }
        catch (PostgresException e) when (e.SqlState == SqlStates.Removed && Spool!.Written == start && start < slot.At)
        {
            // What is gone is gone: two spans, and what is missing has a name.
            Told?.Invoke(new(
                WalNoticeKind.Gap,
                $"a gap: the server no longer has the log {start}-{slot.At} of timeline {timeline}. No recovery gets past it: make a full "
                    + "backup",
                "Run 'salvor backup', unless a daemon does; see that the slot stays, and that max_slot_wal_keep_size is large enough."));
            Spool.NoteGap(slot.Timeline, slot.At);
            throw;
        }
    }

    async Task ReceiveAsync(WalStream stream, CancellationToken cancellationToken)
    {
        var spool = Spool!;
        var flushed = time.GetTimestamp();
        while (true)
        {
            var isDue = time.GetElapsedTime(flushed) >= options.FlushEvery || (IsSynchronous && !stream.HasMore);
            if (spool.Written > spool.Flushed && isDue)
            {
                spool.Flush();
                await stream.ReportAsync(spool.Written, spool.Flushed, cancellationToken);
                flushed = time.GetTimestamp();
                ExpectRoom();
            }

            WalPiece? piece;
            using var due = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            try
            {
                if (spool.Written > spool.Flushed && !stream.HasMore)
                {
                    due.CancelAfter(Max(options.FlushEvery - time.GetElapsedTime(flushed), TimeSpan.FromMilliseconds(1)));
                }

                piece = await stream.ReadAsync(due.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                continue;
            }

            ServerEnd = stream.ServerEnd;
            if (piece is null)
            {
                spool.Flush();
                return;
            }

            var durable = spool.Flushed;
            spool.Write(piece.Value.Start, piece.Value.Bytes.Span);
            if (spool.Flushed != durable)
            {
                // A segment became complete.
                await stream.ReportAsync(spool.Written, spool.Flushed, cancellationToken);
                ExpectRoom();
            }
        }
    }

    void ExpectRoom()
    {
        var most = Math.Max(options.SpoolBytesMax, 2 * Math.Max(Spool!.Shape.SegmentBytes, (long)WalRange.BlockBytes));
        if (Spool.SizeBytes > most)
        {
            isFull = true;
            throw new PostgresException(
                FailureKind.DestinationUnreachable,
                $"{options.Folder} has {Spool.SizeBytes} bytes of log that are not in the vault, and may have {most}: "
                    + "nothing more is received, and the server keeps its log",
                "See why nothing is published; the disk of the server fills up meanwhile, up to max_slot_wal_keep_size.",
                SqlStates.ConnectionLost);
        }
    }

    static TimeSpan Max(TimeSpan left, TimeSpan right) => left > right ? left : right;

    [GeneratedRegex(@"\*|[\w-]+")]
    private static partial Regex NamePattern();
}
