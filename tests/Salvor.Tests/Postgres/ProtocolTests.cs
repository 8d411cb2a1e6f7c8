using System.Text;
using Salvor.Postgres.Protocol;
using Salvor.Tests.Support;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>What other versions say, and what no honest server does.</summary>
public sealed class ProtocolTests
{
    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_server_before_version_15_says_the_same_in_other_words()
    {
        var commands = new List<string>();
        await using var server = new ScriptedPostgres(async stream =>
        {
            await ScriptedPostgres.WelcomeAsync(stream, "13.22 (Debian 13.22-1)");
            commands.Add(Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)));
            await stream.WriteAsync((byte[])
            [
                .. ScriptedPostgres.Rows(["recptr", "tli"], ["0/2000028", "3"]),
                .. ScriptedPostgres.Rows(["spcoid", "spclocation", "size"], ["16384", "/aside", "12"], [null, null, "34"]),
                .. ScriptedPostgres.Message('H', "\0\0\0"), .. ScriptedPostgres.Message('d', "one"), .. ScriptedPostgres.Message('c'),
                .. ScriptedPostgres.Message('H', "\0\0\0"), .. ScriptedPostgres.Message('d', "two"), .. ScriptedPostgres.Message('c'),
                .. ScriptedPostgres.Message('H', "\0\0\0"), .. ScriptedPostgres.Message('d', "{}"), .. ScriptedPostgres.Message('c'),
                .. ScriptedPostgres.Rows(["recptr", "tli"], ["0/2000100", "3"]), .. ScriptedPostgres.Message('C', "SELECT\0"),
                .. ScriptedPostgres.Ready,
            ]);
            commands.Add(Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)));
            await stream.WriteAsync((byte[])[.. ScriptedPostgres.Rows(["slot_name"], ["mine"]), .. ScriptedPostgres.Ready]);
        });
        await using var replication = await ReplicationConnection.OpenAsync(server.Settings(), TimeProvider.System, Cancel);
        Assert.Equal(130022, replication.ServerVersion);
        var reader = await replication.BackUpAsync(new BaseBackupOptions { Label = "it's", RateMax = 1024 }, Cancel);
        var parts = new StringBuilder();
        while (await reader.ReadAsync(Cancel) is { } part)
        {
            parts.Append(part.Kind).Append(part.Tablespace is { } space ? $" {space.Path}" : "")
                .Append(Encoding.UTF8.GetString(part.Bytes.Span)).Append(';');
        }

        Assert.Equal("Archive /aside;Dataone;Archive ;Datatwo;Manifest;Data{};", parts.ToString());
        Assert.Equal((3u, "0/2000028", "0/2000100"), (reader.Timeline, $"{reader.Start}", $"{reader.End}"));
        await replication.CreateSlotAsync("mine", isTemporary: false, Cancel);
        Assert.Equal(
            [
                "BASE_BACKUP LABEL 'it''s' PROGRESS FAST NOWAIT MAX_RATE 1024 TABLESPACE_MAP MANIFEST 'yes' MANIFEST_CHECKSUMS 'CRC32C'\0",
                "CREATE_REPLICATION_SLOT \"mine\" PHYSICAL RESERVE_WAL\0",
            ],
            commands);
    }

    [Fact]
    public async Task A_manifest_is_given_to_a_server_that_makes_incremental_backups()
    {
        var received = new List<string>();
        await using var server = new ScriptedPostgres(async stream =>
        {
            await ScriptedPostgres.WelcomeAsync(stream, "18beta1");
            received.Add(Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)));
            await stream.WriteAsync(ScriptedPostgres.Message('G', "\0\0\0"));
            received.Add(Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)));
            received.Add(Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)));
            await stream.WriteAsync((byte[])[.. ScriptedPostgres.Message('C', "UPLOAD_MANIFEST\0"), .. ScriptedPostgres.Ready]);
            received.Add(Encoding.UTF8.GetString(await ScriptedPostgres.ReadAsync(stream)));
        });
        await using var replication = await ReplicationConnection.OpenAsync(server.Settings(), TimeProvider.System, Cancel);
        Assert.Equal(180000, replication.ServerVersion);
        await replication.UploadManifestAsync(new MemoryStream("{}"u8.ToArray()), Cancel);
        Assert.Equal(["UPLOAD_MANIFEST\0", "{}", ""], received);
        var begun = replication.BackUpAsync(new BaseBackupOptions { Label = "x", IsIncremental = true, IsFast = false }, Cancel);
        await Eventually.HoldsAsync(() => received.Count == 4, () => "no command came");
        Assert.Equal(
            "BASE_BACKUP (LABEL 'x', PROGRESS, CHECKPOINT 'spread', WAL false, WAIT false, TABLESPACE_MAP, VERIFY_CHECKSUMS true, "
                + "MANIFEST 'yes', MANIFEST_CHECKSUMS 'CRC32C', INCREMENTAL)\0",
            received[3]);
        await replication.DisposeAsync();
        await Assert.ThrowsAsync<PostgresException>(() => begun);
    }

    [Fact]
    public async Task A_server_before_version_13_is_refused()
    {
        await using var server = new ScriptedPostgres(stream => ScriptedPostgres.WelcomeAsync(stream, "12.22"));
        var refused = await OpenAsync(server);
        Assert.EndsWith("is PostgreSQL 12.22", refused.Message, StringComparison.Ordinal);
        Assert.Equal("Version 13 or newer is supported.", refused.Hint);
    }

    [Fact]
    public async Task Which_server_is_wanted_cannot_be_asked_of_version_13()
    {
        await using var server = new ScriptedPostgres(stream => ScriptedPostgres.WelcomeAsync(stream, "13.22"));
        var refused = await Assert.ThrowsAsync<PostgresException>(() => PostgresConnection.OpenAsync(
            server.Settings("target_session_attrs=primary"), SessionKind.Sql, TimeProvider.System, Cancel));
        Assert.EndsWith("does not say whether it is a primary, which takes version 14", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_fatal_error_is_told_and_not_the_end_of_the_connection()
    {
        await using var server = new ScriptedPostgres(async stream =>
        {
            await ScriptedPostgres.WelcomeAsync(stream, "17.1");
            await ScriptedPostgres.ReadAsync(stream);
            await stream.WriteAsync(ScriptedPostgres.Message('E', "SFATAL\0VFATAL\0CXX000\0Mout of luck\0Don a friday\0HWait.\0\0"));
            stream.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        });
        await using var connection = await PostgresConnection.OpenAsync(
            server.Settings(), SessionKind.Sql, TimeProvider.System, Cancel);
        var fatal = await Assert.ThrowsAsync<PostgresException>(() => connection.QueryAsync("SELECT 1", Cancel));
        Assert.EndsWith("says: out of luck (on a friday)", fatal.Message, StringComparison.Ordinal);
        Assert.Equal(("XX000", "Wait."), (fatal.SqlState, fatal.Hint));
    }

    [Theory]
    [InlineData("R\x7f\xff\xff\xff", "it announces a message of 2147483647 bytes")]
    [InlineData("R\0\0\0\x02", "it announces a message of 2 bytes")]
    [InlineData("HTTP/1.1 400 Bad Request\r\n", "it announces a message of 1414811695 bytes")]
    [InlineData("R\0\0\0\x06\0\0", "a message is shorter than what it has to hold")]
    [InlineData("X\0\0\0\x04", "message 'X' within the log-in")]
    public async Task What_is_no_server_is_told_apart(string bytes, string what)
    {
        await using var server = new ScriptedPostgres(async stream => await stream.WriteAsync(Encoding.Latin1.GetBytes(bytes)));
        var refused = await OpenAsync(server);
        Assert.EndsWith($"does not keep to the protocol: {what}", refused.Message, StringComparison.Ordinal);
        Assert.Equal((SqlStates.ProtocolViolation, FailureKind.SourceUnreadable), (refused.SqlState, refused.Kind));
    }

    [Theory]
    [InlineData("r=CLIENT-more,s=c2FsdA==,i=4096", "v=AAAA", "does not know the password of user u itself")]
    [InlineData("r=CLIENT-more,s=c2FsdA==,i=4096", "e=other-error", "does not know the password of user u itself")]
    [InlineData("r=CLIENT-more,s=c2FsdA==,i=4096", "", "it ends the log-in before it has proved itself")]
    [InlineData("r=CLIENT,s=c2FsdA==,i=4096", "", "its part of the log-in is none")]
    [InlineData("r=another,s=c2FsdA==,i=4096", "", "its part of the log-in is none")]
    [InlineData("r=CLIENT-more,s=c2FsdA==,i=2000000000", "", "its part of the log-in is none")]
    [InlineData("r=CLIENT-more,s=?,i=4096", "", "its part of the log-in is none")]
    public async Task Whoever_does_not_know_the_password_is_not_believed(string first, string final, string message)
    {
        await using var server = new ScriptedPostgres(async stream =>
        {
            await ScriptedPostgres.ReadAsync(stream, hasType: false);
            await stream.WriteAsync(ScriptedPostgres.Message('R', 10, "SCRAM-SHA-256\0\0"));
            var nonce = Encoding.ASCII.GetString(await ScriptedPostgres.ReadAsync(stream)).Split("r=")[1];
            await stream.WriteAsync(ScriptedPostgres.Message('R', 11, first.Replace("CLIENT", nonce, StringComparison.Ordinal)));
            await ScriptedPostgres.ReadAsync(stream);
            await stream.WriteAsync(final.Length > 0 ? ScriptedPostgres.Message('R', 12, final) : ScriptedPostgres.Message('R', 0));
        });
        Assert.Contains(message, (await OpenAsync(server)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_log_in_that_is_not_supported_is_named()
    {
        await using var server = new ScriptedPostgres(async stream => await stream.WriteAsync(ScriptedPostgres.Message('R', 7)));
        var refused = await OpenAsync(server);
        Assert.EndsWith("asks for a way to log in that is not supported (GSSAPI)", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_says_nothing_is_not_waited_for_longer_than_was_asked()
    {
        await using var server = new ScriptedPostgres(_ => Task.CompletedTask);
        var late = await Assert.ThrowsAsync<PostgresException>(() => PostgresConnection.OpenAsync(
            server.Settings("connect_timeout=2"), SessionKind.Sql, TimeProvider.System, Cancel));
        Assert.EndsWith("did not let us in within 2 s", late.Message, StringComparison.Ordinal);
        Assert.Equal(SqlStates.CannotConnect, late.SqlState);
    }

    [Fact]
    public async Task A_hole_in_the_log_is_no_log()
    {
        await using var server = new ScriptedPostgres(async stream =>
        {
            await ScriptedPostgres.WelcomeAsync(stream, "17.2");
            await ScriptedPostgres.ReadAsync(stream);
            await stream.WriteAsync((byte[])
            [
                .. ScriptedPostgres.Message('W', "\0\0\0"),
                .. ScriptedPostgres.Message('d', "w", 0x1000L, 0x3000L, 0L, new byte[16]),
                .. ScriptedPostgres.Message('d', "w", 0x1020L, 0x3000L, long.MaxValue, new byte[16]),
            ]);
        });
        await using var replication = await ReplicationConnection.OpenAsync(server.Settings(), TimeProvider.System, Cancel);
        var reader = await replication.ReceiveAsync(null, new Lsn(0x1000), 1, Cancel);
        Assert.Equal(new Lsn(0x1010), (await reader.ReadAsync(Cancel))!.Value.End);
        var garbled = await Assert.ThrowsAsync<PostgresException>(async () => await reader.ReadAsync(Cancel));
        Assert.EndsWith("its log goes on at 0/1020 behind 0/1010", garbled.Message, StringComparison.Ordinal);
    }

    static Task<PostgresException> OpenAsync(ScriptedPostgres server) => Assert.ThrowsAsync<PostgresException>(
        () => PostgresConnection.OpenAsync(server.Settings(), SessionKind.Sql, TimeProvider.System, Cancel));
}
