using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Commands;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Sqlite.Restore;
using Salvor.Sqlite.Snapshots;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Cli.Commands;

static class BackupCommand
{
    static readonly VaultOptions Vault = new() { Command = StreamInput.Command };
    static readonly Option<string?> Label = new("--label") { Description = "What it is for, shown by 'list'.", HelpName = "TEXT" };
    public static readonly Option<string?> Destination = new("--dest")
    {
        Description = "The destination, where the source has several.", HelpName = "NAME",
    };

    static readonly Option<string> Mode = new Option<string>("--mode")
    {
        Description = "full, incremental or differential: all store only what is new, and each is complete by itself.",
        DefaultValueFactory = _ => "incremental",
        HelpName = "MODE",
    }.WithChoices("full", "incremental", "differential");

    static readonly Option<int?> RetentionDays = PruneOptions.Count(
        "--retention-days", "Keep it for N days, whatever the rules of the source say; after that a prune drops it.");

    static readonly Option<string?> Compression = CompressionOption.Create("as the rest of the source");

    static readonly Option<string?> Parent = new("--parent") { Description = "Refused: a backup depends on no other.", HelpName = "ID" };
    static readonly Option<bool> Verify = new("--verify") { Description = "Restore it into scratch and check it before saying so." };
    public static readonly Option<string?> StateDirectory = new("--state-dir")
    {
        Description = "The folder of local state, if 'replicate' was given one.", HelpName = "DIR",
    };

    static readonly Option<bool> Prune = new("--prune") { Description = "The same as 'salvor prune': drop what nothing keeps." };

    /// <summary>Which options go with what is asked for.</summary>
    static readonly Option[] ForMaking =
        [Label, Destination, Mode, Parent, Verify, RetentionDays, Compression, StateDirectory, .. TreeExclusions.Own, .. StreamInput.Own];

    static readonly Option[] ForDeleting =
        [BackupDeletion.BackupId, BackupDeletion.Cascade, BackupDeletion.Yes, PruneCommand.DryRun, Vault.From];

    static readonly Option[] ForPruning = [PruneOptions.OlderThanDays, PruneCommand.DryRun, Vault.From];

    public static Command Create()
    {
        Vault.Source.Description = "The name of a configured source, or the path of a database that is being replicated.";
        var command = new Command(
            "backup", "Make a backup of everything that there is at the call: a restore point with an id and a label.")
        {
            BackupDeletion.Delete, Prune,
        };
        foreach (var option in ForMaking.Concat(ForDeleting).Concat(ForPruning).Distinct().Except([Vault.From]))
        {
            command.Add(option);
        }

        Vault.AddTo(command);
        return command.WithWatchedAction(
            RunAsync, invocation => !invocation.Get(BackupDeletion.Delete) && !invocation.Get(Prune));
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var (deletes, prunes) = (invocation.Get(BackupDeletion.Delete), invocation.Get(Prune));
        if (deletes && prunes)
        {
            throw new SalvorException(
                FailureKind.Usage, "'--delete' drops one backup, and '--prune' what the rules do not keep", "Give one of them.");
        }

        var allowed = deletes ? ForDeleting : prunes ? ForPruning : ForMaking;
        if (ForMaking.Concat(ForDeleting).Concat(ForPruning).Except(allowed).FirstOrDefault(invocation.Has) is { } stray)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"'{stray.Name}' does not go with {(deletes ? "'--delete'" : prunes ? "'--prune'" : "making a backup")}",
                "Run 'salvor backup --help' to see what does.");
        }

        return deletes ? await BackupDeletion.RunAsync(invocation, Vault)
            : prunes ? await PruneCommand.RunAsync(invocation, Vault)
            : await MakeOneAsync(invocation);
    }

    static async Task<int> MakeOneAsync(Invocation invocation)
    {
        const int LabelLengthMax = 200;
        if (invocation.Get(Parent) is not null)
        {
            throw new SalvorException(
                FailureKind.Usage,
                "'--parent' has no meaning here: a backup depends on no other",
                "Leave it out. Every backup stores only what is new since the last, and each is complete by itself.");
        }

        if (invocation.Get(Label) is { } label && (label.Length > LabelLengthMax || label.Any(char.IsControl)))
        {
            throw new SalvorException(
                FailureKind.Usage,
                "the label is too long, or has characters that cannot be printed",
                $"Use one line of at most {LabelLengthMax} characters.");
        }

        var started = invocation.Time.GetTimestamp();
        var name = Vault.NameIn(invocation);
        invocation.Print($"Backup started: {InstantText.Format(invocation.Time.GetUtcNow())}");
        if (new Option[] { StreamInput.Stdin, StreamInput.To }.Any(invocation.Has))
        {
            TreeExclusions.ExpectNone(invocation, "a stream");
        }

        if (await StreamInput.RunAsync(invocation, Vault, Wanted(invocation), invocation.Get(Verify)) is { } code)
        {
            return code;
        }

        if ((name is null || !File.Exists(name)) && invocation.LoadConfig() is var config
            && ConfiguredSources.FindTree(config, name) is { } tree)
        {
            ExpectDestination(invocation, tree);
            var asked = TreeExclusions.Apply(invocation, tree);
            if (invocation.Get(StateDirectory) is { } state)
            {
                asked = asked with { StateDirectory = Path.GetFullPath(state) };
            }

            return await TreeBackupRun.RunAsync(invocation, config, asked, Wanted(invocation), invocation.Get(Verify));
        }

        TreeExclusions.ExpectNone(invocation, name ?? "this source");
        var (source, backup, findVault, scratch) = await MakeAsync(invocation);
        if (invocation.Get(Verify))
        {
            await VerifyAsync(invocation, await findVault(), backup, scratch);
        }

        var seconds = Math.Round(invocation.Time.GetElapsedTime(started).TotalSeconds, 3);
        Print(invocation, backup, seconds);
        invocation.PrintJson(
            new BackupDocument(
                source, backup.Id, backup.Label, backup.Mode, backup.Branch, backup.Position, backup.Time, backup.CreatedAt,
                backup.SizeBytes, backup.AddedBytes, backup.Checksum, invocation.Get(Verify), seconds, backup.RetentionDays),
            () => CliJson.Default.BackupDocument);
        return 0;
    }

    static async Task<(string Source, BackupRecord Backup, Func<Task<VaultAccess>> FindVault, string? Scratch)> MakeAsync(
        Invocation invocation)
    {
        var wanted = Wanted(invocation);
        var name = Vault.NameIn(invocation);
        if (name is not null && File.Exists(name))
        {
            var path = Path.GetFullPath(name);
            var state = OneShot.StateOf(path, invocation.Get(StateDirectory));
            var answer = await OneShot.AskAsync(invocation, state, Request(path), invocation.Cancellation)
                ?? throw OneShot.NotReplicated(path);
            return (answer.Source, answer.Backup!, () => FindByStatusAsync(path, state, answer.Source), null);
        }

        var config = invocation.LoadConfig();
        var (source, member) = ConfiguredSources.Find(config, name);
        ExpectDestination(invocation, source);
        var options = ConfiguredSources.OptionsOf(source, member);
        var hooks = new SourceHooks(source, "backup", invocation.Time) { Warned = line => invocation.Tell($"warning: {line}") };
        var backup = await hooks.AroundAsync(
            new Dictionary<string, string>(),
            async () => (await OneShot.AskAsync(
                    invocation, options.StateDirectory, Request(member.Path), invocation.Cancellation))?.Backup
                ?? await BackupMarkFile.CountAsync(
                    LocalState.BackupPath(options.StateDirectory, options.Path), invocation.Time, () => OneShot.AttachAsync(
                        invocation, $"salvor backup {options.Name}", config, source,
                        options with { Compression = wanted.Compression ?? options.Compression },
                        host => host.BackUpAsync(options.Name, wanted, invocation.Cancellation))),
            made => new() { ["SALVOR_OUTCOME"] = "success", ["SALVOR_BACKUP_ID"] = $"{made.Id}" },
            invocation.Cancellation);
        return (member.Name, backup, FindAsync, config.Restore.Scratch);

        ControlRequest Request(string path) => new("backup", path)
        {
            Label = wanted.Label, Mode = wanted.Mode, RetentionDays = wanted.RetentionDays, Compression = wanted.Compression?.ToString(),
        };

        async Task<VaultAccess> FindAsync() =>
            (await Destinations.FindVaultAsync(
                config, member.Name, source.To.Take(1), KeyOptions.Find(invocation, source), invocation.Cancellation))!;

        Task<VaultAccess> FindByStatusAsync(string path, string state, string sourceName) => Destinations.FindVaultAsync(
            StatusFile.Read(LocalState.StatusPath(state, path))!.Destination, sourceName, KeyOptions.Find(invocation, source: null),
            invocation.Cancellation);
    }

    static BackupRequest Wanted(Invocation invocation) => new(
        invocation.Get(Label) ?? "", invocation.Get(Mode), PruneOptions.CountIn(invocation, RetentionDays))
    {
        Compression = CompressionOption.In(invocation, Compression),
    };

    /// <summary>Refuses another destination than the one that a source is backed up to first.</summary>
    public static void ExpectDestination(Invocation invocation, SourceConfig source)
    {
        if (invocation.Get(Destination) is { } name && name != source.To[0])
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"source {source.Name} is not replicated to {name}",
                $"Use '--dest {source.To[0]}', or leave it out.");
        }
    }

    /// <summary>A real restore, proved like every other, into a folder that is gone afterwards.</summary>
    public static async Task VerifyAsync(Invocation invocation, VaultAccess vault, BackupRecord backup, string? scratch)
    {
        var catalog = await VaultCatalog.LoadAsync(vault, invocation.Cancellation);
        var plan = await new RestorePlanner(catalog).PlanAsync(backup.Branch, new Position(backup.Position), invocation.Cancellation);
        const UnixFileMode Own = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        const string Prefix = "salvor-verify-";
        var folder = scratch is null
            ? Directory.CreateTempSubdirectory(Prefix)
            : Directory.CreateDirectory(Path.Combine(scratch, $"{Prefix}{Environment.ProcessId}"), Own);
        try
        {
            using var progress = new ProgressLine(invocation, vault.Identity.Source);
            var output = Path.Combine(folder.FullName, "verify.db");
            var options = new RestoreTargetOptions { Progressed = progress.Reporter };
            using var target = RestoreTarget.Prepare(output, RestoreMode.NewFile, options, invocation.Time);
            var restorer = new SqliteRestorer(catalog, plan)
            {
                Progressed = progress.Reporter,
                Sized = target.RequireSpace,
            };
            await restorer.WriteAsync(target.File, invocation.Cancellation);
            await Task.Run(() => target.Commit(IntegrityCheckDepth.Full, invocation.Cancellation), invocation.Cancellation);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    static void Print(Invocation invocation, BackupRecord backup, double seconds)
    {
        invocation.Print($"Backup ID: {backup.Id}");
        invocation.Print($"Mode: {backup.Mode} (complete by itself)");
        if (backup.Label.Length > 0)
        {
            invocation.Print($"Label: {backup.Label}");
        }

        if (backup.RetentionDays is { } days)
        {
            invocation.Print($"Kept: for {days} days, until {InstantText.Format(backup.CreatedAt.AddDays(days))}");
        }

        invocation.Print($"Restore point: position {backup.Position} of {InstantText.Format(backup.Time)}, branch {backup.Branch}");
        invocation.Print($"Size: {SizeText.Format(backup.SizeBytes)}, {SizeText.Format(backup.AddedBytes)} added to the vault");
        invocation.Print($"Checksum: {backup.Checksum}");
        if (invocation.Get(Verify))
        {
            invocation.Print($"{Symbols.Ok} restored and checked: whole-database checksum, integrity_check");
        }

        invocation.Print($"Duration: {seconds:0.###}s");
        invocation.Print("Backup completed successfully");
    }
}
