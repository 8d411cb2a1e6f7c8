using Salvor.Files;
using Salvor.Jobs.Clusters;
using Salvor.Jobs.Commands;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Postgres.Backup;
using Salvor.Sqlite;
using Salvor.Sqlite.Snapshots;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Copies;
using Salvor.Vault.Keys;

namespace Salvor.Jobs;

/// <summary>A copy that could not be made at a further destination.</summary>
/// <param name="Destination">Its name.</param>
/// <param name="IsRequired">Whether the backup does not count without it.</param>
/// <param name="Failure">Why.</param>
public sealed record TreeCopyFailure(string Destination, bool IsRequired, SalvorException Failure);

/// <summary>Backs up a configured source of files, or what a command prints, to all its destinations.</summary>
/// <param name="config">The configuration.</param>
/// <param name="tree">The source.</param>
/// <param name="time">The clock.</param>
public sealed class TreeSource(SalvorConfig config, TreeSourceConfig tree, TimeProvider time)
{
    /// <summary>For how long it is shown what a backup found: the next one, of files that are encrypted already, finds nothing.</summary>
    static readonly TimeSpan AnomalyShown = TimeSpan.FromDays(1);

    readonly string state = ConfiguredSources.StateOf(config, tree);

    /// <summary>Told how far it is.</summary>
    public Action<WorkProgress>? Progressed { get; init; }

    /// <summary>What is backed up instead of what the source's command prints.</summary>
    public StreamProducer? Producer { get; init; }

    /// <summary>Told of what hooks have to say that changes nothing.</summary>
    public Action<string>? Warned { get; init; }

    /// <summary>What a backup is said to do, in the lock that it holds.</summary>
    public string Command { get; init; } = $"salvor backup {tree.Name}";

    /// <summary>Whether the log of a cluster comes by somebody else in this process.</summary>
    public bool IsFollowed { get; init; }

    /// <summary>Why a backup is made.</summary>
    public RunTrigger Trigger { get; init; }

    /// <summary>
    /// Makes one backup; one at a time on this machine. What could not be copied to further destinations is returned beside it. Writes down
    /// how it went, for <c>salvor status</c> and <c>salvor history</c>. A hook after it that failed is returned too: the backup is made.
    /// </summary>
    public async Task<(TreeBackupResult Result, IReadOnlyList<TreeCopyFailure> Copies, AfterHookException? Hook)> BackUpAsync(
        BackupRequest request, Keyring? keys, CancellationToken cancellationToken)
    {
        LocalState.EnsureDirectory(state);
        using var held = LockFile.Acquire(
            LocalState.LockPath(state, tree.Name), LockHolder.Current(time.GetUtcNow(), socket: null, LocalState.Version, Command));
        UnfinishedFile.Sweep(state);
        var (began, started) = (time.GetUtcNow(), time.GetTimestamp());
        var mark = BackupMarkFile.Read(MarkPath);
        (TreeBackupResult Result, IReadOnlyList<TreeCopyFailure> Copies, RunRecord Run)? made = null;
        try
        {
            var (result, copies, run) = await new SourceHooks(tree, "backup", time) { Warned = Warned }.AroundAsync(
                new Dictionary<string, string>(),
                async () =>
                {
                    var vault = await OpenAsync(request, keys, cancellationToken);
                    mark = mark?.VaultId == vault.Id ? mark : new BackupMark { VaultId = vault.Id };
                    var backup = await MakeAsync(vault, request, cancellationToken);
                    var failed = await CopyAsync(vault, began, cancellationToken);
                    var seconds = Math.Round(time.GetElapsedTime(started).TotalSeconds, 3);
                    mark = MarkOf(mark, backup, failed, seconds);
                    BackupMarkFile.Write(MarkPath, mark);
                    made = (backup, failed, RunOf(began, backup, failed));
                    return made.Value;
                },
                done => new()
                {
                    ["SALVOR_OUTCOME"] = done.Result.IsPartial ? "partial" : "success",
                    ["SALVOR_BACKUP_ID"] = $"{done.Result.Record.Id}",
                },
                cancellationToken);
            Note(run);
            return (result, copies, null);
        }
        catch (AfterHookException e) when (made is not null && mark is not null)
        {
            var (result, copies, run) = made.Value;
            var isFirst = run.Error.Length == 0;
            run = run with { Outcome = RunOutcome.Failed, Error = isFirst ? e.Message : $"{run.Error}; {e.Message}" };
            BackupMarkFile.Write(
                MarkPath, isFirst ? mark.FailedAt(time.GetUtcNow(), run.Error) : mark with { Failure = run.Error });
            Note(run);
            return (result, copies, e);
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            BackupMarkFile.Write(MarkPath, (mark ?? new BackupMark { VaultId = Guid.Empty }).FailedAt(time.GetUtcNow(), e.Message));
            Note(new RunRecord
            {
                Trigger = Trigger, Outcome = RunOutcome.Failed, StartedAt = began, EndedAt = time.GetUtcNow(), Error = e.Message,
            });
            throw;
        }
    }

    /// <summary>A history that cannot be written changes nothing about the backup.</summary>
    void Note(RunRecord run)
    {
        try
        {
            RunHistory.Add(RunsPath, run);
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException)
        {
            Warned?.Invoke($"this run is not in the history of {tree.Name}: {e.Message}");
        }
    }

    /// <summary>A backup that is not where it has to be is made, and does not count as one.</summary>
    BackupMark MarkOf(BackupMark before, TreeBackupResult result, IReadOnlyList<TreeCopyFailure> copies, double seconds)
    {
        var now = time.GetUtcNow();
        var made = before.Made(now, result.Record, seconds) with
        {
            Files = result.Totals.Files,
            PartialFiles = result.Totals.Unreadable + result.Totals.Changed,
            Anomaly = result.Anomaly ?? (now - before.Anomaly?.At < AnomalyShown ? before.Anomaly : null),
            Copies = [.. tree.To.Select(name => CopyOf(name, before, copies, now))],
        };
        return RequiredFailure(copies) is { } failure
            ? (made with { LastSuccessAt = before.LastSuccessAt, Succeeded = before.Succeeded }).FailedAt(now, failure)
            : made;
    }

    CopyStatus CopyOf(string name, BackupMark before, IReadOnlyList<TreeCopyFailure> copies, DateTimeOffset now)
    {
        var destination = config.Destinations[name];
        var failed = copies.FirstOrDefault(copy => copy.Destination == name);
        var since = before.Copies.FirstOrDefault(copy => copy.Name == name)?.BehindSince ?? now;
        return new CopyStatus(
            destination.Location, destination.IsRequired || name == tree.To[0], failed is null ? null : since,
            failed?.Failure.Message ?? "", failed?.Failure.Hint ?? "")
        {
            Name = name,
        };
    }

    RunRecord RunOf(DateTimeOffset began, TreeBackupResult result, IReadOnlyList<TreeCopyFailure> copies)
    {
        var failure = RequiredFailure(copies);
        return new()
        {
            Trigger = Trigger,
            Outcome = failure is not null ? RunOutcome.Failed : result.IsPartial ? RunOutcome.Partial : RunOutcome.Ok,
            StartedAt = began,
            EndedAt = time.GetUtcNow(),
            BackupId = result.Record.Id,
            SizeBytes = result.Record.SizeBytes,
            AddedBytes = result.Record.AddedBytes,
            Error = failure ?? "",
            Anomaly = result.Anomaly?.Text ?? "",
        };
    }

    static string? RequiredFailure(IReadOnlyList<TreeCopyFailure> copies) => copies.FirstOrDefault(copy => copy.IsRequired) is { } required
        ? $"it is not at {required.Destination}, which is required: {required.Failure.Message}"
        : null;

    string RunsPath => LocalState.RunsPath(state, tree.Name);

    string MarkPath => LocalState.BackupPath(state, tree.Name);

    /// <summary>What the last verification found damaged at the first destination; it said so as long as none found it whole.</summary>
    HashSet<string> DamagedIn(VaultAccess vault) =>
        [.. VerifyFile.Read(LocalState.VerifyPath(state, tree.Name))?.Destinations
            .Where(item => item.Destination == vault.Location).SelectMany(item => item.Findings).Select(finding => finding.Key) ?? []];

    Task<TreeBackupResult> MakeAsync(VaultAccess vault, BackupRequest request, CancellationToken cancellationToken) => tree switch
    {
        FilesSourceConfig files => new TreeBackup(vault, OptionsOf(files), time)
        {
            Progressed = Progressed, Damaged = DamagedIn(vault),
        }.RunAsync(request, cancellationToken),
        CommandSourceConfig command => new StreamBackup(vault, command.FileName ?? tree.Name, time)
        {
            Progressed = Progressed, Damaged = DamagedIn(vault), AllowsEmpty = command.AllowsEmpty,
        }.RunAsync(request, Producer ?? ProducerOf(command), cancellationToken),
        PostgresSourceConfig postgres => ClusterSource.BackUpAsync(
            new CompleteBackup(vault, ClusterSource.OptionsOf(config, postgres), time)
            {
                Progressed = Progressed, Damaged = DamagedIn(vault), Told = Warned, IsFollowed = IsFollowed,
                FullEvery = postgres.FullEvery,
            },
            request, cancellationToken),
        _ => throw new InvalidOperationException($"no way to back up {tree.GetType().Name}"),
    };

    StreamProducer ProducerOf(CommandSourceConfig source) => source.Command is { } command
        ? CommandDump.Of(source.Name, command, time)
        : throw new SalvorException(
            FailureKind.Usage, $"source {source.Name} has no command", "Give it what it keeps: 'salvor backup NAME --stdin'.");

    /// <summary>No destination of the configuration is ever part of a backup, which would grow by itself, and no local state.</summary>
    TreeOptions OptionsOf(FilesSourceConfig files) => files.Options with
    {
        Never = ConfiguredSources.OwnFolders(config),
        Databases = new DatabaseCopying(
            DatabaseCopy.Write, state,
            [.. config.Sources.Values.SelectMany(source => ConfiguredSources.Members(source, _ => { })).Select(member => member.Path)])
        {
            IsForOpenAlone = !files.CopiesDatabases,
        },
    };

    async Task<VaultAccess> OpenAsync(BackupRequest request, Keyring? keys, CancellationToken cancellationToken) =>
        (await TreeVault.OpenAsync(config, tree, keys, time, cancellationToken)).With(request.Compression ?? tree.Compression);

    async Task<IReadOnlyList<TreeCopyFailure>> CopyAsync(
        VaultAccess vault, DateTimeOffset began, CancellationToken cancellationToken)
    {
        var failures = new List<TreeCopyFailure>();
        foreach (var destination in tree.To.Skip(1).Select(name => config.Destinations[name]))
        {
            Progressed?.Invoke(new WorkProgress("copying") { Item = $"to {destination.Name}" });
            try
            {
                var mirror = TreeVault.Mirror(config, tree, vault, destination, began.AddMilliseconds(-1), Warn);
                var pass = await mirror.RunAsync(everything: true, cancellationToken);
                if (pass.Damage is { } damage)
                {
                    failures.Add(new TreeCopyFailure(destination.Name, destination.IsRequired, damage));
                }
            }
            catch (SalvorException e)
            {
                failures.Add(new TreeCopyFailure(destination.Name, destination.IsRequired, e));
            }
        }

        return failures;
    }

    void Warn(string? lack)
    {
        if (lack is not null)
        {
            Warned?.Invoke(lack);
        }
    }
}
