using System.Diagnostics;
using System.Runtime.CompilerServices;
using Salvor.Platform;

namespace Salvor.Tests.Support;

/// <summary>A real process that takes a lock and holds it until it is killed: this program, started once more.</summary>
sealed class LockHoldingChild : IDisposable
{
    const string PathVariable = "SALVOR_TEST_HOLD_LOCK";

    readonly Process process;

    LockHoldingChild(Process process) => this.process = process;

    public int Pid => process.Id;

    /// <summary>Returns when the child has the lock.</summary>
    public static LockHoldingChild Start(string lockPath)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Salvor.Tests")) { RedirectStandardOutput = true };
        start.Environment[PathVariable] = lockPath;

        var process = Process.Start(start)!;
        Assert.Equal("held", process.StandardOutput.ReadLine());
        return new(process);
    }

    public void Kill()
    {
        process.Kill();
        process.WaitForExit();
    }

    public void Dispose()
    {
        Kill();
        process.Dispose();
    }

    /// <summary>Runs before the test runner's own entry point, which a child never reaches.</summary>
    [ModuleInitializer]
    internal static void HoldLockIfAsked()
    {
        if (Environment.GetEnvironmentVariable(PathVariable) is { } path)
        {
            LockFile.Acquire(path, LockHolder.Current(DateTimeOffset.UtcNow, socket: null, "0.1.0"));
            Console.WriteLine("held");
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
