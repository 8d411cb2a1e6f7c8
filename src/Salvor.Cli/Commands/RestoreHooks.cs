using Salvor.Cli.Terminal;
using Salvor.Jobs.Commands;
using Salvor.Jobs.Config;

namespace Salvor.Cli.Commands;

/// <summary>What a configuration runs before and after a restore.</summary>
static class RestoreHooks
{
    /// <summary>Restores between the hooks of the source, if there is one that is configured.</summary>
    public static Task<int> AroundAsync(Invocation invocation, SourceConfig? source, string target, Func<Task<int>> restore) =>
        source is null
            ? restore()
            : new SourceHooks(source, "restore", invocation.Time) { Warned = line => invocation.Tell($"warning: {line}") }.AroundAsync(
                new Dictionary<string, string> { ["SALVOR_TARGET"] = target }, restore,
                _ => new() { ["SALVOR_OUTCOME"] = "success" }, invocation.Cancellation);
}
