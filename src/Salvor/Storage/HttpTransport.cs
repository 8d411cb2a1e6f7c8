namespace Salvor.Storage;

/// <summary>The connections of this process to services. Made with the first use: who has no such destination pays nothing.</summary>
static class HttpTransport
{
    /// <summary>How long a connection may take to stand.</summary>
    public static readonly TimeSpan ConnectMax = TimeSpan.FromSeconds(10);

    static readonly Lazy<HttpMessageInvoker> remote = new(() => Create(useProxy: true));
    static readonly Lazy<HttpMessageInvoker> local = new(() => Create(useProxy: false));

    /// <summary>Shared by all destinations.</summary>
    public static HttpMessageInvoker Remote => remote.Value;

    /// <summary>For what answers on the machine itself, which no proxy may hear of.</summary>
    public static HttpMessageInvoker Local => local.Value;

    public static HttpMessageInvoker Create(bool useProxy) => new(new SocketsHttpHandler
    {
        UseProxy = useProxy,
        UseCookies = false,

        // Where a request is sent on to, its signature must not follow.
        AllowAutoRedirect = false,
        ConnectTimeout = ConnectMax,
        Expect100ContinueTimeout = TimeSpan.FromSeconds(2),

        // Services close what is idle after some time; a request that meets that moment fails for nothing.
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(15),

        // New connections follow what the name service says.
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    });
}
