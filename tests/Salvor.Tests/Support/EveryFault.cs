using Salvor.Storage;

namespace Salvor.Tests.Support;

/// <summary>
/// SQLite's habit: run an operation with its first storage call failing, then with its second, and so on until a run meets no
/// fault. Each failed call, whether it failed before or after its effect, must leave the store so that the operation can simply
/// be run again.
/// </summary>
static class EveryFault
{
    /// <summary>Far more calls than an operation worth testing this way makes.</summary>
    const int CallsMax = 10_000;

    /// <summary>Returns how many calls an undisturbed run makes, so that a costly extra request is noticed.</summary>
    public static async Task<int> TryAsync(
        Func<IObjectStore> createStore, Func<IObjectStore, Task> operation, Func<IObjectStore, Task> check)
    {
        for (var number = 1; number <= CallsMax; number++)
        {
            var reached = false;
            foreach (var fault in (Fault[])[Fault.Before, Fault.After])
            {
                reached |= await TryOneAsync(createStore(), operation, check, number, fault);
            }

            if (!reached)
            {
                return number - 1;
            }
        }

        throw new InvalidOperationException($"the operation still met a fault at call {CallsMax}");
    }

    /// <summary>Whether the operation made the call that fails.</summary>
    static async Task<bool> TryOneAsync(
        IObjectStore store, Func<IObjectStore, Task> operation, Func<IObjectStore, Task> check, int number, Fault fault)
    {
        var faulty = new FaultyStore(store, call => call.Number == number ? fault : Fault.None);
        var reached = false;
        try
        {
            await operation(faulty);
            reached = faulty.CallCount >= number;
        }
        catch (StorageException e) when (e.Failure == StorageFailure.Unreachable)
        {
            reached = true;
            await operation(store);
        }

        await check(store);
        return reached;
    }
}
