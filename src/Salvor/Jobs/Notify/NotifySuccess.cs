using System.Globalization;
using Salvor.Jobs.Drills;
using Salvor.Jobs.Health;
using Salvor.Text;

namespace Salvor.Jobs.Notify;

/// <summary>What went well since the last look.</summary>
static class NotifySuccess
{
    /// <summary>What was seen of each source, and what there is to tell: nothing that was there before it was seen first.</summary>
    public static (IReadOnlyDictionary<string, SeenSource> Seen, IReadOnlyList<WatchEvent> Told) Look(
        IReadOnlyDictionary<string, SeenSource> before, IReadOnlyList<SourceHealth> sources, DateTimeOffset now)
    {
        var seen = new Dictionary<string, SeenSource>();
        var told = new List<WatchEvent>();
        foreach (var health in sources)
        {
            var known = before.GetValueOrDefault(health.Source);
            var current = new SeenSource(
                known?.FirstSeen is { } first && first < now ? first : now, Later(known?.BackedUpAt, health.Backup?.LastSuccessAt),
                Later(known?.VerifiedAt, health.Verified is { Ok: true } verified ? verified.FinishedAt : null),
                Later(known?.DrilledAt, health.Drill is { Result: DrillResult.Pass } drill ? drill.FinishedAt : null));
            seen[health.Source] = current;
            if (known is not null)
            {
                told.AddRange(Told(known, current, health));
            }
        }

        return (seen, told);
    }

    static IEnumerable<WatchEvent> Told(SeenSource known, SeenSource current, SourceHealth health)
    {
        var source = health.Source;
        if (current.BackedUpAt != known.BackedUpAt && health.Backup is { } backup)
        {
            yield return Of(
                source, "backup", "was backed up",
                $"{source} was backed up: {SizeText.Format(backup.SizeBytes)}, {SizeText.Format(backup.AddedBytes)} added to the vault");
        }

        if (current.VerifiedAt != known.VerifiedAt && health.Verified is { } verified)
        {
            yield return Of(
                source, "verify", "was verified",
                $"{source} was verified ({verified.Kind}): {verified.Objects} object(s) are whole, position {verified.Position}");
        }

        if (current.DrilledAt != known.DrilledAt && health.Drill is { } drill)
        {
            var time = drill.RtoSeconds is { } seconds ? seconds.ToString("0.###", CultureInfo.InvariantCulture) : "?";
            yield return Of(
                source, "drill", "passed its drill", $"{source} was restored from {drill.Destination} in {time} s, and all checks passed");
        }
    }

    static WatchEvent Of(string source, string problem, string what, string text) =>
        new(NotifyKind.Success, NotifyKind.Success, problem, source, "", what, text, "", Since: null);

    static DateTimeOffset? Later(DateTimeOffset? a, DateTimeOffset? b) => a is null || b > a ? b : a;
}
