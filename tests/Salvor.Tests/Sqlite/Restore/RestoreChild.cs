using System.Diagnostics;
using System.Runtime.CompilerServices;
using Salvor.Sqlite.Restore;

namespace Salvor.Tests.Sqlite.Restore;

/// <summary>A real restore in a process of its own, which is killed before it commits: this program, started once more.</summary>
sealed class RestoreChild : IDisposable
{
    const string OutputVariable = "SALVOR_TEST_RESTORE_OUTPUT";

    readonly Process process;

    RestoreChild(Process process) => this.process = process;

    /// <summary>Returns when its unfinished file is there.</summary>
    public static RestoreChild Preparing(string output)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Salvor.Tests")) { RedirectStandardOutput = true };
        start.Environment[OutputVariable] = output;
        var process = Process.Start(start)!;
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        return new(process);
    }

    public void Dispose()
    {
        process.Kill();
        process.WaitForExit();
        process.Dispose();
    }

    /// <summary>Runs before the test runner's own entry point, which a child never reaches.</summary>
    [ModuleInitializer]
    internal static void PrepareIfAsked()
    {
        if (Environment.GetEnvironmentVariable(OutputVariable) is { } output)
        {
            using var target = RestoreTarget.Prepare(output, RestoreMode.NewFile, RestoreTargetOptions.Default, FixedTime.Instance);
            Console.WriteLine("ready");
            Thread.Sleep(Timeout.Infinite);
        }
    }
}
