using Salvor.Vault.Wal;

namespace Salvor.Postgres;

/// <summary>The timelines that led to where a server is. Log of others, and what is behind where it left one, it does not have.</summary>
/// <param name="history">Of the timeline that it writes, or replays.</param>
/// <param name="flushed">Up to where its log is durable.</param>
sealed class ServerPath(TimelineHistory history, Lsn flushed)
{
    /// <summary>The timeline that has an address on the way to this server.</summary>
    public uint TimelineAt(Lsn address) =>
        history.Parents.FirstOrDefault(parent => address < parent.SwitchAt)?.Timeline ?? history.Timeline;

    /// <summary>What is there of a timeline for this server: it ends where the server left it.</summary>
    public Lsn Clamp(uint timeline, Lsn end) =>
        Lsn.Min(end, history.Parents.FirstOrDefault(parent => parent.Timeline == timeline)?.SwitchAt ?? flushed);

    /// <summary>
    /// Where the log goes on behind what somebody has: on the newest timeline of which they have something. Null where that is none.
    /// </summary>
    /// <param name="ends">Timelines and their ends, in any order, of this server or of others.</param>
    public (uint Timeline, Lsn At)? Continue(IEnumerable<(uint Timeline, Lsn End)> ends)
    {
        var known = ends.Where(item => item.Timeline == history.Timeline || history.Parents.Any(parent => parent.Timeline == item.Timeline))
            .ToList();
        return known.Count == 0 ? null : (known.Max().Timeline, Clamp(known.Max().Timeline, known.Max().End));
    }
}
