using Salvor.Platform;
using Salvor.Sqlite.Capture;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;
using Salvor.Vault.Snapshots;

namespace Salvor.Sqlite.Snapshots;

/// <summary>
/// Makes the snapshots of one source beside its capture, out of the vault alone: the source is not read, and nothing waits for it. One at a
/// time per process. A failure is told and tried again; the capture goes on.
/// </summary>
sealed class SnapshotKeeper(SqliteReplicator owner, VaultAccess vault, uint epoch, Publisher publisher)
{
    static readonly TimeSpan LookMin = TimeSpan.FromMilliseconds(250);
    static readonly TimeSpan LookMax = TimeSpan.FromMinutes(1);
    static readonly TimeSpan RetryMax = TimeSpan.FromHours(1);

    readonly Lock gate = new();
    Newest? newest;
    BackupMark? mark;

    /// <summary>Bytes that snapshots added since the start.</summary>
    public long StoredBytes { get; private set; }

    /// <summary>The time of the state in the newest snapshot; null until that was looked up.</summary>
    public DateTimeOffset? Time => newest?.Time;

    /// <summary>Why the last one was not made; null where it was.</summary>
    public SalvorException? Failure { get; private set; }

    /// <summary>Makes one whenever it is due, until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var look = owner.Options.SnapshotEvery / 4;
        look = look < LookMin ? LookMin : look > LookMax ? LookMax : look;
        var retry = TimeSpan.Zero;
        while (true)
        {
            await Task.Delay(retry > TimeSpan.Zero ? retry : ToNext(look, owner.Time), owner.Time, cancellationToken);
            try
            {
                if (await IsDueAsync(cancellationToken))
                {
                    var started = owner.Time.GetTimestamp();
                    var made = await MakeAsync(vault.Compression, cancellationToken);
                    Note(last => last.Made(owner.Time.GetUtcNow(), made, owner.Time.GetElapsedTime(started)));
                }
                else
                {
                    NoteUnchanged();
                }

                Note((SalvorException?)null);
                retry = TimeSpan.Zero;
            }
            catch (SalvorException e)
            {
                Note(e);
                Note(last => last.FailedAt(owner.Time.GetUtcNow(), e.Message));
                retry = retry == TimeSpan.Zero ? look * 2 : retry * 2;
                retry = retry < RetryMax ? retry : RetryMax;
            }
        }
    }

    /// <summary>
    /// The time to the next look. All sources of a process look at the same moments, so that a thousand of them wake it once a minute, and
    /// not a thousand times: each time, threads spin before they sleep again.
    /// </summary>
    internal static TimeSpan ToNext(TimeSpan look, TimeProvider time) =>
        look - TimeSpan.FromTicks(time.GetElapsedTime(0).Ticks % look.Ticks);

    /// <summary>Makes one of the newest restore point, or finds it.</summary>
    public async Task<MadeSnapshot> MakeAsync(FrameCompression compression, CancellationToken cancellationToken)
    {
        await owner.Engine.SnapshotTurn.WaitAsync(cancellationToken);
        try
        {
            var storedBefore = publisher.StoredBytes;
            var made = await FreshListing.UseAsync(
                vault.With(compression),
                async catalog =>
                {
                    var point = await new RestorePlanner(catalog).LatestAsync(publisher.Durable.Branch, cancellationToken);
                    return await IncrementalSnapshot.MakeAsync(catalog, point, epoch, cancellationToken);
                },
                cancellationToken);
            newest = new Newest(made.Point.Position, made.Point.Time, made.SizeBytes, -storedBefore);
            StoredBytes += made.AddedBytes;
            owner.Logger.SnapshotMade(owner.Options.Name, made.Point.Position.Value, made.AddedBytes);
            return made;
        }
        finally
        {
            owner.Engine.SnapshotTurn.Release();
        }
    }

    /// <summary>Makes a snapshot, and a backup of it.</summary>
    public async Task<BackupRecord> BackUpAsync(BackupRequest request, CancellationToken cancellationToken)
    {
        var compression = request.Compression ?? vault.Compression;
        Compression.ExpectAvailable(compression.Codec);
        var started = owner.Time.GetTimestamp();
        try
        {
            var made = await MakeAsync(compression, cancellationToken);
            var backup = await PutAsync(request, made, cancellationToken);
            Note(last => last.Made(owner.Time.GetUtcNow(), made, owner.Time.GetElapsedTime(started)) with
            {
                BackupId = backup.Id, BackupAt = backup.CreatedAt,
            });
            return backup;
        }
        catch (SalvorException e)
        {
            Note(last => last.FailedAt(owner.Time.GetUtcNow(), e.Message));
            throw;
        }
    }

    async Task<BackupRecord> PutAsync(BackupRequest request, MadeSnapshot made, CancellationToken cancellationToken)
    {
        var record = new BackupRecord
        {
            Id = 0,
            Branch = made.Point.Branch,
            Position = made.Point.Position.Value,
            Time = made.Point.Time,
            Label = request.Label,
            Mode = request.Mode,
            RetentionDays = request.RetentionDays,
            CreatedAt = owner.Time.GetUtcNow(),
            Host = ProcessIdentity.Current().Host,
            SizeBytes = made.SizeBytes,
            Checksum = $"{made.Checksum:x16}",
            AddedBytes = made.AddedBytes,
        };
        var stored = await Backups.PutAsync(vault, record, cancellationToken);
        owner.LastBackup = stored.Id;
        return stored;
    }

    async Task<bool> IsDueAsync(CancellationToken cancellationToken)
    {
        // A branch without a restore point of its own has nothing that its parent's snapshots lack.
        var durable = publisher.Durable;
        if (durable.Number == 0 || durable.Position.Value == 0 || durable.Position == newest?.Position)
        {
            return false;
        }

        newest ??= await FindNewestAsync(durable, cancellationToken);
        var state = new SnapshotState(
            Changed: newest.Position < durable.Position,
            Age: owner.Time.GetUtcNow() - newest.Time,
            LogBytes: newest.LogBytes + publisher.StoredBytes,
            newest.SizeBytes);
        return SnapshotSchedule.IsDue(state, owner.Options.SnapshotEvery);
    }

    /// <summary>What an earlier run left: its time and size are in the vault.</summary>
    async Task<Newest> FindNewestAsync(LogTip durable, CancellationToken cancellationToken)
    {
        var storedBefore = publisher.StoredBytes;
        var catalog = await VaultCatalog.LoadAsync(vault, cancellationToken);
        var planner = new RestorePlanner(catalog);
        var latest = await planner.LatestAsync(durable.Branch, cancellationToken);
        var plan = await planner.PlanAsync(durable.Branch, latest.Position, cancellationToken);
        var snapshot = await SnapshotReader.OpenAsync(vault, plan.Snapshot, cancellationToken);
        var logBytes = plan.Log.Sum(segment => segment.Entries.Sum(entry => entry.StoredBytes));
        return new Newest(
            plan.Snapshot.Position, Micros.ToTime(snapshot.Header.TimeLastMicros), snapshot.Details.SizeBytes, logBytes - storedBefore);
    }

    void Note(SalvorException? failure)
    {
        if (failure is not null && failure.Message != Failure?.Message)
        {
            owner.Logger.SnapshotFailed(owner.Options.Name, failure.Message, failure.Hint);
        }

        if (failure?.Message != Failure?.Message)
        {
            Failure = failure;
            owner.RaiseStatusChanged();
        }
    }

    /// <summary>Once in the time between two snapshots: the one that is there holds everything.</summary>
    void NoteUnchanged()
    {
        if (newest is { } last && last.Position == publisher.Durable.Position
            && (Mark.LastSuccessAt is not { } success || owner.Time.GetUtcNow() - success >= owner.Options.SnapshotEvery))
        {
            Note(mark => mark.Unchanged(owner.Time.GetUtcNow(), last.SizeBytes));
        }
    }

    BackupMark Mark => mark ??= BackupMarkFile.Read(MarkPath) is { } last && last.VaultId == vault.Id
        ? last
        : new BackupMark { VaultId = vault.Id };

    string MarkPath => LocalState.BackupPath(owner.Options.StateDirectory, owner.Options.Path);

    /// <summary>Writes down how it went. Failing to is told, and costs a warning too much later: never one too few.</summary>
    void Note(Func<BackupMark, BackupMark> change)
    {
        lock (gate)
        {
            mark = change(Mark);
            try
            {
                LocalState.EnsureDirectory(owner.Options.StateDirectory);
                BackupMarkFile.Write(MarkPath, mark);
            }
            catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
            {
                owner.Logger.BackupMarkNotWritten(owner.Options.Name, e.Message);
            }
        }
    }

    /// <param name="LogBytes">What the log stored since, less what the publisher had stored by then.</param>
    sealed record Newest(Position Position, DateTimeOffset Time, long SizeBytes, long LogBytes);
}
