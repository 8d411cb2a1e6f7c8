using System.Collections.Concurrent;

namespace Salvor.Storage.Sftp;

/// <summary>
/// The one connection to a server: made by the first call that needs it, shared by all stores on it in this process, closed when
/// nobody has used it for a while, and made anew by the next call.
/// </summary>
/// <param name="connect">Starts what carries the bytes. Throws <see cref="SftpEndedException"/>.</param>
sealed class SftpSessions(Func<ISftpTransport> connect, TimeProvider time)
{
    /// <summary>From the start of the client to the server's greeting: more than the client itself waits for the network.</summary>
    static readonly TimeSpan greetingMax = TimeSpan.FromSeconds(30);

    // Stores are opened often, by every verb and every scheduled job, and nothing closes them; a login takes longer than most calls.
    static readonly ConcurrentDictionary<(SftpOptions, TimeProvider), SftpSessions> shared = new();

    readonly Lock gate = new();
    Task<SftpSession>? current;

    /// <summary>The connection to the server of a place, through OpenSSH's client.</summary>
    public static SftpSessions To(SftpOptions options, TimeProvider time) => shared.GetOrAdd(
        (options with { Path = "/", AllowWeak = false }, time), server => new(() => SshProcess.Start(server.Item1, time), time));

    /// <summary>Runs a call on the connection; again on a new one where it met the end of one that was idle.</summary>
    public async Task<T> RunAsync<T>(Func<SftpSession, Task<T>> call, CancellationToken cancellationToken)
    {
        while (true)
        {
            try
            {
                return await call(await GetAsync(cancellationToken));
            }
            catch (SftpEndedException e) when (e.End == SftpConnection.Idle)
            {
                cancellationToken.ThrowIfCancellationRequested();
            }
        }
    }

    /// <summary>All who ask while it is being made get the same answer.</summary>
    Task<SftpSession> GetAsync(CancellationToken cancellationToken)
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
}
