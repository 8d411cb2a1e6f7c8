using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Salvor.Text;

namespace Salvor.Jobs.Config;

/// <summary>When the daemon backs up a source.</summary>
/// <param name="Source">The source.</param>
/// <param name="Times">The times.</param>
public sealed record ScheduleConfig(string Source, Timetable Times)
{
    public static readonly TimeSpan JitterMax = TimeSpan.FromHours(12);

    static readonly TimeSpan SlackMin = TimeSpan.FromHours(1);

    /// <summary>By how much each run may be later, so that many machines do not begin at once.</summary>
    public TimeSpan Jitter { get; init; }

    /// <summary>Whether what was missed while nothing ran is made up for, once.</summary>
    public bool CatchesUp { get; init; } = true;

    /// <summary>
    /// When it is due after another run. The chance in it follows from the source and the time, so that all who ask are told the same.
    /// </summary>
    public DateTimeOffset NextAfter(DateTimeOffset last)
    {
        var next = Times.NextAfter(last);
        return Jitter == TimeSpan.Zero ? next : next + TimeSpan.FromSeconds(Math.Floor((Jitter * ChanceAt(next)).TotalSeconds));
    }

    /// <summary>No run that is due next after a time, or was before it, is due later than this.</summary>
    public DateTimeOffset LatestAfter(DateTimeOffset time) => Times.NextAfter(time) + Jitter;

    /// <summary>So late a run is not missed yet: a twelfth of the longest time between two, at least an hour.</summary>
    public TimeSpan Slack => Times.LongestGap() / 12 is var part && part > SlackMin ? part : SlackMin;

    /// <summary>How old the last backup may be where nothing else is said.</summary>
    public TimeSpan AgeMax() => Times.LongestGap() + Jitter + Slack;

    double ChanceAt(DateTimeOffset time)
    {
        var hash = SHA256.HashData(Encoding.UTF8.GetBytes($"{Source} {time.ToUnixTimeSeconds()}"));
        return BinaryPrimitives.ReadUInt32LittleEndian(hash) / (double)(1UL << 32);
    }
}
