using Salvor.Sqlite;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Simulation;

/// <summary>A restore point as the writer that captured it meant it.</summary>
sealed record CapturedPoint(uint Epoch, Position Position, CommittedState State, long WallMicros);

/// <summary>What was seen while it happened, outside of what is tested: what positions mean, and which were promised.</summary>
sealed class Witness(SimulatedTime time, bool keepsTrace)
{
    readonly Dictionary<(uint Epoch, ulong Position), CapturedPoint> points = [];
    readonly List<string> trace = [];

    /// <summary>Every position that was called durable, and by whom.</summary>
    public HashSet<(uint Epoch, ulong Position)> Promises { get; } = [];

    /// <summary>The highest position that was called durable.</summary>
    public ulong Promised { get; private set; }

    public IReadOnlyList<string> Trace => trace;

    public void Captured(uint epoch, ulong position, CommittedState state)
    {
        points[(epoch, position)] = new CapturedPoint(epoch, new Position(position), state, Micros.Of(time.GetUtcNow()));
        Note($"captured {epoch}/{position} of version {state.Version}");
    }

    public void Promise(uint epoch, ulong position)
    {
        if (Promises.Add((epoch, position)))
        {
            Promised = Math.Max(Promised, position);
            Note($"durable {epoch}/{position}");
        }
    }

    /// <summary>What a position means that this writer stored.</summary>
    public CapturedPoint Meaning(uint epoch, ulong position) => points.TryGetValue((epoch, position), out var point)
        ? point
        : throw new SimulationException($"position {position} of epoch {epoch} was never captured");

    public void Note(FormattableString happened)
    {
        if (keepsTrace)
        {
            trace.Add($"{time.Elapsed} {happened}");
        }
    }

    /// <summary>A writer that begins finds at least what was promised, and exactly what it meant.</summary>
    public void ExpectAtStart(ulong promised, ulong position, ObjectHeader? last, PageTable table, PageHasher hasher)
    {
        if (position < promised)
        {
            throw new SimulationException($"position {promised} was durable, and a start found {position}");
        }

        if (position == 0 || last is null)
        {
            return;
        }

        var state = Meaning(last.Epoch, position).State;
        var differs = table.PageCount != state.Pages.Length
            || state.Pages.Index().Any(page => table[(uint)page.Index + 1] != hasher.Hash((uint)page.Index + 1, page.Item));
        if (differs)
        {
            throw new SimulationException($"a start found other page hashes than those of position {position}");
        }
    }
}
