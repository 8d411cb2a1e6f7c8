using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Files;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Text;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Cli.Commands;

/// <summary>A restore of files, as <c>salvor restore</c> does it.</summary>
static class TreeRestoreRun
{
    public static readonly Option<string?> Snapshot = new("--snapshot")
    {
        Description = "Of files and clusters: which backup, by its id, label, a time, or 'latest' (the default).", HelpName = "BACKUP",
    };

    public static readonly Option<string[]> Include = new("--include")
    {
        Description = "Of files: only what matches, as in .gitignore. May be given again.", HelpName = "PATTERN",
        DefaultValueFactory = _ => [],
    };

    public static readonly Option<string[]> Exclude = new("--exclude")
    {
        Description = "Of files: not what matches. May be given again.", HelpName = "PATTERN", DefaultValueFactory = _ => [],
    };

    public static readonly Option<string?> Chown = new("--chown")
    {
        Description = "Of files and clusters: give all to this user and group, names or numbers.", HelpName = "USER:GROUP",
    };

    public static readonly Option<string> OwnedBy = new Option<string>("--owner-by")
    {
        Description = "Of files and clusters: find owners by name (by number where it is unknown here), or by number.",
        DefaultValueFactory = _ => "name", HelpName = "WHAT",
    }.WithChoices("name", "number");

    public static readonly Option<string?> OwnerMapFile = new("--owner-map")
    {
        Description = "Of files and clusters: whom owners become, in lines such as 'user app deploy' and 'group 1001 www-data'.",
        HelpName = "FILE",
    };

    public static readonly Option<string?> Chmod = new("--chmod")
    {
        Description = "Of files: permissions of directories and files, in octal.", HelpName = "D750,F640",
    };

    public static readonly Option<bool> Delete = new("--delete")
    {
        Description = "Of files: remove what is there and not in the backup, inside of the paths that it is of.",
    };

    /// <summary>What goes with files alone.</summary>
    public static readonly Option[] Own = [Snapshot, Include, Exclude, Delete, Chown, OwnedBy, OwnerMapFile, Chmod];

    /// <summary>What the source of the configuration says of what is restored; without one nobody knows.</summary>
    static TreeRestoreOptions OptionsOf(Invocation invocation, VaultAccess vault, FilesSourceConfig? source)
    {
        var profile = source?.Restore ?? new RestoreProfile();
        return new TreeRestoreOptions
        {
            Include = PathPatterns.Parse(invocation.Get(Include)),
            Exclude = PathPatterns.Parse(invocation.Get(Exclude)),
            Owners = OwnersOf(invocation, profile),
            Modes = Modes.Parse(invocation.Get(Chmod) ?? profile.Chmod),
            Deletes = invocation.Get(Delete),
            Kept = source?.Options.Exclude ?? PathPatterns.None,
            KeptIfPresent = source?.Options.ExcludeIfPresent ?? [],
            KeepsCaches = source?.Options.ExcludeCaches ?? false,
            Never = [vault.Location, .. source is null ? [] : ConfiguredSources.OwnFolders(invocation.LoadConfig())],
        };
    }

    /// <summary>Throws where a database of the configuration would be replaced while a daemon protects it.</summary>
    static void ExpectNoneProtected(Invocation invocation, FilesSourceConfig source, TreeRestoreOptions options, string target)
    {
        var config = invocation.LoadConfig();
        foreach (var vault in ConfiguredSources.Vaults(config, item => item is SqliteSourceConfig))
        {
            var path = target == "/" ? vault.Path
                : vault.Path.StartsWith(target + "/", StringComparison.Ordinal) ? vault.Path[target.Length..]
                : null;
            if (path is not null
                && source.Options.Paths.Any(root => $"{path}/".StartsWith(root.TrimEnd('/') + "/", StringComparison.Ordinal))
                && options.Replaces(path) && LockFile.HolderOf(LocalState.LockPath(vault.State, vault.Path)) is { } holder)
            {
                throw new SalvorException(
                    FailureKind.Locked, $"{vault.Path} is protected by process {holder.Pid}, and this restore would replace it",
                    $"Leave it out with '--exclude {path}' and use 'salvor restore {vault.Name} --in-place', or stop that process.");
            }
        }
    }

    /// <param name="invocation">The command line.</param>
    /// <param name="vault">The vault, with its copies.</param>
    /// <param name="name">Which backup; null for the newest.</param>
    /// <param name="output">Where to; a folder of its own where it is null.</param>
    /// <param name="scratch">Where folders are made.</param>
    /// <param name="dryRun">Whether nothing is written.</param>
    /// <param name="isOver">Whether there may be something.</param>
    /// <param name="configured">The source; null where there is no configuration.</param>
    public static async Task<int> RunAsync(
        Invocation invocation, VaultAccess vault, string? name, string? output, string scratch, bool dryRun, bool isOver,
        SourceConfig? configured)
    {
        var started = invocation.Time.GetTimestamp();
        var catalog = await VaultCatalog.LoadAsync(vault, invocation.Cancellation);
        var record = await TreeBackups.FindAsync(catalog, name, invocation.Cancellation);
        var snapshot = await TreeBackups.OpenAsync(vault, record, invocation.Cancellation);
        var source = vault.Identity.Source;
        var target = output is null ? Path.Combine(scratch, $"{source.Replace('/', '-')}-{record.Id}") : Path.GetFullPath(output);
        using var progress = new ProgressLine(invocation, source);
        var options = OptionsOf(invocation, vault, configured as FilesSourceConfig) with
        {
            IsOver = isOver, Progressed = progress.Reporter,
        };
        if ((isOver || options.Deletes) && !dryRun && configured is FilesSourceConfig files)
        {
            ExpectNoneProtected(invocation, files, options, target);
        }

        var restorer = new TreeRestorer(snapshot, options);
        var restored = dryRun
            ? await restorer.PlanAsync(target, invocation.Cancellation)
            : await RestoreAsync(restorer, target, invocation.Cancellation);
        progress.Dispose();
        var seconds = Math.Round(invocation.Time.GetElapsedTime(started).TotalSeconds, 3);
        Print(invocation, source, target, record, restored, options.Owners, dryRun);
        invocation.PrintJson(
            new RestoreDocument(
                source, target, dryRun, record.Branch, record.Position, record.Time, null, 0, 0, 0, restored.Bytes, restored.FetchedBytes,
                record.Checksum, dryRun ? "" : "ok", seconds, "")
            {
                Files = new TreeRestoreBody(
                    record.Id, restored.Files, restored.Entries,
                    [.. options.Owners.Mappings.Select(item => new OwnerBody(
                        item.IsGroup ? "group" : "user", item.Name, item.Number, item.Becomes, item.IsConflict))],
                    restored.Problems, restored.ReusedBytes, restored.RemovedCount, restored.Removed),
            },
            () => CliJson.Default.RestoreDocument);
        return 0;
    }

    /// <summary>What the command line says of owners stands for all that the configuration says of them.</summary>
    public static Ownership OwnersOf(Invocation invocation, RestoreProfile profile)
    {
        if (new Option[] { Chown, OwnedBy, OwnerMapFile }.Any(invocation.Has))
        {
            profile = new RestoreProfile
            {
                Chown = invocation.Get(Chown),
                OwnerBy = invocation.Get(OwnedBy) == "number" ? OwnerBy.Number : OwnerBy.Name,
                OwnerMap = invocation.Get(OwnerMapFile),
            };
        }

        return Ownership.Parse(profile.OwnerBy, profile.Chown, profile.OwnerMap is { } map ? OwnerMap.Read(map) : OwnerMap.None);
    }

    /// <summary>A failure says what is there already, and how to go on.</summary>
    static async Task<RestoredTree> RestoreAsync(TreeRestorer restorer, string target, CancellationToken cancellationToken)
    {
        try
        {
            return await restorer.RunAsync(target, cancellationToken);
        }
        catch (Exception e) when (restorer.Unfinished is { } place)
        {
            throw Unfinished(e, $"What is restored so far waits in {place}: the same restore goes on from it.");
        }
    }

    /// <summary>A failure with how to go on.</summary>
    public static SalvorException Unfinished(Exception e, string hint) => e switch
    {
        OperationCanceledException => new SalvorException(FailureKind.Interrupted, "interrupted", hint, e),
        SalvorException known => new SalvorException(known.Kind, known.Message, $"{known.Hint} {hint}", known),
        _ => new SalvorException(FailureKind.Failure, e.Message, hint, e),
    };

    static void Print(
        Invocation invocation, string source, string target, BackupRecord record, RestoredTree restored, Ownership owners, bool dryRun)
    {
        foreach (var problem in restored.Problems)
        {
            invocation.Tell($"warning: {problem}");
        }

        invocation.Print($"{(dryRun ? "would restore" : "Restored")} \"{source}\" -> {target}");
        invocation.Print($"backup {record.Id} of {InstantText.Format(record.Time)}");
        invocation.Print($"{restored.Entries} name(s), {restored.Files} of them files, {SizeText.Format(restored.Bytes)}");
        foreach (var path in restored.Removed)
        {
            invocation.Print($"  {(dryRun ? "would remove" : "removed")} {path}");
        }

        if (restored.RemovedCount > restored.Removed.Count)
        {
            invocation.Print($"  and {restored.RemovedCount - restored.Removed.Count} more");
        }

        foreach (var owner in owners.Mappings.Where(item => dryRun || item.IsConflict))
        {
            var was = owner.Name.Length > 0 ? $"{owner.Name} ({owner.Number})" : $"{owner.Number}";
            invocation.Print(
                $"  {(owner.IsGroup ? "group" : "user")} {was} {Symbols.Arrow} {owner.Becomes}"
                    + (owner.IsConflict ? "  conflict: this machine does not know that name by this number" : ""));
        }

        if (!dryRun)
        {
            invocation.Print($"downloaded: {SizeText.Format(restored.FetchedBytes)}");
            if (restored.ReusedBytes > 0)
            {
                invocation.Print($"there already, and the same: {SizeText.Format(restored.ReusedBytes)}");
            }

            invocation.Print($"{Symbols.Ok} every chunk matches its name");
        }
    }
}
