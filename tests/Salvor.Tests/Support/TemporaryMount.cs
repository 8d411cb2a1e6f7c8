using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Salvor.Tests.Support;

/// <summary>A small file system in memory, mounted on an existing directory. Only root may mount, so others skip.</summary>
sealed partial class TemporaryMount : IDisposable
{
    readonly string path;
    bool isMounted = true;

    TemporaryMount(string path) => this.path = path;

    public static TemporaryMount OfOneMebibyte(string path)
    {
        Assert.SkipUnless(UserId() == 0, "only root can mount a file system");
        Run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path);
        return new(path);
    }

    /// <summary>As an operator does who finds the file system full.</summary>
    public void Enlarge() => Run("mount", "-o", "remount,size=256m", path);

    public void MakeReadOnly() => Run("mount", "-o", "remount,ro", path);

    public void Unmount()
    {
        Run("umount", path);
        isMounted = false;
    }

    public void Dispose()
    {
        if (isMounted)
        {
            Unmount();
        }
    }

    static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint UserId();
}
