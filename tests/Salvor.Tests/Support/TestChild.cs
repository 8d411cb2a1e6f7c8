using System.Diagnostics;
using System.Runtime.CompilerServices;
using Salvor.Platform;
using Salvor.Storage;

namespace Salvor.Tests.Support;

/// <summary>A real process that does one thing until it is killed: this program, started once more.</summary>
sealed class TestChild : IDisposable
{
    const string RoleVariable = "SALVOR_TEST_CHILD";
    const string PathVariable = "SALVOR_TEST_CHILD_PATH";

    readonly Process process;

    TestChild(Process process) => this.process = process;

    public int Pid => process.Id;

    /// <summary>Returns when the child has the lock.</summary>
    public static TestChild HoldingLock(string lockPath) => Start(nameof(HoldLock), lockPath);

    /// <summary>
    /// Puts objects <c>vault/000000</c>, <c>vault/000001</c> and so on as fast as it can, each of <see cref="ObjectSizeBytes"/>
    /// bytes. Returns when the first is there.
    /// </summary>
    public static TestChild PuttingObjects(string root) => Start(nameof(PutObjects), root);

    public const int ObjectSizeBytes = 256 * 1024;

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
    internal static void PlayRoleIfAsked()
    {
        var path = Environment.GetEnvironmentVariable(PathVariable) ?? "";
        switch (Environment.GetEnvironmentVariable(RoleVariable))
        {
            case nameof(HoldLock):
                HoldLock(path);
                break;
            case nameof(PutObjects):
                PutObjects(path);
                break;
        }
    }

    static TestChild Start(string role, string path)
    {
        var start = new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Salvor.Tests")) { RedirectStandardOutput = true };
        start.Environment[RoleVariable] = role;
        start.Environment[PathVariable] = path;

        var process = Process.Start(start)!;
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        return new(process);
    }

    static void HoldLock(string path)
    {
        LockFile.Acquire(path, LockHolder.Current(DateTimeOffset.UtcNow, socket: null, "0.1.0"));
        Console.WriteLine("ready");
        Thread.Sleep(Timeout.Infinite);
    }

    static void PutObjects(string root)
    {
        // A module initializer holds a lock of the runtime that code on other threads waits for, so everything stays on this one.
        var context = new OneThread();
        SynchronizationContext.SetSynchronizationContext(context);
        var store = new FileStore(root);
        for (var number = 0; ; number++)
        {
            context.Run(store.PutAsync($"vault/{number:d6}", new byte[ObjectSizeBytes], default));
            if (number == 0)
            {
                Console.WriteLine("ready");
            }
        }
    }

    sealed class OneThread : SynchronizationContext
    {
        readonly Queue<(SendOrPostCallback Callback, object? State)> ready = new();

        public override void Post(SendOrPostCallback d, object? state) => ready.Enqueue((d, state));

        public void Run(Task task)
        {
            while (!task.IsCompleted)
            {
                var (callback, state) = ready.Dequeue();
                callback(state);
            }

            task.GetAwaiter().GetResult();
        }
    }
}
