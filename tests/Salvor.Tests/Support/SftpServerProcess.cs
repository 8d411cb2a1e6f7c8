using System.Diagnostics;
using Salvor.Storage.Sftp;

namespace Salvor.Tests.Support;

/// <summary>OpenSSH's SFTP server at the other end of two pipes, without SSH between.</summary>
sealed class SftpServerProcess : ISftpTransport
{
    readonly Process process;

    SftpServerProcess(Process process) => this.process = process;

    public Stream ToServer => process.StandardInput.BaseStream;

    public Stream FromServer => process.StandardOutput.BaseStream;

    /// <param name="arguments">Such as <c>-R</c>, read-only, or <c>-P fsync</c>, without that request.</param>
    public static SftpServerProcess Start(params string[] arguments) => new(Process.Start(
        new ProcessStartInfo("/usr/lib/openssh/sftp-server", arguments) { RedirectStandardInput = true, RedirectStandardOutput = true })!);

    public void Send(Signal signal)
    {
        using var kill = Process.Start("kill", [$"-{(int)signal}", $"{process.Id}"]);
        kill.WaitForExit();
    }

    public async Task<SftpEnd> EndAsync(SftpEnd noticed)
    {
        process.Kill();
        await process.WaitForExitAsync();
        return noticed;
    }
}
