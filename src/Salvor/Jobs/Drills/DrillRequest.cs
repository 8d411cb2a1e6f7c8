using Salvor.Files;
using Salvor.Jobs.Config;
using Salvor.Vault;
using Salvor.Vault.Restore;
using Salvor.Vault.Trees;

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

    /// <summary>Leaves the restored database.</summary>
    public bool Keep { get; init; }

    /// <summary>Tables may have shrunk: what they have now is what the next drill is compared with.</summary>
    public bool AcceptRows { get; init; }

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }
}

/// <summary>The copies of a source, found by the drill itself, because finding them is a part of the time to recover.</summary>
public delegate Task<IReadOnlyList<SourceCopy>> CopiesFinder(CancellationToken cancellationToken);

/// <summary>What a drill of files restored.</summary>
/// <param name="Path">The folder; each file is at its whole path below it.</param>
/// <param name="Record">The backup.</param>
/// <param name="Location">Where it was read from.</param>
/// <param name="Totals">What it is to hold.</param>
/// <param name="Restored">What the restore says.</param>
sealed record DrilledTree(string Path, BackupRecord Record, string Location, TreeTotals Totals, RestoredTree Restored);

/// <summary>What a drill restored.</summary>
/// <param name="Path">The database.</param>
/// <param name="Point">The point.</param>
/// <param name="Location">Where it was read from.</param>
/// <param name="CompleteAsOf">Everything committed up to then was there; null where an older point was asked for.</param>
/// <param name="Image">What was written.</param>
sealed record DrilledImage(
    string Path, RestorePoint Point, string Location, DateTimeOffset? CompleteAsOf, Sqlite.Restore.RestoredImage Image);
