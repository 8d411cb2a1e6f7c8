using Salvor.Vault.Wal;

namespace Salvor.Jobs.Clusters;

/// <summary>
/// For how long the oldest log has waited that is not in the vault. The server does not say when it wrote what, so what counts is when it
/// was seen to be there; what is written while there is no connection counts from the last moment of the last one.
/// </summary>
/// <param name="since">Since when nobody has seen what the server writes.</param>
sealed class LogLag(DateTimeOffset since)
{
    readonly Queue<(Lsn End, DateTimeOffset At)> seen = [];
    DateTimeOffset? unseen = since;
    Lsn last;
    uint timeline;

    /// <summary>Notes how things are at a moment. Returns since when something waits; null where nothing does.</summary>
    /// <param name="isConnected">Whether the server says where its log ends.</param>
    /// <param name="line">The timeline.</param>
    /// <param name="end">Where its log ends; <see cref="Lsn.None"/> where it has not said so on this connection.</param>
    /// <param name="published">Up to where it is in the vault.</param>
    /// <param name="now">The moment.</param>
    public DateTimeOffset? Note(bool isConnected, uint line, Lsn end, Lsn published, DateTimeOffset now)
    {
        if (line != timeline)
        {
            // What the other one had and this one has not is no log any more.
            unseen ??= seen.Count > 0 ? seen.Peek().At : null;
            seen.Clear();
            (timeline, last) = (line, Lsn.None);
        }

        if (!isConnected)
        {
            unseen ??= now;
        }
        else if (end > last)
        {
            seen.Enqueue((end, unseen ?? now));
            (last, unseen) = (end, null);
        }
        else if (end == last && end > Lsn.None)
        {
            unseen = null;
        }

        while (seen.TryPeek(out var first) && first.End <= published)
        {
            seen.Dequeue();
        }

        var waiting = seen.TryPeek(out var oldest) ? oldest.At : (DateTimeOffset?)null;
        return waiting is null || unseen < waiting ? unseen ?? waiting : waiting;
    }
}
