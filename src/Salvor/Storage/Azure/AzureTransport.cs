namespace Salvor.Storage;

/// <summary>The connections of this process to storage accounts.</summary>
static class AzureTransport
{
    /// <summary>How long a connection may take to stand.</summary>
    public static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(10);

    /// <summary>After so long a connection is made anew, so that a name that moved to another address is followed.</summary>
    static readonly TimeSpan ConnectionLifetime = TimeSpan.FromMinutes(5);

    /// <summary>Made with the first use: who has no such destination pays nothing.</summary>
    static readonly Lazy<HttpMessageInvoker> shared = new(Create);

    public static HttpMessageInvoker Shared => shared.Value;

    public static HttpMessageInvoker Create() => new(new SocketsHttpHandler
    {
        // Where a request is sent on to, its signature must not follow.
        AllowAutoRedirect = false,
        UseCookies = false,
        ConnectTimeout = ConnectMax,
        PooledConnectionLifetime = ConnectionLifetime,
        MaxConnectionsPerServer = 4 * InFlight.Calls,
    });
}
