using Salvor.Jobs.Config;
using Salvor.Vault.Restore;

namespace Salvor.Jobs.Drills;

/// <summary>What is to be drilled, and how.</summary>
public sealed record DrillRequest
{
    public required string Source { get; init; }

    /// <summary>What counts as good.</summary>
    public required DrillConfig Config { get; init; }

    /// <summary>What is restored: the newest point, unless it names a time.</summary>
    public RestoreRequest Point { get; init; } = new(null, null, null);

    /// <summary>The database of the source; empty where that is not known.</summary>
    public string DatabasePath { get; init; } = "";

    /// <summary>The folder of its local state; null where this machine has none.</summary>
    public string? StateDirectory { get; init; }

    /// <summary>The folder in which it is restored, see <see cref="DrillScratch.Create"/>.</summary>
    public string? ScratchRoot { get; init; }

    /// <summary>A role of a cluster that may log in, as which its recovered server is asked.</summary>
    public string Role { get; init; } = "postgres";

    /// <summary>The database of a cluster that checks are made in which name none.</summary>
    public string Database { get; init; } = "postgres";

    /// <summary>Leaves the restored database.</summary>
    public bool Keep { get; init; }

    /// <summary>Tables may have shrunk: what they have now is what the next drill is compared with.</summary>
    public bool AcceptRows { get; init; }

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }
}

/// <summary>The copies of a source, found by the drill itself, because finding them is a part of the time to recover.</summary>
public delegate Task<IReadOnlyList<SourceCopy>> CopiesFinder(CancellationToken cancellationToken);
