namespace Salvor.Platform;

/// <summary>A call of the operating system failed on a path.</summary>
sealed class PosixException(int error, string action, string path, FailureKind kind = FailureKind.Failure)
    : SalvorException(kind, $"cannot {action} {path}: {Errno.Describe(error)}", HintFor(error, path))
{
    /// <summary>The error number of the system.</summary>
    public int Error { get; } = error;

    static string HintFor(int error, string path) => error switch
    {
        Errno.AccessDenied or Errno.NotPermitted =>
            $"Give the user that runs salvor access: 'namei -l {path}' shows who has it at each step of the path.",
        Errno.NoEntry or Errno.NotDirectory => $"Check the spelling: 'namei -l {path}' shows where the path ends.",
        Errno.NoSpace or Errno.QuotaExceeded => $"Free space: 'df -h {Directory(path)}' shows how much is left.",
        Errno.ReadOnlyFileSystem => $"Mount it writable: 'findmnt -T {Directory(path)}' shows how it is mounted.",
        Errno.TooManyFiles or Errno.TooManyFilesInSystem => "Raise the limit of open files: 'ulimit -n' shows it.",
        _ => $"Look at 'dmesg' and 'findmnt -T {Directory(path)}': the disk or its file system may have failed.",
    };

    static string Directory(string path) => Path.GetDirectoryName(path) is { Length: > 0 } directory ? directory : path;
}
