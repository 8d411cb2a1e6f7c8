using System.Text;
using Salvor.Storage;
using Salvor.Storage.Sftp;
using Salvor.Tests.Support;
using static Salvor.Tests.Support.ScriptedSftpServer;

namespace Salvor.Tests.Storage.Sftp;

/// <summary>Servers that break the protocol, are silent or go away. Nothing that they send is trusted.</summary>
public sealed class SftpConnectionTests
{
    const string NoSftp = "cannot read a at sftp://salvor@nas/srv: what answers there does not speak SFTP: ";

    [Fact]
    public Task A_login_shell_that_prints_something_is_named() => RefusedAsync(
        Saying(Encoding.ASCII.GetBytes("Welcome to nas! You have mail.\n")), "a packet of 1466264675 bytes");

    [Fact]
    public Task An_older_version_of_the_protocol_is_refused() => RefusedAsync(
        Saying(Packet(SftpPacketType.Version, 2)), "a greeting that is not that of SFTP version 3");

    [Fact]
    public Task Another_greeting_is_refused() => RefusedAsync(
        Saying(Packet(SftpPacketType.Status, 3, 0)), "a greeting that is not that of SFTP version 3");

    [Fact]
    public Task A_packet_without_a_number_is_refused() => RefusedAsync(
        Answering([0, 0, 0, 1, (byte)SftpPacketType.Status]), "a packet of 1 bytes");

    [Fact]
    public Task A_length_is_checked_before_room_is_made_for_it() => RefusedAsync(
        Answering([0xFF, 0xFF, 0xFF, 0xFF]), "a packet of 4294967295 bytes");

    [Fact]
    public Task An_answer_to_nothing_is_refused() => RefusedAsync(
        Answering(Packet(SftpPacketType.Status, 77, 0)), "an answer to request 77, which was not asked");

    [Fact]
    public Task More_bytes_than_were_asked_for_are_refused() => RefusedAsync(
        Answering(
            Packet(SftpPacketType.Attributes, 1, SftpAttributes.HasSize | SftpAttributes.HasPermissions, 0, 100, 0x8180),
            Packet(SftpPacketType.Handle, 2, "h"),
            Packet(SftpPacketType.Data, 3, new byte[11])),
        "11 bytes where 10 were asked for");

    [Fact]
    public Task Content_that_goes_past_its_packet_is_refused() => RefusedAsync(
        Answering(Packet(SftpPacketType.Attributes, 1, SftpAttributes.HasSize), Packet(SftpPacketType.Handle, 2, "h")),
        "a packet ends before its content does");

    [Fact]
    public async Task A_count_of_names_is_not_believed()
    {
        var store = StoreOn(Answering(
            Packet(SftpPacketType.Handle, 1, "h"),
            Packet(SftpPacketType.Attributes, 2, SftpAttributes.HasPermissions, 0x41ED),
            Packet(SftpPacketType.Name, 3, uint.MaxValue, "a", "long", 0)));

        var failure = await Assert.ThrowsAsync<StorageException>(
            async () => await store.ListAsync("", null, default).ToListAsync());

        Assert.EndsWith("does not speak SFTP: a packet ends before its content does", failure.Message);
    }

    [Fact]
    public async Task What_a_server_says_of_a_failure_is_shown_without_what_a_terminal_would_obey()
    {
        var store = StoreOn(Answering(
            Packet(SftpPacketType.Status, 1, 4, "disk \u001b[31mbroken\n" + new string('x', 1000), "en"),
            Packet(SftpPacketType.Status, 2, 4, "", "")));

        var failure = await Assert.ThrowsAsync<StorageException>(() => store.SizeAsync("a", default));

        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.StartsWith("cannot look for a at sftp://salvor@nas/srv: the server answers failure (\"disk [31mbrokenxxx", failure.Message);
        Assert.True(failure.Message.Length < 300, failure.Message);
    }

    [Fact]
    public async Task A_server_that_is_silent_is_given_up_after_a_minute()
    {
        var time = new SteppedTime();
        var server = Answering(
            Packet(SftpPacketType.Status, 1, 2, "", ""), Packet(SftpPacketType.Attributes, 2, SftpAttributes.HasPermissions, 0x41ED));
        var store = SftpRig.Store(SftpRig.Options("/srv"), () => server, time);
        Assert.Null(await store.SizeAsync("a", default));
        var call = store.SizeAsync("a", default);
        time.Advance(SftpConnection.SilenceMax - TimeSpan.FromSeconds(1));
        Assert.False(call.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(1));

        var failure = await Assert.ThrowsAsync<StorageException>(() => call);
        Assert.Equal(StorageFailure.Unreachable, failure.Failure);
        Assert.Equal("cannot look for a at sftp://salvor@nas/srv: the server did not answer for 60 s", failure.Message);
    }

    [Fact]
    public async Task A_connection_that_nobody_uses_is_closed_then_opened_again()
    {
        using var directory = new TemporaryDirectory();
        var time = new SteppedTime();
        var opened = 0;
        var store = SftpRig.Store(
            SftpRig.Options(directory.Path),
            () =>
            {
                opened++;
                return SftpServerProcess.Start();
            },
            time);
        Assert.Null(await store.SizeAsync("a", default));
        time.Advance(SftpConnection.IdleMax - TimeSpan.FromSeconds(1));
        Assert.Null(await store.SizeAsync("a", default));
        Assert.Equal(1, opened);
        time.Advance(SftpConnection.IdleMax);

        Assert.Null(await store.SizeAsync("a", default));
        Assert.Equal(2, opened);
    }

    static async Task RefusedAsync(ScriptedSftpServer server, string expected)
    {
        var failure = await Assert.ThrowsAsync<StorageException>(() => StoreOn(server).ReadAsync("a", 0, new byte[10], default));

        Assert.Equal(NoSftp + expected, failure.Message);
        Assert.Equal(StorageFailure.Denied, failure.Failure);
        Assert.Equal(
            "A start-up file of the login shell there may print something: the shell must be silent where nobody is logged in.",
            failure.Hint);
        Assert.NotNull(server.Noticed);
    }

    static SftpStore StoreOn(ScriptedSftpServer server) => SftpRig.Store(SftpRig.Options("/srv"), () => server);
}
