using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Jobs.Commands;

/// <summary>The hook after something failed, which itself went well.</summary>
public sealed class AfterHookException(FailureKind kind, string message, string hint) : SalvorException(kind, message, hint);

/// <summary>What is run before and after something that is done with a source.</summary>
/// <param name="source">The source.</param>
/// <param name="action"><c>backup</c> or <c>restore</c>.</param>
/// <param name="time">The clock.</param>
public sealed class SourceHooks(SourceConfig source, string action, TimeProvider time)
{
    /// <summary>Told of what a hook that ended well said, and of one that failed after something else had.</summary>
    public Action<string>? Warned { get; init; }

    /// <summary>
    /// Does the work between the hooks. A hook before it that fails stops it. The hook after it runs in any case, and is told the outcome;
    /// where it alone fails, an <see cref="AfterHookException"/> is thrown, and the work stays done.
    /// </summary>
    /// <param name="variables">What both hooks are told besides.</param>
    /// <param name="work">The work.</param>
    /// <param name="outcome">What the hook after it is told of its result: <c>SALVOR_OUTCOME</c> and others.</param>
    /// <param name="cancellationToken">Stops it; the hook after it runs nevertheless.</param>
    public async Task<T> AroundAsync<T>(
        IReadOnlyDictionary<string, string> variables, Func<Task<T>> work, Func<T, Dictionary<string, string>> outcome,
        CancellationToken cancellationToken)
    {
        T result;
        try
        {
            await RunAsync("before", variables, new(), cancellationToken);
            result = await work();
        }
        catch (Exception e)
        {
            await AfterFailureAsync(variables, e);
            throw;
        }

        await RunAsync("after", variables, outcome(result), CancellationToken.None);
        return result;
    }

    async Task AfterFailureAsync(IReadOnlyDictionary<string, string> variables, Exception failure)
    {
        try
        {
            await RunAsync(
                "after", variables, new() { ["SALVOR_OUTCOME"] = "failure", ["SALVOR_ERROR"] = failure.Message }, CancellationToken.None);
        }
        catch (SalvorException e)
        {
            Warned?.Invoke(e.Message);
        }
    }

    async Task RunAsync(
        string when, IReadOnlyDictionary<string, string> variables, Dictionary<string, string> more, CancellationToken cancellationToken)
    {
        var hook = $"{when}_{action}";
        if (source.Hooks.Of(hook) is not { } command)
        {
            return;
        }

        var start = command.ToStart();
        var environment = new Dictionary<string, string>(start.Environment.Concat(variables).Concat(more))
        {
            ["SALVOR_HOOK"] = hook, ["SALVOR_SOURCE"] = source.Name,
        };
        using var limit = new CancellationTokenSource(command.Limit, time);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, limit.Token);
        try
        {
            var end = await ProgramEnd.RunAsync(start with { Environment = environment }, both.Token);
            var said = $"{end.Printed}{end.Told}";
            if (end.ExitCode != 0)
            {
                throw Failed(FailureKind.Failure, $"ended with {ProgramEnd.Describe(end.ExitCode)}{command.Said(said)}");
            }

            foreach (var line in command.LastLines(end.Told))
            {
                Warned?.Invoke($"{hook}: {line}");
            }
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw Failed(FailureKind.TimedOut, $"did not end within {DurationText.Format(command.Limit)}, and was stopped");
        }
        catch (ProgramException e)
        {
            throw Failed(FailureKind.Failure, $"was not run: {e.Message}");
        }

        SalvorException Failed(FailureKind kind, string what)
        {
            var message = $"the {hook} hook of {source.Name} {what}";
            return when == "before"
                ? new SalvorException(kind, message, $"No {action} is made until it ends well: run '{command.Name}' by itself to see why.")
                : new AfterHookException(kind, message, $"The {action} is made; run '{command.Name}' by itself to see why.");
        }
    }
}
