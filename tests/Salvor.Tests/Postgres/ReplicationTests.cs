using Salvor.Postgres.Protocol;
using Salvor.Tests.Support;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>The log of a real server, received by our client.</summary>
public sealed class ReplicationTests
{
    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_server_says_who_it_is()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        await using var replication = await OpenAsync(server);
        var identity = await replication.IdentifyAsync(Cancel);
        Assert.Equal(await server.SqlAsync("SELECT system_identifier FROM pg_control_system()"), identity.SystemId);
        Assert.Equal(1u, identity.Timeline);
        Assert.Equal(PostgresServer.SegmentBytes, await replication.SegmentBytesAsync(Cancel));
        Assert.Equal("replica", await replication.Connection.ShowAsync("wal_level", Cancel));
        Assert.Equal(PostgresServer.Major, replication.ServerVersion / 10000);

        // The connection is in order after what was refused.
        var refused = await Assert.ThrowsAsync<PostgresException>(() => replication.ReadHistoryAsync(7, Cancel));
        Assert.Equal(SqlStates.Removed, refused.SqlState);
        Assert.Equal(identity.SystemId, (await replication.IdentifyAsync(Cancel)).SystemId);
    }

    [Fact]
    public async Task A_slot_keeps_the_log_from_when_it_is_made()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        await using var replication = await OpenAsync(server);
        Assert.Equal(new SlotPosition(false, null, null), await replication.ReadSlotAsync("mine", Cancel));
        await replication.CreateSlotAsync("mine", isTemporary: false, Cancel);
        var slot = await replication.ReadSlotAsync("mine", Cancel);
        Assert.Equal((true, 1u), (slot.Exists, slot.RestartTimeline));
        Assert.Equal(await server.SqlAsync("SELECT restart_lsn FROM pg_replication_slots"), $"{slot.RestartLsn}");

        var twice = await Assert.ThrowsAsync<PostgresException>(() => replication.CreateSlotAsync("mine", isTemporary: false, Cancel));
        Assert.Equal(SqlStates.AlreadyThere, twice.SqlState);
        await replication.DropSlotAsync("mine", Cancel);
        Assert.False((await replication.ReadSlotAsync("mine", Cancel)).Exists);
        var absent = await Assert.ThrowsAsync<PostgresException>(() => replication.DropSlotAsync("mine", Cancel));
        Assert.Equal(SqlStates.NoSuchObject, absent.SqlState);
        var name = await Assert.ThrowsAsync<SalvorException>(() => replication.ReadSlotAsync("no\" slot", Cancel));
        Assert.Equal((FailureKind.Usage, "\"no\" slot\" cannot be the name of a replication slot"), (name.Kind, name.Message));
    }

    [Theory]
    [InlineData("")]
    [InlineData("sslmode=require host=127.0.0.1")]
    public async Task What_is_received_is_the_segment_of_the_server_byte_for_byte(string words)
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.CreateAsync(scratch);
        using (var authority = new TestAuthority("Test Authority", scratch["root.crt"]))
        {
            authority.Issue(Path.Combine(server.Data, "server"), "localhost", System.Security.Cryptography.HashAlgorithmName.SHA256);
        }

        await server.ConfigureAsync("ssl = on", "wal_keep_size = 64MB");
        await PostgresServer.OwnAsync(server.Data);
        await server.StartAsync();
        await using var replication = await ReplicationConnection.OpenAsync(
            words.Length == 0 ? server.Connection : server.At($"user=postgres {words}"), TimeProvider.System, Cancel);
        await replication.CreateSlotAsync("mine", isTemporary: true, Cancel);
        await server.SqlAsync("CREATE TABLE t AS SELECT g, repeat('x', 300) FROM generate_series(1, 20000) g");
        await server.SqlAsync("SELECT pg_switch_wal()");
        var end = (await replication.IdentifyAsync(Cancel)).Flushed;
        var start = SegmentOf((await replication.ReadSlotAsync("mine", Cancel)).RestartLsn!.Value);
        var reader = await replication.ReceiveAsync("mine", start, 1, Cancel);
        var received = new MemoryStream();
        while ((ulong)received.Length < end.Value - start.Value)
        {
            var piece = (await reader.ReadAsync(Cancel))!.Value;
            Assert.Equal(start + received.Length, piece.Start);
            await received.WriteAsync(piece.Bytes, Cancel);
        }

        var files = 0;
        for (var at = 0L; at + PostgresServer.SegmentBytes <= received.Length; at += PostgresServer.SegmentBytes, files++)
        {
            var name = $"00000001{0:X8}{(start.Value + (ulong)at) / PostgresServer.SegmentBytes:X8}";
            var segment = await File.ReadAllBytesAsync(Path.Combine(server.Wal, name), Cancel);
            Assert.True(received.GetBuffer().AsSpan((int)at, segment.Length).SequenceEqual(segment), $"{name} differs");
        }

        Assert.True(files >= 5);
        await reader.StopAsync(Cancel);
        Assert.Equal(1u, (await replication.IdentifyAsync(Cancel)).Timeline);
    }

    [Fact]
    public async Task The_server_is_told_what_is_durable_and_nothing_more()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        await using var replication = await OpenAsync(server);
        await replication.CreateSlotAsync("mine", isTemporary: false, Cancel);
        var start = (await replication.ReadSlotAsync("mine", Cancel)).RestartLsn!.Value;
        var reader = await replication.ReceiveAsync("mine", start, 1, Cancel);
        await server.SqlAsync("CREATE TABLE t AS SELECT g FROM generate_series(1, 1000) g");
        var end = start;
        while (end < start + 8192 || reader.HasMore)
        {
            end = (await reader.ReadAsync(Cancel))!.Value.End;
        }

        var flushed = start + 4096;
        await reader.ReportAsync(end, flushed, Cancel);
        await Eventually.HoldsAsync(
            async () => await server.SqlAsync("SELECT write_lsn, flush_lsn, replay_lsn FROM pg_stat_replication") == $"{end}|{flushed}|",
            () => "the server knows another position");
        Assert.Equal($"{flushed}", await server.SqlAsync("SELECT restart_lsn FROM pg_replication_slots"));

        await using var second = await OpenAsync(server);
        var inUse = await Assert.ThrowsAsync<PostgresException>(() => second.ReceiveAsync("mine", start, 1, Cancel));
        Assert.Equal((FailureKind.Locked, SqlStates.InUse), (inUse.Kind, inUse.SqlState));
    }

    [Fact]
    public async Task A_read_that_is_cancelled_loses_nothing()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        await using var replication = await OpenAsync(server);
        var start = (await replication.IdentifyAsync(Cancel)).Flushed;
        var reader = await replication.ReceiveAsync(null, start, 1, Cancel);
        for (var round = 0; round < 5; round++)
        {
            using var brief = new CancellationTokenSource(TimeSpan.FromMilliseconds(20));
            await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
            {
                while (true)
                {
                    start = (await reader.ReadAsync(brief.Token))!.Value.End;
                }
            });
            await server.SqlAsync("SELECT pg_logical_emit_message(false, 'test', 'x')");
            var piece = (await reader.ReadAsync(Cancel))!.Value;
            Assert.Equal(start, piece.Start);
            start = piece.End;
        }
    }

    [Fact]
    public async Task A_promotion_ends_the_timeline_where_the_next_begins()
    {
        using var scratch = new ScratchDirectory();
        await using var primary = await PostgresServer.StartAsync(scratch, "primary");
        await using var standby = await PostgresServer.AtAsync(scratch, "standby");
        var copied = await PostgresServer.RunAsync(
            "pg_basebackup", "-h", primary.Folder, "-p", $"{primary.Port}", "-U", "postgres", "-D", standby.Data, "-R", "-c", "fast", "-N");
        Assert.True(copied.ExitCode == 0, $"{copied}");
        await standby.StartAsync();
        await using var replication = await OpenAsync(standby);
        var start = SegmentOf((await replication.IdentifyAsync(Cancel)).Flushed);
        var reader = await replication.ReceiveAsync(null, start, 1, Cancel);
        var before = (await reader.ReadAsync(Cancel))!.Value.End;
        await standby.SqlAsync("SELECT pg_promote()");
        await standby.SqlAsync("CREATE TABLE after_promotion ()");
        while (await reader.ReadAsync(Cancel) is { } piece)
        {
            before = piece.End;
        }

        Assert.Equal(new TimelineEnd(2, before), reader.End);
        Assert.Null(await reader.ReadAsync(Cancel));
        var history = await replication.ReadHistoryAsync(2, Cancel);
        Assert.Equal("00000002.history", history.Name);
        Assert.Equal(await File.ReadAllBytesAsync(Path.Combine(standby.Wal, history.Name), Cancel), history.Content);

        // Exactly at the switch point nothing is streamed, and the answer is the same.
        var atEnd = await replication.ReceiveAsync(null, before, 1, Cancel);
        Assert.Equal(new TimelineEnd(2, before), atEnd.End);
        Assert.Null(await atEnd.ReadAsync(Cancel));

        var next = await replication.ReceiveAsync(null, start, 2, Cancel);
        for (var end = start; end <= before;)
        {
            end = (await next.ReadAsync(Cancel))!.Value.End;
        }

        await next.StopAsync(Cancel);
        Assert.Equal(2u, (await replication.IdentifyAsync(Cancel)).Timeline);
    }

    [Fact]
    public async Task A_long_history_comes_whole()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        var lines = Enumerable.Range(1, 2000).Select(i => $"{i}\t0/{i:X}\tno recovery target specified\n\n");
        var path = Path.Combine(server.Wal, "000007D1.history");
        await File.WriteAllTextAsync(path, string.Concat(lines), Cancel);
        await PostgresServer.OwnAsync(path);
        await using var replication = await OpenAsync(server);
        Assert.Equal(await File.ReadAllBytesAsync(path, Cancel), (await replication.ReadHistoryAsync(2001, Cancel)).Content);
    }

    [Fact]
    public async Task A_slot_that_was_lost_has_no_position_and_its_log_is_gone()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "max_slot_wal_keep_size = 2MB", "max_wal_size = 2MB");
        await using var replication = await OpenAsync(server);
        await replication.CreateSlotAsync("mine", isTemporary: false, Cancel);
        var start = (await replication.ReadSlotAsync("mine", Cancel)).RestartLsn!.Value;
        for (var round = 0; await server.SqlAsync("SELECT wal_status FROM pg_replication_slots") != "lost"; round++)
        {
            Assert.True(round < 20);
            await server.SqlAsync("SELECT pg_logical_emit_message(false, '', repeat('x', 1000000)), pg_switch_wal()");
            await server.SqlAsync("CHECKPOINT");
        }

        Assert.Equal(new SlotPosition(true, null, null), await replication.ReadSlotAsync("mine", Cancel));
        var gone = await Assert.ThrowsAsync<PostgresException>(async () =>
        {
            var reader = await replication.ReceiveAsync("mine", start, 1, Cancel);
            await reader.ReadAsync(Cancel);
        });
        var (state, message, hint) = PostgresServer.Major >= 18
            ? (SqlStates.NotInState, "can no longer access replication slot", "")
            : (SqlStates.Removed, "has already been removed", "The server no longer has this log, so there is a gap");
        Assert.Equal((state, FailureKind.SourceUnreadable), (gone.SqlState, gone.Kind));
        Assert.Contains(message, gone.Message, StringComparison.Ordinal);
        Assert.StartsWith(hint, gone.Hint, StringComparison.Ordinal);
        Assert.False(gone.IsConnectionLoss);
    }

    [Theory]
    [InlineData(Signal.Interrupt)]
    [InlineData(Signal.Kill)]
    public async Task A_server_that_ends_ends_the_stream(Signal signal)
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        await using var replication = await OpenAsync(server);
        var at = (await replication.IdentifyAsync(Cancel)).Flushed;
        var reader = await replication.ReceiveAsync(null, at, 1, Cancel);
        var ending = Task.Run(async () =>
        {
            while (await reader.ReadAsync(Cancel) is { } piece)
            {
                // A server that ends in order waits until what it wrote last is durable here.
                await reader.ReportAsync(piece.End, piece.End, Cancel);
            }
        }, Cancel);
        await server.StopAsync(signal);
        var lost = await Assert.ThrowsAsync<PostgresException>(() => ending);
        Assert.True(lost.IsConnectionLoss);
        Assert.Contains(signal == Signal.Interrupt ? "shuts down" : "is lost: ", lost.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_silent_counts_as_lost()
    {
        using var scratch = new ScratchDirectory();
        await using var server = await PostgresServer.StartAsync(scratch);
        await using var replication = await OpenAsync(server);
        var at = (await replication.IdentifyAsync(Cancel)).Flushed;
        var reader = await replication.ReceiveAsync(null, at, 1, Cancel);
        reader.SilenceMax = TimeSpan.FromSeconds(1);
        var sender = int.Parse(
            await server.SqlAsync("SELECT pid FROM pg_stat_replication"), System.Globalization.CultureInfo.InvariantCulture);
        await ChildProcess.RunAsync("kill", ["-STOP", $"{sender}"]);
        try
        {
            var lost = await Assert.ThrowsAsync<PostgresException>(async () =>
            {
                while (true)
                {
                    await reader.ReadAsync(Cancel);
                }
            });
            Assert.EndsWith("is lost: the server was silent for 1 s", lost.Message, StringComparison.Ordinal);
        }
        finally
        {
            await ChildProcess.RunAsync("kill", ["-CONT", $"{sender}"]);
        }
    }

    static Lsn SegmentOf(Lsn lsn) => new(lsn.Value / PostgresServer.SegmentBytes * PostgresServer.SegmentBytes);

    static Task<ReplicationConnection> OpenAsync(PostgresServer server) =>
        ReplicationConnection.OpenAsync(server.Connection, TimeProvider.System, Cancel);
}
