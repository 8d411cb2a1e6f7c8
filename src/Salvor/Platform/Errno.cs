using System.Runtime.InteropServices;

namespace Salvor.Platform;

/// <summary>The error numbers of Linux that change what we do next.</summary>
static class Errno
{
    public const int NotPermitted = 1;
    public const int NoEntry = 2;
    public const int NoProcess = 3;
    public const int Interrupted = 4;
    public const int TryAgain = 11;
    public const int AccessDenied = 13;
    public const int Busy = 16;
    public const int Exists = 17;
    public const int NotDirectory = 20;
    public const int IsDirectory = 21;
    public const int Invalid = 22;
    public const int TooManyFilesInSystem = 23;
    public const int TooManyFiles = 24;
    public const int FileTooLarge = 27;
    public const int NoSpace = 28;
    public const int CannotSeek = 29;
    public const int ReadOnlyFileSystem = 30;
    public const int NameTooLong = 36;
    public const int NoLocks = 37;
    public const int NotImplemented = 38;
    public const int NotEmpty = 39;
    public const int TooManyLinks = 40;
    public const int NotSupported = 95;
    public const int QuotaExceeded = 122;

    /// <summary>The system's words for an error number, in lower case.</summary>
    public static string Describe(int error)
    {
        var text = Marshal.GetPInvokeErrorMessage(error);
        return text.Length > 1 && char.IsUpper(text[0]) && !char.IsUpper(text[1]) ? char.ToLowerInvariant(text[0]) + text[1..] : text;
    }

    /// <summary>The error number behind an exception of .NET's own file calls, or 0 where it has none.</summary>
    public static int Of(Exception exception) => exception switch
    {
        PosixException posix => posix.Error,

        // .NET keeps the system's number here, except where a type of its own says the same.
        FileNotFoundException or DirectoryNotFoundException => NoEntry,
        PathTooLongException => NameTooLong,
        IOException io when io.HResult is > 0 and < 4096 => io.HResult,
        UnauthorizedAccessException { InnerException: IOException inner } when inner.HResult is > 0 and < 4096 => inner.HResult,
        UnauthorizedAccessException => AccessDenied,
        _ => 0,
    };
}
