using Salvor.Vault;

namespace Salvor.Jobs.Drills;

/// <summary>What a drill of one kind of source does. <see cref="SourceDrill"/> calls it from top to bottom, and judges.</summary>
/// <param name="work">What the parts of a drill share.</param>
abstract class DrillKind(DrillWork work) : IAsyncDisposable
{
    protected DrillWork Work => work;

    protected DrillRequest Request => work.Request;

    /// <summary>Restores into the folder of the drill. Returns what that says of the record, and what it found, in a few words.</summary>
    public abstract Task<(DrillRecord Record, string Found)> RestoreAsync(
        DrillRecord record, VaultAccess vault, CancellationToken cancellationToken);

    /// <summary>What has to be done before anything can be asked: a phase by itself, where there is something.</summary>
    public virtual Task<DrillRecord> RecoverAsync(DrillRecord record, CancellationToken cancellationToken) => Task.FromResult(record);

    /// <summary>Checks what came back, as well as nobody has to be told how.</summary>
    public abstract Task<DrillRecord> CheckAsync(DrillRecord record, CancellationToken cancellationToken);

    /// <summary>What the checks of the configuration are asked of.</summary>
    public abstract SmokeSubject Subject { get; }

    /// <summary>Ends in order what runs.</summary>
    public virtual Task FinishAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    /// <summary>Lets what was restored stay, in a folder of a name that tells which it is; where.</summary>
    public abstract string Keep(DrillScratch scratch, DrillRecord record);

    public virtual ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
