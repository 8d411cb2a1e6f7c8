using Salvor.Platform;

namespace Salvor.Storage;

/// <summary>What the failures of a file system mean to the caller of a store.</summary>
static class FileStoreErrors
{
    /// <summary>The failure for an exception whose <see cref="Errno.Of"/> is not 0.</summary>
    public static StorageException From(Exception exception, string action, string root)
    {
        var error = Errno.Of(exception);
        var message = $"cannot {action} at {root}: {Errno.Describe(error)}";
        return error switch
        {
            Errno.NoSpace or Errno.QuotaExceeded => new(
                StorageFailure.Full,
                message,
                $"Free space there: 'df -h {root}' shows how much is left.",
                exception),
            Errno.ReadOnlyFileSystem => new(
                StorageFailure.Denied,
                message,
                $"Mount it writable: 'findmnt -T {root}' shows how it is mounted.",
                exception),
            Errno.AccessDenied or Errno.NotPermitted => new(
                StorageFailure.Denied,
                message,
                $"Give the user that runs salvor read and write access: 'ls -la {root}' shows who has it.",
                exception),
            Errno.NotDirectory or Errno.IsDirectory or Errno.TooManyLinks or Errno.NameTooLong or Errno.FileTooLarge
                or Errno.Invalid or Errno.NotSupported => new(
                StorageFailure.Denied,
                message,
                $"Look for what is not salvor's ('ls -la {root}'), or use a file system that can do this.",
                exception),
            Errno.TooManyFiles or Errno.TooManyFilesInSystem => new(
                StorageFailure.Unreachable,
                message,
                "Raise the limit of open files: 'ulimit -n' shows it.",
                exception),
            _ => new(
                StorageFailure.Unreachable,
                message,
                $"Check that the disk or share is there and healthy: 'findmnt -T {root}' and 'dmesg'.",
                exception),
        };
    }

    public static StorageException RootMissing(string root) => new(
        StorageFailure.Unreachable,
        $"destination {root} does not exist",
        $"Mount it if it is a disk or share; otherwise create it: 'mkdir -p -m 700 {root}'.");

    public static StorageException RootUnmounted(string root) => new(
        StorageFailure.Unreachable,
        $"destination {root} is no longer mounted",
        $"Mount it again: 'findmnt -T {root}' shows what is there now. Nothing is written to the disk underneath.");

    public static StorageException RootNotDirectory(string root) => new(
        StorageFailure.Denied,
        $"destination {root} is not a directory",
        "Give the path of a directory, in the configuration or on the command line.");
}
