using Salvor.Storage.Sftp;
using Salvor.Tests.Support;

namespace Salvor.Tests.Storage.Sftp;

/// <summary>Stores on OpenSSH's SFTP server without SSH.</summary>
static class SftpRig
{
    public static SftpOptions Options(string path, bool allowWeak = false) =>
        new() { Host = "nas", User = "salvor", Path = path, AllowWeak = allowWeak };

    public static SftpStore Store(string path, bool allowWeak = false, params string[] serverArguments) =>
        Store(Options(path, allowWeak), () => SftpServerProcess.Start(serverArguments));

    public static SftpStore Store(SftpOptions options, Func<ISftpTransport> connect, TimeProvider? time = null) =>
        new(options, new SftpSessions(connect, time ?? TimeProvider.System), time ?? TimeProvider.System);
}
