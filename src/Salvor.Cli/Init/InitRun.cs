using System.Security.Cryptography;
using System.Text;
using Salvor.Cli.Commands;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Setup;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Text;
using Salvor.Vault;

namespace Salvor.Cli.Init;

/// <summary>
/// Carries a decision out: key, configuration, export, first backups, drop-in. What is there already is used, so that the same again goes
/// on where it stopped.
/// </summary>
sealed class InitRun(Invocation invocation, InitDecision decision)
{
    const int BackupsMax = 10;
    const int KeyBytes = 32;

    readonly List<string> done = [];
    readonly List<InitSourceBody> backedUp = [];
    readonly List<string> exports = [];

    public async Task<int> RunAsync()
    {
        var yaml = decision.Setup.ToYaml();
        var config = ConfigFile.Parse(yaml, decision.ConfigPath, Environment.GetEnvironmentVariable);
        var isNew = CheckConfig(yaml);
        var absent = Absent(config);
        string? dropIn;
        try
        {
            MakeKey();
            WriteConfig(yaml, isNew);
            await ExportAsync(config);
            await BackUpAsync(config);
            dropIn = WriteDropIn(config);
        }
        catch (Exception e) when (e is SalvorException or IOException or UnauthorizedAccessException && done.Count > 0)
        {
            var (kind, hint) = e is SalvorException known
                ? (known.Kind, known.Hint)
                : (FailureKind.Failure, "Check the path and who may use it.");
            throw new SalvorException(
                kind, e.Message, $"{hint} What is done stays: {Suggestion.Enumerate(done)}. Run the same command again: it goes on.", e);
        }
        catch (OperationCanceledException) when (done.Count > 0)
        {
            throw new SalvorException(
                FailureKind.Interrupted, "interrupted",
                $"What is done stays: {Suggestion.Enumerate(done)}. Run the same command again: it goes on.");
        }
        finally
        {
            GiveAway(config, absent);
        }

        Conclude(config, isNew, dropIn);
        return 0;
    }

    /// <summary>Whether the file is to be written. The same content is as good as written.</summary>
    bool CheckConfig(string yaml)
    {
        var path = decision.ConfigPath;
        if (!File.Exists(path))
        {
            return true;
        }

        var isNew = File.ReadAllText(path) != yaml;
        return !isNew || decision.Replaces
            ? isNew
            : throw new SalvorException(
                FailureKind.Usage,
                $"{path} exists, and is not what these options make",
                "Replace it with '--force' (the old one stays as .old), or name another with '--config FILE'.");
    }

    /// <summary>Of what the daemon writes to, that which is not there yet. The outer ones first.</summary>
    List<string> Absent(SalvorConfig config)
    {
        var folders = config.Destinations.Values.OfType<FileDestinationConfig>().Select(file => file.Path);
        var names = ConfiguredSources.Sources(config).Select(source => source.Name).Append(VaultKeys.Heads.TrimEnd('/'));
        var vaults = folders.SelectMany(folder => names.Select(name => Path.Combine(folder, name)));
        var states = ConfiguredSources.Vaults(config, _ => true).Select(vault => vault.State);
        string?[] all = [.. folders, .. vaults, .. states, decision.Setup.KeyFile];
        return [.. all.OfType<string>().Distinct().Where(path => !Path.Exists(path))];
    }

    void MakeKey()
    {
        if (decision.Setup.KeyFile is not { } path)
        {
            return;
        }

        if (!File.Exists(path))
        {
            MakeFolder(path);
            var text = Convert.ToBase64String(RandomNumberGenerator.GetBytes(KeyBytes)) + "\n";
            var temporary = DurableFile.WriteTemporary(Path.GetDirectoryName(path)!, Encoding.ASCII.GetBytes(text));
            DurableFile.RenameNoReplace(temporary, path);
            DurableFile.FlushDirectory(Path.GetDirectoryName(path)!);
            done.Add($"key file {path}");
            Say($"made key file {path}");
        }
    }

    void WriteConfig(string yaml, bool isNew)
    {
        var path = decision.ConfigPath;
        if (isNew)
        {
            MakeFolder(path);
            if (File.Exists(path))
            {
                File.Move(path, path + ".old", overwrite: true);
            }

            Write(path, yaml);
            Write(Path.Combine(Path.GetDirectoryName(path)!, SetupConfig.SchemaFile), ConfigCommand.Indented(ConfigSchema.Make()));
        }

        done.Add($"configuration {path}");
        Say(isNew ? $"wrote {path}" : $"{path} is right already");
    }

    /// <summary>No secret is in what is written here, and the user of the daemon reads it.</summary>
    static void Write(string path, string text)
    {
        DurableFile.Replace(path, Encoding.UTF8.GetBytes(text));
        File.SetUnixFileMode(
            path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead | UnixFileMode.OtherRead);
    }

    static void MakeFolder(string path) => Directory.CreateDirectory(Path.GetDirectoryName(path)!);

    async Task ExportAsync(SalvorConfig config)
    {
        if (decision.ExportFile is not { } file)
        {
            return;
        }

        foreach (var (index, source) in ConfiguredSources.Sources(config).Index())
        {
            var target = index == 0 ? file : $"{file}-{source.Name}";
            MakeFolder(target);
            if (await KeyTransferCommands.ExportOnceAsync(invocation, config, source, target))
            {
                exports.Add(target);
                done.Add($"exported key {target}");
                Say($"exported the key of {source.Name} to {target}");
            }
        }
    }

    async Task BackUpAsync(SalvorConfig config)
    {
        if (!decision.BacksUp)
        {
            return;
        }

        foreach (var tree in config.Trees.Values)
        {
            Tell(await FirstBackup.MakeAsync(invocation, config, tree));
        }

        foreach (var source in config.Sources.Values)
        {
            var members = ConfiguredSources.Members(source, failure => throw failure).ToList();
            foreach (var member in members.Take(BackupsMax))
            {
                Tell(await FirstBackup.MakeAsync(invocation, config, source, member));
            }

            if (members.Count is 0 or > BackupsMax)
            {
                invocation.Tell(members.Count == 0
                    ? $"warning: nothing matches {source.Paths!.Patterns[0]} yet, so no first backup was made. hint: The daemon begins by "
                        + $"itself when a file is there; then run 'salvor backup {source.Name}/FILE --verify'."
                    : $"{members.Count - BackupsMax} more databases of {source.Name} are backed up when the daemon starts");
            }
        }
    }

    void Tell(InitSourceBody first)
    {
        backedUp.Add(first);
        done.Add($"backup {first.BackupId} of {first.Source}");
        Say($"{first.Source}: backup {first.BackupId}, position {first.Position} of {InstantText.Format(first.Time)}, restored and "
            + $"checked from {Suggestion.Enumerate(first.Verified)}");
    }

    string? WriteDropIn(SalvorConfig config)
    {
        if (decision.UnitFolder is not { } folder)
        {
            return null;
        }

        var path = SystemdDropIn.PathIn(folder);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        Write(path, new SystemdDropIn
        {
            User = decision.Account.User,
            Group = decision.Account.Group,
            ConfigPath = decision.ConfigPath,
            WritablePaths = [.. WrittenBy(config).Distinct()],
        }.ToString());
        done.Add($"drop-in {path}");
        Say($"wrote {path}");
        return path;
    }

    static IEnumerable<string> WrittenBy(SalvorConfig config) => config.Sources.Values
        .Select(source => source.Path is { } path ? Path.GetDirectoryName(path)! : source.Paths!.BaseDirectory)
        .Concat(config.SnapshotSources.Select(source => ConfiguredSources.StateOf(config, source)))
        .Concat(config.Destinations.Values.OfType<FileDestinationConfig>().Select(file => file.Path));

    /// <summary>What root made here, the daemon goes on with as another user. What was there before stays as it is.</summary>
    void GiveAway(SalvorConfig config, List<string> absent)
    {
        var account = decision.Account;
        if (!Environment.IsPrivilegedProcess || account.UserId == 0)
        {
            return;
        }

        foreach (var path in absent)
        {
            Accounts.Give(path, account.UserId, account.GroupId);
        }

        foreach (var file in config.Destinations.Values.OfType<FileDestinationConfig>())
        {
            if (FileStat.Of(file.Path) is { } stat && stat.UserId != account.UserId)
            {
                invocation.Tell(
                    $"warning: {file.Path} belongs to {Accounts.UserName(stat.UserId)}, and the daemon is to run as {account.User}. "
                        + $"hint: Run 'chown {account.User} {file.Path}', unless its mode lets {account.User} write there.");
            }
        }
    }

    void Conclude(SalvorConfig config, bool isNew, string? dropIn)
    {
        var option = decision.ConfigPath == ConfigFile.DefaultPath ? "" : $" --config {decision.ConfigPath}";
        var name = backedUp.Count > 0 ? backedUp[0].Source : ConfiguredSources.Sources(config).First().Name;
        string[] next =
        [
            dropIn is null ? $"salvor daemon{option}" : "systemctl daemon-reload && systemctl enable --now salvor",
            $"salvor status --check{option}",
            $"salvor restore {name}{option}",
        ];
        invocation.Print("");
        if (decision.BacksUp)
        {
            invocation.Print($"What stays restorable: {decision.Setup.Recipe.Keeps}.");
        }

        if (exports.Count > 0)
        {
            invocation.Print($"Move {Suggestion.Enumerate(exports)} off this machine now: with the copies, it opens everything.");
        }

        invocation.Print("Next:");
        string[] meanings = ["protects from now on", "is 0 while it does; for a monitor", "brings it back, into a new folder"];
        foreach (var (command, meaning) in next.Zip(meanings))
        {
            invocation.Print($"  {command.PadRight(next.Max(item => item.Length))}   # {meaning}");
        }

        invocation.PrintJson(
            new InitDocument(decision.ConfigPath, isNew, backedUp, decision.Setup.KeyFile, exports, dropIn, next),
            () => CliJson.Default.InitDocument);
    }

    void Say(string line) => invocation.Print($"{Symbols.Ok} {line}");
}
