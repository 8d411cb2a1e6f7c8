using System.Globalization;

namespace Salvor.Cli.Terminal;

/// <summary>Who started this process.</summary>
static class StartedBy
{
    static readonly string[] Schedulers = ["cron", "crond", "anacron", "atd"];

    /// <summary>Whether a timer of systemd or a cron did, and nobody at a terminal.</summary>
    public static bool Timer() => Console.IsInputRedirected
        && (Environment.GetEnvironmentVariable("INVOCATION_ID") is { Length: > 0 } || Ancestors().Any(Schedulers.Contains));

    /// <summary>The names of the processes above, as far as a wrapper or two may hide a scheduler.</summary>
    static IEnumerable<string> Ancestors()
    {
        const int Depth = 4;
        var pid = Environment.ProcessId;
        for (var step = 0; step < Depth && pid > 1; step++)
        {
            if (Read(pid) is not var (name, parent))
            {
                yield break;
            }

            yield return name.ToLowerInvariant();
            pid = parent;
        }
    }

    static (string Name, int Parent)? Read(int pid)
    {
        try
        {
            // pid (name) state parent ..: a name may have any character, also a parenthesis.
            var stat = File.ReadAllText($"/proc/{pid}/stat");
            var (open, close) = (stat.IndexOf('(', StringComparison.Ordinal), stat.LastIndexOf(')'));
            return (stat[(open + 1)..close], int.Parse(stat[(close + 2)..].Split(' ')[1], CultureInfo.InvariantCulture));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }
}
