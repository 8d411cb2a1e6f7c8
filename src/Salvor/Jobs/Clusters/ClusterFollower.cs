using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Postgres;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Jobs.Clusters;

/// <summary>
/// Follows one cluster for as long as it is configured: whatever goes wrong is logged once, written down for <c>salvor status</c>, and
/// tried again, in no other's way.
/// </summary>
/// <param name="config">The configuration.</param>
/// <param name="source">The cluster.</param>
/// <param name="time">The clock.</param>
/// <param name="logger">Told of what happens.</param>
sealed class ClusterFollower(SalvorConfig config, PostgresSourceConfig source, TimeProvider time, ILogger logger)
{
    static readonly TimeSpan RetryMin = TimeSpan.FromSeconds(5);
    static readonly TimeSpan RetryMax = TimeSpan.FromMinutes(1);
    static readonly TimeSpan Step = TimeSpan.FromSeconds(1);

    /// <summary>How often the vault is looked at, unless something happened.</summary>
    static readonly TimeSpan CoverEvery = TimeSpan.FromMinutes(5);
    static readonly TimeSpan CoverSoon = TimeSpan.FromSeconds(15);

    /// <summary>How long it may be unknown whether a base backup leads to the newest log, before that is a problem.</summary>
    static readonly TimeSpan CoverUnknownMax = TimeSpan.FromMinutes(15);

    static readonly TimeSpan BackupRetryMin = TimeSpan.FromMinutes(1);
    static readonly TimeSpan BackupRetryMax = TimeSpan.FromHours(1);

    readonly string state = ConfiguredSources.StateOf(config, source);
    readonly Vault.Keys.Keyring? keys = ConfiguredSources.KeysOf(source);
    readonly Lock gate = new();
    readonly List<Mirroring> copies = [];
    WalPublishing? publishing;
    VaultAccess? vault;
    LogLag? lag;
    FollowRecord record = null!;
    DateTimeOffset writtenAt;
    string problem = "";
    string hint = "";
    bool isLost;
    Exception? storeFailure;
    string storeSaid = "";

    /// <summary>What makes a new base backup necessary, whatever a listing shows; and since when.</summary>
    (string Reason, DateTimeOffset At)? lost;
    LogCover? cover;
    DateTimeOffset coverDue;
    DateTimeOffset? coverUnknownSince;
    (ulong? Id, uint Timeline) coverOf;
    DateTimeOffset backupNotBefore;
    TimeSpan backupRetry = BackupRetryMin;
    bool isBackingUp;

    string FollowPath => LocalState.FollowPath(state, source.Name);

    /// <summary>Runs until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watching = WatchAsync(stopping.Token);
        var following = FollowAsync(stopping.Token);
        try
        {
            await await Task.WhenAny(watching, following);
        }
        finally
        {
            await stopping.CancelAsync();
            await Task.WhenAll(watching, following).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Whether the server sends its log.</summary>
    public bool IsConnected => publishing?.Receiver?.IsConnected == true;

    /// <summary>Whether something keeps it from doing so.</summary>
    public bool HasProblem
    {
        get
        {
            lock (gate)
            {
                return problem.Length > 0;
            }
        }
    }

    /// <summary>Why a base backup is to be made now; null where none is, or where one failed a moment ago.</summary>
    public string? TakeNeed()
    {
        lock (gate)
        {
            var reason = record?.BackupNeeded;
            if (string.IsNullOrEmpty(reason) || !record!.Connected || isBackingUp || time.GetUtcNow() < backupNotBefore)
            {
                return null;
            }

            logger.BaseBackupNeeded(source.Name, reason);
            isBackingUp = true;
            return reason;
        }
    }

    /// <summary>A backup ended.</summary>
    public void BackupEnded(bool isMade)
    {
        lock (gate)
        {
            isBackingUp = false;
            backupRetry = isMade ? BackupRetryMin : backupRetry * 2 < BackupRetryMax ? backupRetry * 2 : BackupRetryMax;
            backupNotBefore = time.GetUtcNow() + (isMade ? BackupRetryMin : backupRetry / 2);
            coverDue = default;
        }
    }

    async Task FollowAsync(CancellationToken cancellationToken)
    {
        for (var delay = RetryMin; ;)
        {
            var began = time.GetTimestamp();
            try
            {
                LocalState.EnsureDirectory(state);
                publishing = new WalPublishing(ClusterSource.OptionsOf(config, source), OpenAsync, time) { Told = Note };
                await publishing.RunAsync(cancellationToken);
            }
            catch (Exception e) when (!cancellationToken.IsCancellationRequested)
            {
                // Whatever it is: the other sources go on.
                Refused(e);
            }

            delay = time.GetElapsedTime(began) > RetryMax ? RetryMin : delay;
            await Task.Delay(delay, time, cancellationToken);
            delay = delay * 2 < RetryMax ? delay * 2 : RetryMax;
        }
    }

    void Refused(Exception e)
    {
        lock (gate)
        {
            if (e.Message != problem)
            {
                logger.ServerNotFollowed(source.Name, e.Message, HintOf(e));
            }

            (problem, hint, isLost) = (e.Message, HintOf(e), true);
        }
    }

    static string HintOf(Exception e) => e is SalvorException known ? known.Hint : "It is tried again; the log of the daemon has more.";

    async Task<VaultAccess> OpenAsync(CancellationToken cancellationToken) =>
        vault ??= await TreeVault.OpenAsync(config, source, keys, time, cancellationToken);

    void Note(WalNotice notice)
    {
        lock (gate)
        {
            switch (notice.Kind)
            {
                case WalNoticeKind.Follows:
                    logger.ServerFollowed(source.Name, notice.Text);
                    if (isLost)
                    {
                        logger.ServerBack(source.Name);
                    }

                    (problem, hint, isLost) = ("", "", false);
                    break;
                case WalNoticeKind.ServerLost:
                    NoteProblem(notice, logger.ServerLost);
                    break;
                case WalNoticeKind.SpoolFull:
                    NoteProblem(notice, logger.SpoolFull);
                    break;
                case WalNoticeKind.SlotLost:
                    logger.SlotLost(source.Name, notice.Text, notice.Hint);
                    lost = ($"slot {source.Slot} was lost", time.GetUtcNow());
                    break;
                case WalNoticeKind.Gap:
                    logger.LogGap(source.Name, notice.Text, notice.Hint);
                    lost = (notice.Text.Split(". ")[0], time.GetUtcNow());
                    break;
                default:
                    if (notice.Text != storeSaid)
                    {
                        logger.LogNotStored(source.Name, notice.Text, notice.Hint);
                        storeSaid = notice.Text;
                    }

                    break;
            }
        }
    }

    void NoteProblem(WalNotice notice, Action<string, string, string> log)
    {
        if (notice.Text != problem && !(notice.Kind == WalNoticeKind.SpoolFull && isLost))
        {
            log(source.Name, notice.Text, notice.Hint);
        }

        (problem, hint, isLost) = (notice.Text, notice.Hint, true);
    }

    /// <summary>Looks every second, writes down what it sees, and keeps the copies going.</summary>
    async Task WatchAsync(CancellationToken cancellationToken)
    {
        var before = FollowFile.Read(FollowPath);
        var now = time.GetUtcNow();
        var since = before?.WaitingSince ?? before?.ContactAt ?? now;
        lag = new LogLag(since < now ? since : now);
        record = Describe(before?.ContactAt, before?.PublishedAt);
        var copying = new List<Task>();
        try
        {
            while (true)
            {
                await TryLookAsync(copying, cancellationToken);
                await Task.Delay(Step, time, cancellationToken);
            }
        }
        finally
        {
            await Task.WhenAll(copying).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Write(record with { Stopped = true, Connected = false, UpdatedAt = time.GetUtcNow() });
        }
    }

    /// <summary>All of them or none: what cannot be opened is tried again.</summary>
    void StartCopies(VaultAccess first, List<Task> copying, CancellationToken cancellationToken)
    {
        var turns = new SemaphoreSlim(1);
        copies.AddRange(source.To.Skip(1).Select(name => config.Destinations[name]).Select(destination => new Mirroring(
            source.Name, LocalState.VaultPath(state, source.Name), keys, first.Store,
            new SourceDestination(Destinations.OpenOnce(destination), destination.IsRequired)
            {
                Name = destination.Name, OnIncomplete = destination.OnIncomplete,
            },
            turns, time, logger, () => { })).ToList());
        copying.AddRange(copies.Select(copy => copy.RunAsync(cancellationToken)));
    }

    async Task TryLookAsync(List<Task> copying, CancellationToken cancellationToken)
    {
        try
        {
            if (vault is { } known && copies.Count == 0 && source.To.Count > 1)
            {
                StartCopies(known, copying, cancellationToken);
            }

            // One that ended by what nobody foresaw is a copy that is behind for good.
            if (copying.Find(copy => copy.IsFaulted) is { } faulted)
            {
                await faulted;
            }

            await LookAsync(cancellationToken);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            Refused(e);
        }
    }

    async Task LookAsync(CancellationToken cancellationToken)
    {
        var mark = BackupMarkFile.Read(LocalState.BackupPath(state, source.Name));
        await CoverAsync(mark, cancellationToken);
        lock (gate)
        {
            var next = Describe(record.ContactAt, record.PublishedAt);
            foreach (var copy in copies)
            {
                _ = Lsn.TryParse(next.Published, out var published);
                copy.Notice((next.Timeline, published.Value, 0), mark?.BackupAt);
            }

            var isDue = next.UpdatedAt - writtenAt >= FollowFile.Interval || next.UpdatedAt < writtenAt;
            if (isDue || (next with { UpdatedAt = record.UpdatedAt, ContactAt = record.ContactAt }) != record)
            {
                record = next;
                Write(record);
            }
        }
    }

    FollowRecord Describe(DateTimeOffset? contactAt, DateTimeOffset? publishedAt)
    {
        var (now, here, receiver) = (time.GetUtcNow(), ProcessIdentity.Current(), publishing?.Receiver);
        var (timeline, isConnected) = (receiver?.Timeline ?? 0, receiver?.IsConnected == true);
        var published = Lsn.Max(timeline == 0 ? Lsn.None : publishing!.PublishedOf(timeline), LastOf(record?.Published, timeline));
        var end = Lsn.Max(receiver?.ServerEnd ?? Lsn.None, LastOf(record?.ServerEnd, timeline));
        if (publishing is { HasPassed: true } or { Failure: not null })
        {
            NoteStoring(publishing.Failure);
        }

        return new FollowRecord
        {
            Server = source.Server?.Place ?? "",
            Slot = source.Slot,
            Connected = isConnected,
            Synchronous = receiver?.IsSynchronous == true,
            Standby = receiver?.IsStandby == true,
            Timeline = timeline,
            ServerEnd = $"{end}",
            Received = $"{receiver?.Spool?.Written}",
            Durable = $"{receiver?.Spool?.Flushed}",
            Published = $"{published}",
            PublishedAt = $"{published}" == (record?.Published ?? $"{published}") ? publishedAt : now,
            LagBytes = Math.Max(0, end.CompareTo(published) > 0 ? end - published : 0),
            WaitingSince = lag!.Note(isConnected, timeline, receiver?.ServerEnd ?? Lsn.None, published, now),
            ContactAt = isConnected ? now : contactAt,
            SpoolBytes = receiver?.Spool?.SizeBytes ?? 0,
            Problem = problem,
            Hint = hint,
            StoreProblem = storeFailure?.Message ?? "",
            StoreHint = storeFailure is null ? "" : HintOf(storeFailure),
            StoreProblemSince = storeFailure is null ? null : record?.StoreProblemSince ?? now,
            BackupNeeded = lost?.Reason ?? cover?.Lack ?? "",
            Gaps = cover?.Gaps ?? [],
            Copies = CopiesNow(),
            Pid = here.Pid,
            Host = here.Host,
            BootId = here.BootId,
            StartTicks = here.StartTicks,
            UpdatedAt = now,
        };
    }

    /// <summary>The same list for as long as nothing changed, so that a comparison tells whether something did.</summary>
    IReadOnlyList<CopyStatus> CopiesNow()
    {
        var now = copies.Select(copy => copy.Status).ToArray();
        return record?.Copies.SequenceEqual(now) == true ? record.Copies : now;
    }

    Lsn LastOf(string? address, uint timeline) =>
        timeline != 0 && record?.Timeline == timeline && Lsn.TryParse(address, out var known) ? known : Lsn.None;

    void NoteStoring(Exception? failure)
    {
        if (failure is null && storeFailure is not null)
        {
            logger.LogStored(source.Name);
            storeSaid = "";
        }

        storeFailure = failure;
    }

    /// <summary>Whether a recovery gets to the newest log. A listing is not asked for every second.</summary>
    async Task CoverAsync(BackupMark? mark, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var isOther = coverOf != (mark?.BackupId, record.Timeline);
        if (vault is not { } known || record.Timeline == 0 || (now < coverDue && !isOther))
        {
            return;
        }

        try
        {
            var found = await LogCover.LookAsync(known, record.Timeline, cancellationToken);
            lock (gate)
            {
                (cover, coverOf, coverUnknownSince) = (found, (mark?.BackupId, record.Timeline), null);
                lost = lost is { At: var at } && mark?.BackupAt > at && found.Lack.Length == 0 ? null : lost;
                coverDue = now + (found.Lack.Length > 0 || lost is not null ? CoverSoon : CoverEvery);
            }
        }
        catch (SalvorException e)
        {
            // What was known of it stays, for a while.
            coverUnknownSince ??= now;
            coverDue = now + CoverSoon;
            if (now - coverUnknownSince > CoverUnknownMax)
            {
                cover = new($"it cannot be found out whether a base backup leads to the newest log: {e.Message}", cover?.Gaps ?? []);
            }
        }
    }

    void Write(FollowRecord next)
    {
        try
        {
            FollowFile.Write(FollowPath, next);
            writtenAt = next.UpdatedAt;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (writtenAt != default)
            {
                logger.StatusNotWritten(source.Name, e.Message);
                writtenAt = default;
            }
        }
    }
}
