using Salvor.Tests.Support;

namespace Salvor.Tests.Simulation;

/// <summary>
/// How a destination fares over time: phases in which calls are slow, fail before or after their effect, or all fail. Most seeds have only
/// some kinds of trouble: a run in which everything goes wrong hides what goes wrong when little does.
/// </summary>
sealed class Weather
{
    readonly List<Phase> phases = [];
    readonly SimulatedTime time;
    readonly Random random;
    int current;

    public Weather(SimulatedTime time, Random random, TimeSpan until)
    {
        (this.time, this.random) = (time, random);
        var (hasFaults, hasOutages, isSlow) = (random.Next(4) != 0, random.Next(3) == 0, random.Next(3) == 0);
        for (var end = TimeSpan.Zero; end < until;)
        {
            var isOutage = hasOutages && random.Next(8) == 0;
            end += isOutage ? TimeSpan.FromMinutes(random.Next(1, 90)) : TimeSpan.FromSeconds(random.Next(1, 900));
            phases.Add(new Phase(
                end,
                Before: isOutage ? 1 : hasFaults ? random.NextDouble() / 4 : 0,
                After: hasFaults ? random.NextDouble() / 4 : 0,
                LatencyMaxMs: isSlow ? random.Next(1, 5000) : random.Next(2, 60)));
        }
    }

    /// <summary>From now on everything works, and is quick.</summary>
    public bool IsCalm { get; set; }

    Phase Now
    {
        get
        {
            while (current < phases.Count - 1 && phases[current].End <= time.Elapsed)
            {
                current++;
            }

            return IsCalm ? new Phase(default, 0, 0, 3) : phases[current];
        }
    }

    public Fault Next()
    {
        var chance = random.NextDouble();
        return chance < Now.Before ? Fault.Before : chance < Now.Before + Now.After ? Fault.After : Fault.None;
    }

    public TimeSpan Latency() => TimeSpan.FromMilliseconds(random.Next(Now.LatencyMaxMs));

    readonly record struct Phase(TimeSpan End, double Before, double After, int LatencyMaxMs);
}
