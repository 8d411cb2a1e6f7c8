using System.Globalization;
using Salvor.Postgres.Protocol;
using Salvor.Vault;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Postgres.Backup;

/// <summary>A base backup that can be restored.</summary>
/// <param name="Record">It.</param>
/// <param name="Totals">What it holds.</param>
public sealed record CompletedBackup(BackupRecord Record, TreeTotals Totals)
{
    /// <summary>How much of it the server sent.</summary>
    public required long SentBytes { get; init; }

    /// <summary>The backup since which the server sent what changed; null where it sent all.</summary>
    public required ulong? ParentId { get; init; }

    /// <summary>Why it sent all, as a part of a sentence; empty where it did not.</summary>
    public required string WhyWhole { get; init; }
}

/// <summary>A base backup with all the log that it needs: only both together are something to begin a recovery with.</summary>
/// <param name="vault">The first destination of the source.</param>
/// <param name="options">How the server is followed.</param>
/// <param name="time">The clock.</param>
public sealed class CompleteBackup(VaultAccess vault, WalReceiverOptions options, TimeProvider time)
{
    static readonly TimeSpan SenderMax = TimeSpan.FromSeconds(30);
    static readonly TimeSpan SenderEvery = TimeSpan.FromMilliseconds(200);

    WalPublishing? own;

    /// <summary>
    /// Whether somebody else follows the server already, such as a daemon; else this does so while it runs, where nobody has the folder.
    /// </summary>
    public bool IsFollowed { get; init; }

    /// <summary>How long nothing more of the log that it needs may come.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromMinutes(5);

    /// <inheritdoc cref="BaseBackup.Damaged"/>
    public IReadOnlySet<string> Damaged { get; init; } = new HashSet<string>();

    /// <summary>For how long after a full backup incremental ones are made where the server can; zero makes each a full one.</summary>
    public TimeSpan FullEvery { get; init; } = ParentChoice.FullEveryDefault;

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>What an operator has to know.</summary>
    public Action<string>? Told { get; init; }

    /// <summary>Who follows the server meanwhile.</summary>
    public Action<string>? Noted { get; init; }

    /// <summary>Makes one, and returns when it can be restored.</summary>
    public async Task<CompletedBackup> RunAsync(BackupRequest request, CancellationToken cancellationToken)
    {
        await using var connection = await ReplicationConnection.OpenAsync(options.Server, time, cancellationToken);
        var server = await connection.IdentifyAsync(cancellationToken);
        var history = await HistoryAsync(connection, server.Timeline, cancellationToken);
        var branch = await WalBranches.EnsureAsync(
            vault, ulong.Parse(server.SystemId, CultureInfo.InvariantCulture), history, time, cancellationToken);
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var following = FollowAsync(stopping.Token);
        var making = MakeAsync(connection, branch, request, stopping.Token);
        try
        {
            await await Task.WhenAny(making, following);
            return await making;
        }
        finally
        {
            await stopping.CancelAsync();
            await Task.WhenAll(making, following).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    async Task FollowAsync(CancellationToken cancellationToken)
    {
        try
        {
            if (!IsFollowed)
            {
                own = new WalPublishing(options, _ => Task.FromResult(vault), time) { Told = Tell };
                await own.RunAsync(cancellationToken);
            }
        }
        catch (SalvorException e) when (e.Kind == FailureKind.Locked)
        {
            own = null;
            Noted?.Invoke($"the log comes by another process: {e.Message}");
        }

        await Task.Delay(Timeout.InfiniteTimeSpan, time, cancellationToken);
    }

    void Tell(WalNotice notice) => (notice.Kind == WalNoticeKind.Follows ? Noted : Told)?.Invoke(notice.Text);

    async Task<CompletedBackup> MakeAsync(
        ReplicationConnection connection, uint branch, BackupRequest request, CancellationToken cancellationToken)
    {
        var (parent, whole) = await new ParentChoice(FullEvery, time).ChooseAsync(vault, connection, request.Mode, cancellationToken);
        if (parent is not null)
        {
            try
            {
                return await MakeAsync(connection, branch, request, parent, whole, Damaged, cancellationToken);
            }
            catch (NotIncrementalException e)
            {
                whole = e.Reason;
                Told?.Invoke($"a full base backup is made in place of one of what changed since backup {parent.Id}: {whole}");
                HashSet<string> damaged = [.. Damaged, .. e.DamagedKey is { } key ? [key] : Array.Empty<string>()];
                if (!e.IsSending)
                {
                    return await MakeAsync(connection, branch, request, parent: null, whole, damaged, cancellationToken);
                }

                await connection.DisposeAsync();
                await using var other = await OpenAgainAsync(connection.Connection.Host, cancellationToken);
                return await MakeAsync(other, branch, request, parent: null, whole, damaged, cancellationToken);
            }
        }

        return await MakeAsync(connection, branch, request, parent, whole, Damaged, cancellationToken);
    }

    /// <summary>A server has few senders, and the one that was given up is free as soon as it notices.</summary>
    async Task<ReplicationConnection> OpenAgainAsync(PostgresHost host, CancellationToken cancellationToken)
    {
        for (var until = time.GetUtcNow() + SenderMax; ; await Task.Delay(SenderEvery, time, cancellationToken))
        {
            try
            {
                return await ReplicationConnection.OpenAsync(options.Server with { Hosts = [host] }, time, cancellationToken);
            }
            catch (PostgresException e) when (e.SqlState == SqlStates.TooManyConnections && time.GetUtcNow() < until)
            {
                Progressed?.Invoke(new WorkProgress("waiting for a connection"));
            }
        }
    }

    async Task<CompletedBackup> MakeAsync(
        ReplicationConnection connection, uint branch, BackupRequest request, BackupRecord? parent, string whole,
        IReadOnlySet<string> damaged, CancellationToken cancellationToken)
    {
        var backup = new BaseBackup(vault, time)
        {
            Parent = parent, Damaged = damaged, Progressed = Progressed, ScratchFolder = Path.Combine(options.Folder, "scratch"),
        };
        Directory.CreateDirectory(backup.ScratchFolder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var label = new BaseBackupOptions { Label = $"salvor {request.Label}".Trim() };
        var stored = await backup.RunAsync(connection, label, branch, cancellationToken);
        var log = await ArrivedAsync(stored, cancellationToken);
        var record = await backup.OfferAsync(stored, log, request, cancellationToken);
        return new CompletedBackup(record, stored.Totals)
        {
            SentBytes = stored.SentBytes, ParentId = stored.ParentId, WhyWhole = whole,
        };
    }

    /// <summary>Waits for the log that a backup needs, for as long as more of it comes; the listing in which it is there.</summary>
    async Task<WalCatalog> ArrivedAsync(StoredBaseBackup backup, CancellationToken cancellationToken)
    {
        var (branch, log) = (backup.Branch, backup.Log);
        var (reached, since) = (Lsn.None, time.GetUtcNow());
        var published = own?.PublishedAsync(backup.Timeline, log.End, cancellationToken) ?? Task.CompletedTask;
        while (true)
        {
            var passed = Task.Delay(options.PublishEvery, time, cancellationToken);
            Progressed?.Invoke(new WorkProgress("waiting for its log"));
            await Task.WhenAny(passed, published);
            cancellationToken.ThrowIfCancellationRequested();
            var catalog = await WalCatalog.LoadAsync(vault, cancellationToken);
            var reach = await WalReader.ReachAsync(catalog, branch, log.First, cancellationToken);
            if (reach >= log.End)
            {
                return catalog;
            }

            (reached, since) = reach == reached ? (reached, since) : (reach, time.GetUtcNow());
            if (time.GetUtcNow() - since > Patience)
            {
                throw new SalvorException(
                    FailureKind.NotRestorable,
                    $"the base backup needs the log {log}, and in vault {vault.Location} that ends at {reach}: no more of it comes",
                    "Look whether somebody follows the server and reaches the vault; what the server has removed cannot come any more. "
                        + "Then make the backup again: what is stored of it is made use of.");
            }

            await passed;
        }
    }

    static async Task<TimelineHistory> HistoryAsync(ReplicationConnection connection, uint timeline, CancellationToken cancellationToken) =>
        TimelineHistory.Read(timeline, timeline == 1 ? default : (await connection.ReadHistoryAsync(timeline, cancellationToken)).Content);
}
