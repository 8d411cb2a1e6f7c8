using Salvor.Jobs;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Tests.Simulation;

/// <summary>
/// Judges what a simulation left at the destination, by reading every object itself and comparing with what was witnessed, and by asking
/// the product for the same.
/// </summary>
sealed class HistoryJudge(SimulatedWorld world, int seed)
{
    readonly Random random = new(seed);
    readonly Dictionary<uint, List<StoredPoint>> histories = [];

    // Of the branch that is being judged: its number, the points on the way to its end, and the content at the last of them.
    uint branch;
    List<StoredPoint> points = [];
    List<byte[]> pages = [];
    int forkedAt;
    int spanCount;

    /// <param name="restoreAll">Whether to restore every position, not only a few.</param>
    public async Task JudgeAsync(bool restoreAll)
    {
        var catalog = await VaultReading.OpenAsync(world.Vault, SimulatedWorld.Name);
        var history = await VaultReading.OpenAsync(world.Vault.Memory, SimulatedWorld.Name);
        var spans = await RestoreSpans.FindAsync(catalog, default);
        await ReadImageAsync(catalog);
        foreach (var item in catalog.Branches)
        {
            (branch, forkedAt, spanCount) = (item.Number, (int)item.Record.ForkPosition, 0);
            if (item.Record.Parent != 0)
            {
                points = histories[item.Record.Parent][..forkedAt];
                pages = [.. points[^1].Meaning.State.Pages];
            }

            histories[branch] = points;
            Expect(catalog.Logs(branch).Missing.Count == 0, $"the log of branch {branch} has a hole");
            await ReadHistoryAsync(history, item);
            await ExpectTimesAsync(catalog);
            ExpectSpans([.. spans.Where(span => span.Branch == branch)]);
            await ExpectRestoresAsync(catalog, restoreAll);
        }

        ExpectPromisesKept();
        Expect(
            world.Database.State.HasContentOf(points[^1].Meaning.State.Pages), "the last restore point is not what was committed last");
    }

    /// <summary>Reads the log from its first object to its last, and compares the content at every commit.</summary>
    async Task ReadHistoryAsync(VaultCatalog catalog, Branch item)
    {
        Expect(catalog.Logs(branch).Missing.Count == 0, $"the log of branch {branch} has a hole");
        var parts = new List<(LogObject Log, byte[][] Content)>();
        var link = catalog.LineageStart(item);
        for (var number = 1UL; number <= catalog.Logs(branch).Last; number++)
        {
            var log = await catalog.ReadLogAsync(branch, number, default);
            Expect(log.Header.LineageBefore == link, $"log object {number} does not continue the one before it");
            link = log.Header.LineageAfter;
            if (log.Details.FirstPart == number)
            {
                parts.Clear();
            }

            parts.Add((log, await ReadContentAsync(catalog, log)));
            Expect(parts[0].Log.Header.Number == log.Details.FirstPart, $"log object {number} lacks its first part");
            if (log.Details.Final)
            {
                Apply(parts);
            }
        }

        Expect(points.Count > 0, "nothing was stored");
    }

    async Task ReadImageAsync(VaultCatalog catalog)
    {
        var root = catalog.Snapshots.Single(item => item.Position == Position.None);
        var image = await SnapshotReader.OpenAsync(catalog.Vault, root, default);
        var content = new byte[image.Details.PageCount * SimulatedWorld.PageSize];
        await image.ReadAsync(1, (offset, bytes) => bytes.CopyTo(content.AsSpan((int)offset)), default);
        pages.AddRange(content.Chunk((int)SimulatedWorld.PageSize));
    }

    static async Task<byte[][]> ReadContentAsync(VaultCatalog catalog, LogObject log)
    {
        using var stored = await catalog.OpenLogAsync(log.Key, whole: false, default);
        var content = new List<byte[]>();
        for (var frame = 0; frame < log.Details.FrameHashes.Count; frame++)
        {
            content.AddRange((await stored.ReadFrameAsync(frame, default)).Chunk((int)SimulatedWorld.PageSize));
        }

        Expect(content.Count == log.Details.Pages.Count, $"log object {log.Header.Number} has other pages than its table says");
        return [.. content];
    }

    void Apply(List<(LogObject Log, byte[][] Content)> parts)
    {
        var last = parts[^1].Log;
        var rows = parts.SelectMany(part => part.Log.Details.Pages.Zip(part.Content)).ToList();
        var earlier = rows.Count - last.Details.Pages.Count;
        var next = 0;
        foreach (var commit in last.Details.Commits)
        {
            var end = next + (int)commit.Pages + (next == 0 && (ulong)points.Count + 1 == last.Header.PositionFirst ? earlier : 0);
            for (; next < end; next++)
            {
                SetPage(rows[next].First.Number, rows[next].Second);
            }

            pages.RemoveRange(Math.Min(pages.Count, (int)commit.PageCount), Math.Max(0, pages.Count - (int)commit.PageCount));
            AddPoint(last, commit);
        }

        spanCount += last.Details.Kind == LogKind.Commits && spanCount > 0 ? 0 : 1;
        Expect(points.Count == (int)last.Header.PositionLast, $"log object {last.Header.Number} ends at another position than it says");
        Expect(next == rows.Count, $"log object {last.Header.Number} has pages of no commit");
    }

    void SetPage(uint number, byte[] content)
    {
        while (pages.Count < number)
        {
            pages.Add([]);
        }

        pages[(int)number - 1] = content;
    }

    void AddPoint(LogObject log, CommitEntry commit)
    {
        var position = (ulong)points.Count + 1;
        var meaning = world.Witness.Meaning(log.Header.Epoch, position);
        Expect(meaning.State.HasContentOf(pages), $"position {position} is not what was captured as it");
        Expect(commit.RawTimeMicros == meaning.WallMicros, $"position {position} has another wall clock");
        var before = points.Count == 0 ? null : points[^1];
        if (before is not null)
        {
            Expect(commit.TimeMicros > before.TimeMicros, $"position {position} is not later than the one before it");
        }

        if (log.Details.Kind == LogKind.Commits)
        {
            Expect(
                meaning.State.Parent!.HasContentOf(before!.Meaning.State.Pages),
                $"commits are missing between position {position} and the one before it");
        }

        if (!world.HasClockJumps)
        {
            var expected = Math.Max(commit.RawTimeMicros, before?.TimeMicros + 1 ?? 0);
            Expect(commit.TimeMicros - expected is >= 0 and < 1000, $"position {position} has another time than its commit");
        }

        points.Add(new StoredPoint(new Position(position), commit.TimeMicros, meaning));
    }

    /// <summary>What a writer called durable is there as that writer stored it, on a branch that is offered.</summary>
    void ExpectPromisesKept()
    {
        foreach (var (epoch, position) in world.Witness.Promises)
        {
            Expect(
                histories.Values.Any(history => position <= (ulong)history.Count && history[(int)position - 1].Meaning.Epoch == epoch),
                $"position {position} was durable and is missing, or is another writer's");
        }
    }

    async Task ExpectTimesAsync(VaultCatalog catalog)
    {
        var planner = new RestorePlanner(catalog);
        var times = new List<long>();
        for (var i = 0; i < 12; i++)
        {
            times.Add(points[random.Next(points.Count)].TimeMicros + random.Next(-1, 2));
            times.Add(random.NextInt64(points[0].TimeMicros, points[^1].TimeMicros + 1));
        }

        var reached = Position.None;
        foreach (var micros in times.Order().Where(micros => micros >= points[0].TimeMicros && micros <= points[^1].TimeMicros))
        {
            var request = new RestoreRequest(branch, Micros.ToTime(micros), null);
            var point = await RestoreTargets.ResolveAsync(catalog, planner, request, default);
            var index = (int)point.Position.Value - 1;
            Expect(Micros.Of(point.Time) == points[index].TimeMicros, $"position {point.Position} has another time in a plan");
            Expect(points[index].TimeMicros <= micros, $"a restore to {micros} lands later");
            Expect(index + 1 == points.Count || points[index + 1].TimeMicros > micros, $"a restore to {micros} lands too early");
            Expect(point.Position >= reached, $"a later time lands earlier, at position {point.Position}");
            reached = point.Position;
        }

        await ExpectRefusedAsync(catalog, new RestoreRequest(branch, Micros.ToTime(points[0].TimeMicros - 1), null));
        await ExpectRefusedAsync(catalog, new RestoreRequest(branch, Micros.ToTime(points[^1].TimeMicros + 1), null));
        await ExpectRefusedAsync(catalog, new RestoreRequest(branch, null, points[^1].Position.Next));
        await ExpectRefusedAsync(catalog, new RestoreRequest(branch, null, Position.None));
    }

    static async Task ExpectRefusedAsync(VaultCatalog catalog, RestoreRequest request)
    {
        try
        {
            await RestoreTargets.ResolveAsync(catalog, new RestorePlanner(catalog), request, default);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable)
        {
            return;
        }

        throw new SimulationException($"{request} is not refused");
    }

    /// <summary>What is offered is every position once, with a new span wherever what happened before cannot be told apart.</summary>
    void ExpectSpans(List<RestoreSpan> spans)
    {
        Expect(spans.Count == spanCount, $"{spans.Count} spans are offered in place of {spanCount}");
        var last = new Position((ulong)forkedAt);
        foreach (var span in spans)
        {
            Expect(span.First == last.Next && span.Last >= span.First, $"a span begins at position {span.First} after {last}");
            Expect(Micros.Of(span.From) == points[(int)span.First.Value - 1].TimeMicros, $"the span of {span.First} has another begin");
            Expect(Micros.Of(span.To) == points[(int)span.Last.Value - 1].TimeMicros, $"the span of {span.First} has another end");
            last = span.Last;
        }

        Expect(last == points[^1].Position, $"the spans end at position {last}");
    }

    async Task ExpectRestoresAsync(VaultCatalog catalog, bool all)
    {
        var planner = new RestorePlanner(catalog);
        var chosen = all ? points : [points[^1], points[0], points[random.Next(points.Count)]];
        foreach (var point in chosen.Distinct())
        {
            var plan = await planner.PlanAsync(branch, point.Position, default);
            var content = await VaultReading.WriteAsync(catalog, plan);
            Expect(
                point.Meaning.State.HasContentOf([.. content.Chunk((int)SimulatedWorld.PageSize)]),
                $"position {point.Position} restores to something else");
        }
    }

    static void Expect(bool holds, string otherwise)
    {
        if (!holds)
        {
            throw new SimulationException(otherwise);
        }
    }

    sealed record StoredPoint(Position Position, long TimeMicros, CapturedPoint Meaning);
}
