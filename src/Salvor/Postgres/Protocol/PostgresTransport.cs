using System.Net;
using System.Net.Sockets;

namespace Salvor.Postgres.Protocol;

/// <summary>Sockets to servers.</summary>
static class PostgresTransport
{
    /// <summary><c>TCP_USER_TIMEOUT</c> of Linux: how long sent bytes may stay unconfirmed.</summary>
    const int UserTimeoutOption = 18;

    /// <summary>Connects to a host, over each of its addresses in turn. Throws <see cref="PostgresException"/>.</summary>
    public static async Task<Stream> ConnectAsync(PostgresHost host, PostgresSettings settings, CancellationToken cancellationToken)
    {
        var socket = host.IsSocket
            ? new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified)
            : new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            if (host.IsSocket)
            {
                await socket.ConnectAsync(new UnixDomainSocketEndPoint(host.ToString()), cancellationToken);
            }
            else
            {
                KeepAlive(socket, settings.KeepAlives);
                await (IPAddress.TryParse(host.Address ?? host.Name, out var address)
                    ? socket.ConnectAsync(address, host.Port, cancellationToken)
                    : socket.ConnectAsync(host.Address ?? host.Name, host.Port, cancellationToken));
            }

            return new NetworkStream(socket, ownsSocket: true);
        }
        catch (Exception e)
        {
            socket.Dispose();
            if (e is SocketException or ArgumentException)
            {
                throw PostgresErrors.Unreachable(host, e);
            }

            throw;
        }
    }

    /// <summary>Without it, a server that lost its power would be waited for as long as this process lives.</summary>
    static void KeepAlive(Socket socket, KeepAlives? keepAlives)
    {
        if (keepAlives is null)
        {
            return;
        }

        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, (int)keepAlives.Idle.TotalSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, (int)keepAlives.Interval.TotalSeconds);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, keepAlives.Count);
        if (OperatingSystem.IsLinux())
        {
            var milliseconds = (keepAlives.Idle + (keepAlives.Interval * keepAlives.Count)).TotalMilliseconds;
            var value = BitConverter.GetBytes((int)Math.Min(milliseconds, int.MaxValue));
            socket.SetRawSocketOption((int)SocketOptionLevel.Tcp, UserTimeoutOption, value);
        }
    }
}
