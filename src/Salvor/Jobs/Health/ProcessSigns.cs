using System.Globalization;
using Salvor.Platform;

namespace Salvor.Jobs.Health;

/// <summary>
/// What processes show of themselves at one moment. One daemon has thousands of sources, and is looked at once for all of them.
/// </summary>
/// <param name="now">The moment: not for longer than one look at all sources.</param>
sealed class ProcessSigns(DateTimeOffset now)
{
    readonly Dictionary<string, bool> responding = [];
    readonly Dictionary<string, DateTimeOffset?> beats = [];
    readonly Dictionary<ProcessIdentity, bool> dead = [];

    /// <summary>The moment.</summary>
    public DateTimeOffset Now => now;

    /// <summary>As <see cref="Heartbeat.IsSeen"/>.</summary>
    public bool Responds(int pid, string? socket)
    {
        var key = string.Create(CultureInfo.InvariantCulture, $"{pid} {socket}");
        if (!responding.TryGetValue(key, out var responds))
        {
            responding[key] = responds = Heartbeat.IsSeen(pid, socket, now);
        }

        return responds;
    }

    /// <summary>As <see cref="Heartbeat.LastOf"/>.</summary>
    public DateTimeOffset? LastBeat(string? socket)
    {
        if (!beats.TryGetValue(socket ?? "", out var beat))
        {
            beats[socket ?? ""] = beat = Heartbeat.LastOf(socket);
        }

        return beat;
    }

    /// <summary>Whether the process that wrote this certainly runs no more.</summary>
    public bool IsDead(StatusRecord last)
    {
        var writer = last.Writer;
        if (!dead.TryGetValue(writer, out var isDead))
        {
            dead[writer] = isDead = writer.IsProvablyDead();
        }

        return isDead;
    }
}
