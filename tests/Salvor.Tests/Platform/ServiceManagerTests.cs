using System.Net.Sockets;
using System.Text;
using Salvor.Tests.Cli;
using Salvor.Tests.Support;

namespace Salvor.Tests.Platform;

/// <summary>A service manager is told when everything runs, and when the end begins.</summary>
public sealed class ServiceManagerTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_daemon_says_that_it_is_ready_and_that_it_stops()
    {
        using var manager = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
        var path = _rig["notify"];
        manager.Bind(new UnixDomainSocketEndPoint(path));
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        await using var daemon = ChildProcess.Start(
            "env", [$"NOTIFY_SOCKET={path}", .. SalvorProcess.CommandLine, "daemon", "--config", _rig["salvor.yaml"]]);
        Assert.Equal("READY=1", await ReceiveAsync(manager));
        daemon.Send(Signal.Terminate);
        Assert.Equal("STOPPING=1", await ReceiveAsync(manager));
        Assert.Equal(0, (await daemon.ExitAsync()).ExitCode);
    }

    static async Task<string> ReceiveAsync(Socket manager)
    {
        var buffer = new byte[256];
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        return Encoding.UTF8.GetString(buffer, 0, await manager.ReceiveAsync(buffer, limit.Token));
    }
}
