using System.Net.Sockets;
using System.Text;

namespace Salvor.Platform;

/// <summary>
/// Tells systemd how far a service is, by the protocol of <c>sd_notify(3)</c>: a datagram of lines to the socket that
/// <c>NOTIFY_SOCKET</c> names. Does nothing where nobody started us as such a service.
/// </summary>
static class ServiceManager
{
    const string SocketVariable = "NOTIFY_SOCKET";

    /// <summary>Everything runs; what waits for this service may start.</summary>
    public const string Ready = "READY=1";

    /// <summary>It was asked to stop, and publishes what is left.</summary>
    public const string Stopping = "STOPPING=1";

    /// <summary>It works still. Where this stays away for longer than the unit's <c>WatchdogSec</c>, systemd starts it anew.</summary>
    public const string Alive = "WATCHDOG=1";

    public static void Notify(string state)
    {
        if (Environment.GetEnvironmentVariable(SocketVariable) is not { Length: > 1 } path)
        {
            return;
        }

        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);

            // A name that begins with @ is an abstract one, which the kernel writes with a null byte.
            socket.Connect(new UnixDomainSocketEndPoint(path[0] == '@' ? "\0" + path[1..] : path));
            socket.Send(Encoding.UTF8.GetBytes(state));
        }
        catch (SocketException)
        {
            // The manager went away, or never listened. Databases are protected with or without it.
        }
    }
}
