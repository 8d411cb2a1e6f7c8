namespace Salvor.Storage.Sftp;

/// <summary>Why there is no connection, in the words of a message: <c>cannot write KEY at PLACE: REASON</c>.</summary>
sealed record SftpEnd(StorageFailure Failure, string Reason, string Hint);

/// <summary>The connection ended before the call was answered. Whether the call took effect is not known.</summary>
sealed class SftpEndedException(SftpEnd end) : IOException(end.Reason)
{
    public SftpEnd End { get; } = end;
}

/// <summary>What carries the bytes to an SFTP server and back.</summary>
interface ISftpTransport
{
    Stream ToServer { get; }

    Stream FromServer { get; }

    /// <summary>
    /// Ends it, where it has not ended by itself, and says why: what it knows of its own end explains more than what was noticed of it.
    /// Called once.
    /// </summary>
    /// <param name="noticed">What was noticed.</param>
    Task<SftpEnd> EndAsync(SftpEnd noticed);
}
