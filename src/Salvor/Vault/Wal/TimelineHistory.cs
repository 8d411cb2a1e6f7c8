using System.Globalization;
using System.Text;

namespace Salvor.Vault.Wal;

/// <summary>A timeline that another one continues.</summary>
/// <param name="Timeline">The older one.</param>
/// <param name="SwitchAt">The first address that the next timeline has for itself.</param>
/// <param name="Reason">For people.</param>
public sealed record TimelineParent(uint Timeline, Lsn SwitchAt, string Reason);

/// <summary>
/// Where a timeline comes from: what its history file says. PostgreSQL never changes such a file, and copies that of the timeline before
/// into it, so the newest one has those of all its ancestors.
/// </summary>
public sealed class TimelineHistory
{
    /// <summary>A thousand times more than a cluster that is recovered every day for years. What is larger is no history.</summary>
    public const int BytesMax = 4 << 20;

    readonly List<int> ends;

    TimelineHistory(uint timeline, ReadOnlyMemory<byte> bytes, IReadOnlyList<TimelineParent> parents, List<int> ends) =>
        (Timeline, Bytes, Parents, this.ends) = (timeline, bytes, parents, ends);

    public uint Timeline { get; }

    /// <summary>The file; empty for timeline 1, which has none.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>The oldest first.</summary>
    public IReadOnlyList<TimelineParent> Parents { get; }

    /// <summary>Where it left the timeline before it; 0/0 for the first.</summary>
    public Lsn ForkAt => Parents.Count == 0 ? Lsn.None : Parents[^1].SwitchAt;

    /// <summary>Reads a history file; throws where it is none, or not that of this timeline.</summary>
    public static TimelineHistory Read(uint timeline, ReadOnlyMemory<byte> bytes)
    {
        if (timeline == 0 || bytes.Length > BytesMax || (timeline == 1) != bytes.IsEmpty)
        {
            throw Wrong(timeline, bytes.IsEmpty ? "it is empty" : $"it has {bytes.Length} bytes, which no history of it has");
        }

        var (parents, ends) = (new List<TimelineParent>(), new List<int>());
        for (var start = 0; start < bytes.Length;)
        {
            var length = bytes.Span[start..].IndexOf((byte)'\n') is >= 0 and var found ? found + 1 : bytes.Length - start;
            var line = Encoding.UTF8.GetString(bytes.Span.Slice(start, length)).Trim();
            start += length;
            if (line.Length > 0 && line[0] != '#')
            {
                parents.Add(Parent(timeline, line, parents.LastOrDefault()));
                ends.Add(start);
            }
        }

        return timeline == 1 || parents.Count > 0
            ? new TimelineHistory(timeline, bytes, parents, ends)
            : throw Wrong(timeline, "it names no timeline before it");
    }

    /// <summary>The history of a timeline among <see cref="Parents"/>, which this one was made from.</summary>
    internal TimelineHistory OfParent(int index)
    {
        // PostgreSQL copies the file, puts a line end behind it, and adds its own line.
        var end = index == 0 ? 0 : ends[index - 1];
        return new TimelineHistory(Parents[index].Timeline, Bytes[..end], [.. Parents.Take(index)], ends[..index]);
    }

    /// <summary>Whether both say the same of where the timeline comes from.</summary>
    internal bool Agrees(TimelineHistory other) =>
        Timeline == other.Timeline
        && Parents.Select(parent => (parent.Timeline, parent.SwitchAt)).SequenceEqual(
            other.Parents.Select(parent => (parent.Timeline, parent.SwitchAt)));

    static TimelineParent Parent(uint timeline, string line, TimelineParent? before)
    {
        var fields = line.Split(['\t', ' '], 3, StringSplitOptions.RemoveEmptyEntries);
        if (fields.Length < 2 || !uint.TryParse(fields[0], NumberStyles.None, CultureInfo.InvariantCulture, out var parent)
            || !Lsn.TryParse(fields[1], out var at))
        {
            throw Wrong(timeline, $"'{line}' does not name a timeline and an address");
        }

        // A server that stops before its target's own beginning leaves that timeline at an address before it: only numbers ascend.
        return parent > (before?.Timeline ?? 0) && parent < timeline
            ? new TimelineParent(parent, at, fields.Length > 2 ? fields[2] : "")
            : throw Wrong(timeline, $"'{line}' is not in order");
    }

    static SalvorException Wrong(uint timeline, string what) => new(
        FailureKind.Integrity,
        $"the history of timeline {timeline} cannot be used: {what}",
        $"The server has it as pg_wal/{timeline:X8}.history; fetch it from there or from another standby.");
}
