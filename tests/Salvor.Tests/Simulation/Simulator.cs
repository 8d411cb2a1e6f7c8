using System.Runtime.ExceptionServices;

namespace Salvor.Tests.Simulation;

/// <summary>
/// Runs asynchronous code on one thread: of what is ready, one step at a time, in an order drawn from the seed; when nothing is ready, the
/// time jumps to the next timer. What continues on another thread would make a run different each time, so it fails the run.
/// </summary>
sealed class Simulator(SimulatedTime time, Random random) : SynchronizationContext
{
    const int StepsMax = 20_000_000;

    readonly List<(SimulatedProcess? Process, SendOrPostCallback Callback, object? State)> ready = [];
    readonly int thread = Environment.CurrentManagedThreadId;
    volatile Exception? failure;

    /// <summary>Returns when the task has ended, and throws what it or anything else threw.</summary>
    public void Run(Func<Task> main)
    {
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            var task = main();
            for (var steps = 0; !task.IsCompleted; steps++)
            {
                ThrowIfFailed();
                if (steps == StepsMax)
                {
                    throw new SimulationException($"nothing ends: {StepsMax} steps were taken by {time.Elapsed}");
                }

                if (ready.Count > 0)
                {
                    RunOne();
                }
                else if (!time.TryFireNext())
                {
                    throw new SimulationException($"at {time.Elapsed} everything waits for what will never happen");
                }
            }

            ThrowIfFailed();
            task.GetAwaiter().GetResult();
        }
        finally
        {
            SetSynchronizationContext(before);
        }
    }

    /// <summary>Ends the run with this failure.</summary>
    public void Fail(Exception e) => failure ??= e;

    public override void Post(SendOrPostCallback d, object? state) => Post(null, d, state);

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("a step cannot wait for another");

    public override SynchronizationContext CreateCopy() => this;

    public void Post(SimulatedProcess? process, SendOrPostCallback callback, object? state)
    {
        if (Environment.CurrentManagedThreadId != thread)
        {
            Fail(new SimulationException($"a step came from another thread; use no thread pool: {Environment.StackTrace}"));
            return;
        }

        ready.Add((process, callback, state));
    }

    void RunOne()
    {
        var index = random.Next(ready.Count);
        var (process, callback, state) = ready[index];
        ready[index] = ready[^1];
        ready.RemoveAt(ready.Count - 1);
        if (process is { IsKilled: true })
        {
            return;
        }

        SetSynchronizationContext(process ?? (SynchronizationContext)this);
        try
        {
            callback(state);
        }
        finally
        {
            SetSynchronizationContext(this);
        }
    }

    void ThrowIfFailed()
    {
        if (failure is { } e)
        {
            ExceptionDispatchInfo.Throw(e);
        }
    }
}

/// <summary>A process on the simulated machine. Once it is killed, nothing of it goes on: no step, no timer, no answer.</summary>
sealed class SimulatedProcess(Simulator simulator) : SynchronizationContext
{
    public bool IsKilled { get; private set; }

    public void Kill() => IsKilled = true;

    /// <summary>Begins in this process. The task never ends where the process is killed before.</summary>
    public Task Start(Func<Task> main)
    {
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(_ => _ = RunAsync(), null);
        return ended.Task;

        async Task RunAsync()
        {
            try
            {
                await main();
                ended.SetResult();
            }
            catch (Exception e)
            {
                ended.SetException(e);
            }
        }
    }

    public override void Post(SendOrPostCallback d, object? state)
    {
        if (!IsKilled)
        {
            simulator.Post(this, d, state);
        }
    }

    public override void Send(SendOrPostCallback d, object? state) => throw new NotSupportedException("a step cannot wait for another");

    public override SynchronizationContext CreateCopy() => this;
}

/// <summary>The simulation cannot go on, or a promise was broken.</summary>
sealed class SimulationException(string message) : Exception(message);
