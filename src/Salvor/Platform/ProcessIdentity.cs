using System.Globalization;

namespace Salvor.Platform;

/// <summary>
/// Which process, for good: an id alone is given to another process sooner or later, and starts anew with the machine.
/// </summary>
/// <param name="Host">The name of the machine or container.</param>
/// <param name="BootId">Chosen by the kernel at each start.</param>
/// <param name="Pid">The id of the process.</param>
/// <param name="StartTicks">When the process started, in clock ticks since the machine did.</param>
sealed record ProcessIdentity(string Host, string BootId, int Pid, long StartTicks)
{
    static readonly Lazy<ProcessIdentity> current = new(ReadCurrent);

    /// <summary>
    /// The inode of the namespace that the process id belongs to, or 0 where that is not known. Two containers with one name on
    /// one machine both have a process 1.
    /// </summary>
    public ulong PidNamespace { get; init; }

    /// <summary>This process.</summary>
    public static ProcessIdentity Current() => current.Value;

    /// <summary>
    /// Whether the process certainly runs no more. False where that cannot be known from here: it ran on another machine, or its
    /// processes are hidden from us.
    /// </summary>
    public bool IsProvablyDead() => IsProvablyDead(Current());

    /// <summary>As <see cref="IsProvablyDead()"/>, seen by the process <paramref name="here"/>.</summary>
    internal bool IsProvablyDead(ProcessIdentity here)
    {
        // A name that every fresh machine has is no proof that two machines are one.
        if (Host != here.Host || BootId.Length == 0 || here.BootId.Length == 0)
        {
            return false;
        }

        if (BootId != here.BootId)
        {
            return Host is not ("localhost" or "localhost.localdomain");
        }

        if (PidNamespace != 0 && PidNamespace != here.PidNamespace)
        {
            return false;
        }

        if (!Posix.ProcessExists(Pid))
        {
            return true;
        }

        return ProcessStat.TryRead(Pid) is { } now && (now.StartTicks != StartTicks || now.IsFinished);
    }

    static ProcessIdentity ReadCurrent()
    {
        var pid = Environment.ProcessId;
        return new(Environment.MachineName, ReadBootId(), pid, ProcessStat.TryRead(pid)?.StartTicks ?? 0)
        {
            PidNamespace = FileIdentity.Of("/proc/self/ns/pid")?.Inode ?? 0,
        };
    }

    static string ReadBootId()
    {
        const string path = "/proc/sys/kernel/random/boot_id";
        return File.Exists(path) ? File.ReadAllText(path).Trim() : "";
    }
}

/// <summary>The part of <c>/proc/PID/stat</c> that identifies a process.</summary>
readonly record struct ProcessStat(char State, int ThreadCount, long StartTicks)
{
    /// <summary>Finished, and only waiting for its parent to ask how. A leader may end before its threads do, so they count too.</summary>
    public bool IsFinished => State is 'Z' or 'X' && ThreadCount <= 1;

    /// <summary>Stopped by a signal or a debugger.</summary>
    public bool IsStopped => State is 'T' or 't';

    /// <summary>Reads it, or null where there is no such process or we may not see it.</summary>
    public static ProcessStat? TryRead(int pid)
    {
        try
        {
            return TryParse(File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/stat")));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Gone, going (reading then fails with ESRCH), or hidden from us: either way we have seen nothing.
            return null;
        }
    }

    /// <summary>Parses a line of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html.</summary>
    public static ProcessStat? TryParse(string line)
    {
        // The second field is the name of the program, which may contain anything, also spaces and parentheses.
        var nameEnd = line.LastIndexOf(')');
        if (nameEnd < 0)
        {
            return null;
        }

        const int threadCountField = 17, startField = 19;
        var fields = line[(nameEnd + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return fields.Length > startField
            && int.TryParse(fields[threadCountField], CultureInfo.InvariantCulture, out var threadCount)
            && long.TryParse(fields[startField], CultureInfo.InvariantCulture, out var startTicks)
            ? new(fields[0][0], threadCount, startTicks)
            : null;
    }
}
