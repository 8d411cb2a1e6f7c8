namespace Salvor.Storage;

/// <summary>How much of a line, and of a service, a destination may take; for all who use it in this process.</summary>
/// <param name="uploadBytesPerSecond">Null: as fast as it goes.</param>
/// <param name="downloadBytesPerSecond">Null: as fast as it goes.</param>
/// <param name="callsMax">How many calls may be under way at once; null for any number.</param>
/// <param name="time">The clock.</param>
public sealed class StoreLimits(long? uploadBytesPerSecond, long? downloadBytesPerSecond, int? callsMax, TimeProvider time) : IDisposable
{
    readonly Bandwidth? upload = uploadBytesPerSecond is { } bytes ? new(bytes, time) : null;
    readonly Bandwidth? download = downloadBytesPerSecond is { } bytes ? new(bytes, time) : null;
    readonly SemaphoreSlim? calls = callsMax is { } max ? new(max) : null;

    /// <summary>Waits until so many bytes may be sent.</summary>
    public Task TakeUploadAsync(int bytes, CancellationToken cancellationToken) =>
        upload?.TakeAsync(bytes, cancellationToken) ?? Task.CompletedTask;

    /// <summary>Waits until so many bytes may be asked for.</summary>
    public Task TakeDownloadAsync(int bytes, CancellationToken cancellationToken) =>
        download?.TakeAsync(bytes, cancellationToken) ?? Task.CompletedTask;

    /// <summary>Of the bytes that were asked for, so many did not come.</summary>
    public void ReturnDownload(int bytesAskedFor, int bytesLeft) => download?.Return(bytesAskedFor, bytesLeft);

    /// <summary>Waits until a call may begin; it ends when the answer is disposed.</summary>
    public async ValueTask<IDisposable?> BeginAsync(CancellationToken cancellationToken)
    {
        if (calls is null)
        {
            return null;
        }

        await calls.WaitAsync(cancellationToken);
        return new Call(calls);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        upload?.Dispose();
        download?.Dispose();
        calls?.Dispose();
    }

    sealed class Call(SemaphoreSlim calls) : IDisposable
    {
        public void Dispose() => calls.Release();
    }
}
