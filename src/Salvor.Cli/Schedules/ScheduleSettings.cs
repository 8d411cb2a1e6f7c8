namespace Salvor.Cli.Schedules;

/// <summary>What a machine decides about its schedules.</summary>
/// <param name="Program">The program's path.</param>
/// <param name="Config">The configuration's path.</param>
/// <param name="User">Who runs it: the owner of the databases, or root.</param>
sealed record ScheduleSettings(string Program, string Config, string User)
{
    public static readonly ScheduleSettings Default = new("/usr/bin/salvor", "/etc/salvor/salvor.yaml", "salvor");

    /// <summary>The words of a job's command.</summary>
    public IReadOnlyList<string> CommandOf(ScheduledJob job) => [Program, .. job.Arguments, "--config", Config];

    /// <summary>The command as one line that needs no shell.</summary>
    public string LineOf(ScheduledJob job) => string.Join(' ', CommandOf(job));
}

/// <summary>A file that a schedule consists of; the name has no folder.</summary>
sealed record ScheduleFile(string Name, string Text);
