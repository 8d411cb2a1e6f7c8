using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Files;
using Salvor.Jobs;
using Salvor.Jobs.Commands;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Sqlite.Restore;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Cli.Commands;

static class RestoreCommand
{
    const string RestoreBeside =
        "Restore beside with '--output DIR', check it, and exchange the directories: 'salvor runbook NAME' has the steps.";

    const string RestoreOver = "'--delta' restores over a cluster that is stopped, and keeps what is the same.";

    static readonly VaultOptions Vault = new() { Command = StreamRestoreRun.Command };
    static readonly Option<string?> Output = new("--output", "--target", "-o")
    {
        Description = "The file to write; of files and clusters the directory.", HelpName = "PATH",
    };

    static readonly Option<string?> Timestamp = new("--timestamp")
    {
        Description = "Restore the last commit at or before this time; without a zone it is UTC.", HelpName = "TIME",
    };

    static readonly Option<string?> PositionOption = new("--position") { Description = "Restore exactly this position.", HelpName = "N" };
    static readonly Option<int?> BackupId = TypedOptions.Number(
        "--backup-id", 1, int.MaxValue, "Restore this backup; 'salvor list' shows their ids.");

    static readonly Option<int?> BranchOption = TypedOptions.Number("--branch", 1, 999_999, "The branch (default: the newest).");
    static readonly Option<bool> DryRun = new("--dry-run") { Description = "Print the plan and write nothing." };
    static readonly Option<bool> IfDbNotExists = new("--if-db-not-exists")
    {
        Description = "Restore to the configured path; do nothing, successfully, where the database exists.",
    };

    static readonly Option<bool> IfReplicaExists = new("--if-replica-exists")
    {
        Description = "Do nothing, successfully, where nothing is backed up yet. A damaged vault still fails.",
    };

    static readonly Option<bool> InPlace = new("--in-place")
    {
        Description = "Replace the source's own database; the old one is moved aside. Refused while any app has it open.",
    };

    static readonly Option<bool> Force = new("--force")
    {
        Description = "Replace what is at --output: a file, or of files what has their names.",
    };

    static readonly Option<bool> NoCheck = new("--no-check")
    {
        Description = "Skip PRAGMA integrity_check; checksums are always verified.",
    };


    static readonly Option<string?> StateDirectory = new("--state-dir")
    {
        Description = "The folder of local state, if 'replicate' was given one.", HelpName = "DIR",
    };

    public static Command Create()
    {
        var command = new Command(
            "restore", "Bring a database, a cluster or files back, as of now or any moment, proved before anything appears.")
        {
            Output, Timestamp, PositionOption, BackupId, BranchOption, DryRun, IfDbNotExists, IfReplicaExists, InPlace, Force, NoCheck,
            StateDirectory,
        };
        foreach (var option in (Option[])[.. TreeRestoreRun.Own, .. StreamRestoreRun.Own, .. ClusterOptions.Own])
        {
            command.Add(option);
        }

        Vault.AddTo(command);
        return command.WithAction(RunAsync);
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        CheckOptions(invocation);
        var consumer = StreamRestoreRun.ConsumerIn(invocation);
        if (consumer is not null && new Option[] { Output, Force }.FirstOrDefault(invocation.Has) is { } stray)
        {
            throw new SalvorException(
                FailureKind.Usage, $"'{stray.Name}' is for a file, and '--pipe' gives all to a command",
                "Leave one of them out: 'salvor restore NAME --output FILE', or 'salvor restore NAME --pipe -- psql app'.");
        }

        var (vault, found) = await FindVaultAsync(invocation);
        if (vault is { Identity.IsPostgres: true } || found is PostgresSourceConfig)
        {
            return await RestoreClusterAsync(invocation, vault, found as PostgresSourceConfig);
        }

        if (ClusterOptions.Own.FirstOrDefault(invocation.Has) is { } ofClusters)
        {
            throw new SalvorException(
                FailureKind.Usage, $"'{ofClusters.Name}' is for clusters of PostgreSQL, and this is none", "Leave it out.");
        }

        if (vault is { Identity.IsTree: true } || found is TreeSourceConfig)
        {
            return await RestoreTreeAsync(invocation, vault, found, consumer);
        }

        if (TreeRestoreRun.Own.Concat(StreamRestoreRun.Own).FirstOrDefault(invocation.Has) is { } other)
        {
            throw new SalvorException(
                FailureKind.Usage, $"'{other.Name}' is for files, and this is a database", "Leave it out: a database is restored whole.");
        }

        var source = found as SqliteSourceConfig;
        var name = vault?.Identity.Source ?? Vault.NameIn(invocation) ?? source?.Name ?? "";
        var home = HomeOf(invocation, vault, source);
        if (invocation.Get(IfDbNotExists) && home is not null && File.Exists(home))
        {
            return Skip(invocation, name, home, $"{home} exists");
        }

        return vault is null
            ? SkipEmpty(invocation, vault, name, home)
            : await FreshListing.UseAsync(vault, listed => RestoreAsync(invocation, listed, name, home, found), invocation.Cancellation);
    }

    static async Task<int> RestoreTreeAsync(
        Invocation invocation, VaultAccess? vault, SourceConfig? source, ConfiguredCommand? consumer)
    {
        var isStream = vault?.Identity.Kind == StreamBackup.Kind || source is CommandSourceConfig;
        Option[] others =
        [
            PositionOption, BranchOption, IfDbNotExists, InPlace, NoCheck, StateDirectory,
            .. isStream ? TreeRestoreRun.Own.Except([TreeRestoreRun.Snapshot]) : StreamRestoreRun.Own,
        ];
        if (others.FirstOrDefault(invocation.Has) is { } stray)
        {
            throw new SalvorException(
                FailureKind.Usage,
                isStream ? $"'{stray.Name}' does not go with what a command printed" : $"'{stray.Name}' does not go with files",
                isStream
                    ? "It is restored into a file, which '--output' names, or by '--pipe' into a command."
                    : "Files are restored into a directory, which '--output' names.");
        }

        string?[] names = [invocation.Get(TreeRestoreRun.Snapshot), $"{invocation.Get(BackupId)}", invocation.Get(Timestamp)];
        var given = names.Where(name => name is { Length: > 0 }).ToList();
        if (given.Count > 1)
        {
            throw new SalvorException(
                FailureKind.Usage, "'--snapshot', '--backup-id' and '--timestamp' each name a backup", "Give one of them.");
        }

        if (vault is null)
        {
            return NothingYet(invocation, source);
        }

        var (name, output, dryRun) = (given.FirstOrDefault(), invocation.Get(Output), invocation.Get(DryRun));
        Task<int> RestoreAsync() => isStream
            ? StreamRestoreRun.RunAsync(
                invocation, vault, name, output, consumer, ScratchOf(invocation), dryRun, invocation.Get(Force))
            : TreeRestoreRun.RunAsync(invocation, vault, name, output, ScratchOf(invocation), dryRun, invocation.Get(Force), source);
        return dryRun ? await RestoreAsync() : await RestoreHooks.AroundAsync(invocation, source, output ?? "", RestoreAsync);
    }

    static async Task<int> RestoreClusterAsync(Invocation invocation, VaultAccess? vault, PostgresSourceConfig? source)
    {
        ExpectOfClusters(invocation);
        var target = ClusterOptions.TargetOf(invocation, Timestamp);
        ClusterOptions.ExpectStart(invocation);
        if (vault is null)
        {
            return NothingYet(invocation, source);
        }

        var (output, dryRun) = (invocation.Get(Output), invocation.Get(DryRun));
        var request = new ClusterRestoreRequest(
            target, invocation.Get(TreeRestoreRun.Snapshot) ?? $"{invocation.Get(BackupId)}", output, ScratchOf(invocation), dryRun,
            invocation.Get(Timestamp));
        request = request with { Backup = request.Backup is { Length: > 0 } backup ? backup : null };
        Task<int> RestoreAsync() => ClusterRestoreRun.RunAsync(invocation, vault, request, source);
        return dryRun ? await RestoreAsync() : await RestoreHooks.AroundAsync(invocation, source, output ?? "", RestoreAsync);
    }

    /// <summary>Throws where an option does not go with a cluster.</summary>
    static void ExpectOfClusters(Invocation invocation)
    {
        (Option Option, string Hint)[] others =
        [
            (PositionOption, "'--lsn X/Y' names an address of its log."),
            (BranchOption, "'--timeline N' names the timeline that is followed."),
            (InPlace, RestoreBeside), (Force, RestoreOver), (IfDbNotExists, RestoreBeside), (TreeRestoreRun.Delete, RestoreOver),
            .. ((Option[])
            [
                NoCheck, StateDirectory, TreeRestoreRun.Include, TreeRestoreRun.Exclude, TreeRestoreRun.Chmod, .. StreamRestoreRun.Own,
            ]).Select(option => (option, "A cluster is restored whole, into a new or empty directory, which '--output' names.")),
        ];
        if (others.FirstOrDefault(item => invocation.Has(item.Option)) is { Option: { } stray, Hint: var hint })
        {
            throw new SalvorException(FailureKind.Usage, $"'{stray.Name}' does not go with a cluster of PostgreSQL", hint);
        }

        if (invocation.Has(TreeRestoreRun.Snapshot) && invocation.Has(BackupId))
        {
            throw new SalvorException(FailureKind.Usage, "'--snapshot' and '--backup-id' each name a backup", "Give one of them.");
        }
    }

    static int NothingYet(Invocation invocation, SourceConfig? source) => invocation.Get(IfReplicaExists)
        ? Skip(invocation, source?.Name ?? "", "", "nothing is backed up yet")
        : throw new SalvorException(
            FailureKind.NotRestorable, $"nothing is backed up yet of source {source?.Name}", "Run 'salvor backup' first.");

    static void CheckOptions(Invocation invocation)
    {
        _ = RestorePoints.Parse(invocation, BackupId, BranchOption, Timestamp, PositionOption);
        bool[] given = [invocation.Get(Output) is not null, invocation.Get(InPlace), invocation.Get(IfDbNotExists)];
        var places = given.Count(isGiven => isGiven);
        if (places > 1 && !(invocation.Get(Output) is not null && invocation.Get(IfDbNotExists)))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--output', '--in-place' and '--if-db-not-exists' name different places", "Give one of them.");
        }
    }

    static async Task<(VaultAccess? Vault, SourceConfig? Source)> FindVaultAsync(Invocation invocation)
    {
        try
        {
            return await Vault.FindAsync(invocation);
        }
        catch (SalvorException e) when (e.Kind == FailureKind.NotRestorable && invocation.Get(IfReplicaExists))
        {
            return (null, null);
        }
    }

    /// <summary>The place of the live database, which is where "in place" is.</summary>
    static string? HomeOf(Invocation invocation, VaultAccess? vault, SqliteSourceConfig? source) =>
        invocation.Get(Output) is { } output && invocation.Get(IfDbNotExists)
            ? Path.GetFullPath(output)
            : source?.Path ?? vault?.Identity.Path;

    /// <summary>Whether nothing can be restored because nothing was ever complete; a damaged vault is something else.</summary>
    static async Task<bool> IsUnstartedAsync(VaultCatalog catalog, RestorePlanner planner, CancellationToken cancellationToken) =>
        catalog.IsEmpty
        || (catalog.Branches.Count == 1 && catalog.Logs(1).Missing.Count == 0 && !await planner.HasPointsAsync(1, cancellationToken));

    static int SkipEmpty(Invocation invocation, VaultAccess? vault, string name, string? home) => invocation.Get(IfReplicaExists)
        ? Skip(invocation, name, home ?? "", "nothing is backed up yet")
        : throw new SalvorException(
            FailureKind.NotRestorable,
            $"nothing is backed up yet{(vault is null ? "" : $" in vault {vault.Location}")}",
            "Use '--if-replica-exists' where that is expected, for example on the first boot.");

    static int Skip(Invocation invocation, string name, string path, string why)
    {
        invocation.Print($"nothing to do: {why}");
        invocation.PrintJson(
            new RestoreDocument(name, path, false, 0, 0, null, null, 0, 0, 0, 0, 0, "", "", 0, why), () => CliJson.Default.RestoreDocument);
        return 0;
    }

    static async Task<int> RestoreAsync(Invocation invocation, VaultCatalog catalog, string name, string? home, SourceConfig? source)
    {
        var planner = new RestorePlanner(catalog);
        if (await IsUnstartedAsync(catalog, planner, invocation.Cancellation))
        {
            return SkipEmpty(invocation, catalog.Vault, name, home);
        }

        var request = await RestoreTargets.OfBackupAsync(catalog, Request(invocation), invocation.Cancellation);
        var requested = request.Time;
        var point = await RestoreTargets.ResolveAsync(catalog, planner, request, invocation.Cancellation);
        var plan = await planner.PlanAsync(request.Branch ?? planner.NewestBranch, point.Position, invocation.Cancellation);
        var (output, mode, makesDirectory) = PlaceOf(invocation, name, home, point);
        if (invocation.Get(DryRun))
        {
            PrintPlan(invocation, name, output, requested, point, plan);
            var document = new RestoreDocument(
                name, output, true, point.Branch, point.Position.Value, point.Time, requested, plan.LogObjectCount,
                0, 0, 0, 0, "", "", 0, "");
            invocation.PrintJson(document, () => CliJson.Default.RestoreDocument);
            return 0;
        }

        Task RunToAsync(int? pid) => RunAsync(
            invocation, catalog, plan, point, name, output, mode, makesDirectory, requested, pid);
        return await RestoreHooks.AroundAsync(invocation, source, output, async () =>
        {
            await (mode == RestoreMode.InPlace ? InPlaceAsync(invocation, output, point, RunToAsync) : RunToAsync(pid: null));
            return 0;
        });
    }

    static RestoreRequest Request(Invocation invocation) => RestorePoints.Request(
        invocation, BackupId, BranchOption, Timestamp, PositionOption);

    static (string Output, RestoreMode Mode, bool MakesDirectory) PlaceOf(
        Invocation invocation, string name, string? home, RestorePoint point)
    {
        if (invocation.Get(InPlace) || (invocation.Get(IfDbNotExists) && invocation.Get(Output) is null))
        {
            var path = home ?? throw new SalvorException(
                FailureKind.Usage, "the vault does not say where its database lives", "Name the file with '--output FILE'.");
            return (path, invocation.Get(InPlace) ? RestoreMode.InPlace : RestoreMode.NewFile, false);
        }

        if (invocation.Get(Output) is { } output)
        {
            var full = Path.GetFullPath(output);
            return full == home && File.Exists(full) && !invocation.Get(Force)
                ? throw new SalvorException(
                    FailureKind.Usage,
                    $"{full} is the live database of source {name}",
                    "Restore beside it with another '--output', or replace it with '--in-place'.")
                : (full, invocation.Get(Force) ? RestoreMode.Overwrite : RestoreMode.NewFile, false);
        }

        var folder = $"{name.Replace('/', '-')}-{point.Position}";
        var file = home is null ? $"{name.Replace('/', '-')}.db" : Path.GetFileName(home);
        return (Path.Combine(ScratchOf(invocation), folder, file), RestoreMode.NewFile, true);
    }

    static string ScratchOf(Invocation invocation) =>
        (!Vault.IsFromGiven(invocation) ? invocation.LoadConfig().Restore.Scratch : null) ?? Path.GetFullPath("restored");

    static async Task RunAsync(
        Invocation invocation, VaultCatalog catalog, RestorePlan plan, RestorePoint point, string name, string output, RestoreMode mode,
        bool makesDirectory, DateTimeOffset? requested, int? pid)
    {
        var started = invocation.Time.GetTimestamp();
        using var progress = new ProgressLine(invocation, name);
        var options = new RestoreTargetOptions
        {
            MakesDirectory = makesDirectory, PidUntilCommit = pid, Progressed = progress.Reporter,
        };
        using var target = RestoreTarget.Prepare(output, mode, options, invocation.Time);
        var restorer = new SqliteRestorer(catalog, plan)
        {
            Progressed = progress.Reporter,
            Sized = target.RequireSpace,
        };
        var image = await restorer.WriteAsync(target.File, invocation.Cancellation);
        var check = invocation.Get(NoCheck) ? (IntegrityCheckDepth?)null : IntegrityCheckDepth.Full;
        var file = await Task.Run(() => target.Commit(check, invocation.Cancellation), invocation.Cancellation);
        progress.Dispose();
        PrintResult(invocation, name, requested, point, image, file, check is not null);
        if (mode == RestoreMode.InPlace)
        {
            LocalState.WriteRestored(
                StateOf(invocation, output), output,
                new RestorePointFile(point.Branch, point.Position, FileIdentity.Of(output)!.Value));
        }

        invocation.PrintJson(
            new RestoreDocument(
                name, file.Path, false, point.Branch, point.Position.Value, point.Time, requested, image.ChangeSets, image.PageSize,
                image.PageCount, image.SizeBytes, image.FetchedBytes, $"{image.Checksum:x16}", check is null ? "skipped" : "ok",
                Math.Round(invocation.Time.GetElapsedTime(started).TotalSeconds, 3), ""),
            () => CliJson.Default.RestoreDocument);
    }

    /// <summary>Our own daemon lets go of the database for the time of the restore; everybody else must do so first.</summary>
    static async Task<int> InPlaceAsync(Invocation invocation, string path, RestorePoint point, Func<int?, Task> restore)
    {
        var state = StateOf(invocation, path);
        LocalState.EnsureDirectory(state);
        var holder = LockFile.HolderOf(LocalState.LockPath(state, path));
        if (holder is { Socket: { } socket })
        {
            // What the app committed until now stays restorable, so the daemon publishes it before it lets go.
            await ControlClient.AskAsync(socket, new ControlRequest("pause", path), invocation.Cancellation);
            try
            {
                await LockedAsync(invocation, path, state, restore);
            }
            finally
            {
                await ControlClient.AskAsync(socket, new ControlRequest("resume", path), CancellationToken.None);
            }

            invocation.Print($"replication goes on, on a new branch after position {point.Position}");
            return 0;
        }

        await LockedAsync(invocation, path, state, restore);
        return 0;
    }

    static async Task LockedAsync(Invocation invocation, string path, string state, Func<int?, Task> restore)
    {
        using var held = LockFile.Acquire(
            LocalState.LockPath(state, path), LockHolder.Current(invocation.Time.GetUtcNow(), socket: null, LocalState.Version));
        await restore(null);
    }

    static string StateOf(Invocation invocation, string path)
    {
        if (invocation.Get(StateDirectory) is { } given)
        {
            return Path.GetFullPath(given);
        }

        if (!Vault.IsFromGiven(invocation)
            && invocation.LoadConfig().Sources.Values.FirstOrDefault(source => source.Path == path)?.StateDirectory is { } configured)
        {
            return configured;
        }

        return LocalState.DefaultDirectory(path);
    }

    static void PrintPlan(
        Invocation invocation, string name, string output, DateTimeOffset? requested, RestorePoint point, RestorePlan plan)
    {
        invocation.Print($"would restore \"{name}\" -> {output}");
        PrintTarget(invocation, requested, point);
        invocation.Print($"plan: snapshot at position {plan.Snapshot.Position} + {plan.LogObjectCount} change-set(s)");
    }

    static void PrintTarget(Invocation invocation, DateTimeOffset? requested, RestorePoint point)
    {
        var wanted = requested is { } time ? InstantText.Format(time)
            : invocation.Get(BackupId) is { } id ? $"backup {id}"
            : invocation.Get(PositionOption) is not null ? $"position {point.Position}"
            : "latest";
        var before = requested is not null && requested != point.Time ? "the last commit before, " : "";
        invocation.Print(
            $"target: {wanted} -> {InstantText.Format(point.Time)} ({before}position {point.Position}, branch {point.Branch})");
    }

    static void PrintResult(
        Invocation invocation, string name, DateTimeOffset? requested, RestorePoint point, RestoredImage image, RestoredFile file,
        bool isChecked)
    {
        var mark = Symbols.Ok;
        invocation.Print($"Restored \"{name}\" -> {file.Path}");
        PrintTarget(invocation, requested, point);
        invocation.Print($"applied: full backup + {image.ChangeSets} incremental change-set(s)");
        invocation.Print($"{mark} lineage verified: {image.ChangeSets}/{image.ChangeSets} change-set(s), hashes match");
        invocation.Print($"size: {image.PageCount} pages x {image.PageSize} bytes ({SizeText.Format(image.SizeBytes)})");
        invocation.Print($"downloaded: {SizeText.Format(image.FetchedBytes)}");
        if (isChecked)
        {
            invocation.Print($"{mark} integrity_check: ok");
        }
        else
        {
            invocation.Tell("warning: integrity_check was skipped, as asked by '--no-check'");
        }

        invocation.Print($"{mark} whole-database checksum: {image.Checksum:x16}, as at the source");
        foreach (var moved in file.MovedAside)
        {
            invocation.Print($"moved aside: {moved}");
        }
    }
}
