namespace Salvor.Storage.Sftp;

/// <summary>
/// What the answers of an SFTP server mean to the caller of a store. Every message names the place, the key and what was tried.
/// </summary>
sealed class SftpErrors(SftpOptions options)
{
    /// <inheritdoc cref="SftpOptions.Place"/>
    public string Place => options.Place;

    /// <summary>There is no connection, or it ended before the answer.</summary>
    public StorageException Ended(SftpEnd end, string action, Exception inner) =>
        new(end.Failure, $"cannot {action} at {Place}: {end.Reason}", end.Hint, inner);

    /// <summary>The server refused. What it cannot say in its few words is looked for in the state of its disk.</summary>
    /// <param name="space">The room where the object goes, if the server tells.</param>
    /// <param name="neededBytes">How much of it the call needed.</param>
    public StorageException Refused<T>(SftpAnswer<T> answer, string action, SftpSpace? space = null, long neededBytes = 0)
    {
        var message = $"cannot {action} at {Place}: ";
        return answer.Status switch
        {
            SftpStatus.PermissionDenied => new(
                StorageFailure.Denied,
                message + "permission denied",
                $"Give the user read and write access: 'ls -la {options.Path}' on {options.Host} shows who has it."),
            SftpStatus.Failure when space is { IsReadOnly: true } => new(
                StorageFailure.Denied,
                message + "the file system there is read-only",
                $"Mount it writable: 'findmnt -T {options.Path}' on {options.Host} shows how it is mounted."),
            SftpStatus.Failure when space is { } room && room.FreeBytes < (ulong)neededBytes => new(
                StorageFailure.Full,
                message + "no space left there",
                $"Free space there: 'df -h {options.Path}' on {options.Host} shows how much is left."),
            SftpStatus.Unsupported or SftpStatus.BadMessage => new(
                StorageFailure.Denied,
                $"{message}the server does not accept it{Words(answer)}",
                "Use OpenSSH's server there, or another destination."),
            _ => new(
                StorageFailure.Unreachable,
                $"{message}the server answers {answer.Status switch
                {
                    SftpStatus.NoSuchFile => "that there is no such file",
                    SftpStatus.Failure => "failure",
                    var status => $"with status {(uint)status}",
                }}{Words(answer)}",
                $"Look at the server's log, and whether its disk is healthy and no quota is used up: 'df -h {options.Path}' on "
                    + $"{options.Host}."),
        };
    }

    public StorageException RootMissing() => new(
        StorageFailure.Unreachable,
        $"destination {Place} does not exist",
        $"Mount it if it is a disk of its own; otherwise create it on {options.Host}: 'mkdir -p -m 700 {options.Path}'.");

    public StorageException RootUnmounted() => new(
        StorageFailure.Unreachable,
        $"destination {Place} is no longer mounted",
        $"Mount it again: 'findmnt -T {options.Path}' on {options.Host} shows what is there now. Nothing is written to the disk "
            + "underneath.");

    public StorageException RootNotDirectory() => new(
        StorageFailure.Denied,
        $"destination {Place} is not a directory",
        "Give the path of a directory, in the configuration or on the command line.");

    public StorageException Weak(IReadOnlyList<string> weaknesses) => new(
        StorageFailure.Denied,
        $"the server of {Place} cannot keep what backups rest on: it {string.Join(", and it ", weaknesses)}",
        "Use OpenSSH's server on a file system of Linux. To accept it nevertheless, add allow_weak: true to this destination.");

    public StorageException CannotReplace(string key) => new(
        StorageFailure.Denied,
        $"cannot replace {key} at {Place}: the server does not replace files in one step",
        "Use OpenSSH's server there, or remove the damaged file by hand and run 'salvor repair' again.");

    static string Words<T>(SftpAnswer<T> answer) =>
        answer.Message.Length == 0 || answer.Message == answer.Status.ToString() ? "" : $" (\"{answer.Message}\")";
}
