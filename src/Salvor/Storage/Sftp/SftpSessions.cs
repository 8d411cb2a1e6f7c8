namespace Salvor.Storage.Sftp;

/// <summary>The one connection of a store, made by the first call that needs it, and made anew by the first call after its end.</summary>
/// <param name="connect">Starts what carries the bytes. Throws <see cref="SftpEndedException"/>.</param>
sealed class SftpSessions(Func<ISftpTransport> connect, TimeProvider time) : IAsyncDisposable
{
    /// <summary>From the start of the client to the server's greeting: more than the client itself waits for the network.</summary>
    static readonly TimeSpan greetingMax = TimeSpan.FromSeconds(30);

    readonly Lock gate = new();
    Task<SftpSession>? current;

    /// <summary>The connection. All who ask while it is being made get the same answer. Throws <see cref="SftpEndedException"/>.</summary>
    public Task<SftpSession> GetAsync(CancellationToken cancellationToken)
    {
        lock (gate)
        {
            if (current is null || current.IsFaulted || (current.IsCompletedSuccessfully && !current.Result.IsAlive))
            {
                // On the thread pool: to start a process takes a millisecond, which the thread of a caller may not have.
                current = Task.Run(() => SftpSession.OpenAsync(connect(), time, greetingMax), CancellationToken.None);
            }

            return current.WaitAsync(cancellationToken);
        }
    }

    public async ValueTask DisposeAsync()
    {
        Task<SftpSession>? last;
        lock (gate)
        {
            (last, current) = (current, null);
        }

        if (last is null)
        {
            return;
        }

        try
        {
            await (await last).DisposeAsync();
        }
        catch (SftpEndedException)
        {
            // It never was, or has ended before.
        }
    }
}
