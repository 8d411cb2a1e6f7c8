using Salvor.Cli.Commands;
using Salvor.Cli.Terminal;
using Salvor.Jobs.Config;
using Salvor.Jobs.Setup;
using Salvor.Platform;
using Salvor.Storage.S3;

namespace Salvor.Cli.Init;

/// <summary>Decides by options, and asks for the rest. Nothing is written before all is known.</summary>
sealed class InitDecisions(Invocation invocation, Questions questions)
{
    const string FolderDefault = "/var/backups/salvor";

    public InitDecision Make()
    {
        var configPath = Path.GetFullPath(ConfigTarget());
        var replaces = MayReplace(configPath);
        questions.Say("Salvor keeps SQLite databases recoverable to any commit. A few questions; Enter takes what is in brackets.");
        questions.Say();
        var named = invocation.Get(InitCommand.RecipeName) is { } name ? Recipe.Find(name) : null;
        var sources = new SourceChoice(invocation, questions).Make(named);
        var given = invocation.Get(InitCommand.To).Select(text => DestinationUrl.Parse(text)).ToList();
        var recipe = named is null ? ChooseRecipe(given, sources)
            : named.IsOfDestinations || given.Count == 0 ? named
            : named with { Types = [.. given.Select(TypeOf)] };
        var destinations = Destinations(recipe, given);
        WarnOfSameDisk(sources, destinations);
        var keyFile = DecideKey(recipe, configPath, sources[0].Name);
        var account = DecideAccount(sources);
        var setup = new SetupConfig
        {
            Recipe = recipe, Sources = sources, Destinations = destinations, KeyFile = keyFile,
            KeySaved = keyFile is not null && invocation.Get(InitCommand.KeySaved),
        };
        return new()
        {
            ConfigPath = configPath,
            Setup = setup,
            Replaces = replaces,
            ExportFile = keyFile is null ? null : DecideExport(sources, keyFile),
            UnitFolder = DecideUnits(account),
            Account = account,
            BacksUp = !invocation.Get(InitCommand.NoBackup),
        };
    }

    /// <summary>A file that is to be made need not exist.</summary>
    string ConfigTarget() => invocation.Get(Invocation.ConfigOption)
        ?? (Environment.GetEnvironmentVariable(ConfigFile.EnvironmentVariable) is { Length: > 0 } named ? named : ConfigFile.DefaultPath);

    bool MayReplace(string path)
    {
        if (!File.Exists(path) || invocation.Get(InitCommand.Force))
        {
            return invocation.Get(InitCommand.Force);
        }

        questions.Say($"{path} exists already.");
        if (questions.Asks && !questions.YesNo("Replace it (the old one stays as .old)", otherwise: false, "--force"))
        {
            throw new SalvorException(
                FailureKind.Usage, $"{path} exists and stays as it is",
                "Name another file with '--config FILE', or see 'salvor config test'.");
        }

        return questions.Asks;
    }

    Recipe ChooseRecipe(List<DestinationConfig> given, List<SetupSource> sources)
    {
        if (given.Count > 0)
        {
            var types = given.Select(TypeOf).ToList();
            return new Recipe(string.Join('+', types), "", types);
        }

        Recipe[] offered = [.. Recipe.All.Where(recipe => recipe.IsOfDestinations)];
        questions.Say();
        questions.Say("Where are copies kept?");
        foreach (var (index, recipe) in offered.Index())
        {
            questions.Say($"  {index + 1}  {recipe.Name,-19}  {recipe.Meaning}");
        }

        return questions.Ask("Which", questions.Asks ? "local" : null, "--recipe NAME or --to PLACE", answer =>
            int.TryParse(answer, out var number) && number >= 1 && number <= offered.Length ? offered[number - 1] : Recipe.Find(answer));
    }

    List<(string Name, DestinationConfig Destination)> Destinations(Recipe recipe, List<DestinationConfig> given)
    {
        var left = given.ToList();
        var all = new List<(string, DestinationConfig)>();
        foreach (var type in recipe.Types)
        {
            var destination = left.FirstOrDefault(item => TypeOf(item) == type);
            if (destination is not null)
            {
                left.Remove(destination);
            }

            all.Add((Free(type, all), destination ?? AskDestination(type)));
        }

        return left.Count == 0
            ? all
            : throw new SalvorException(
                FailureKind.Usage,
                $"recipe {recipe.Name} has no place for {left[0].Location}",
                "Leave '--recipe' out where '--to' says it all, or choose one that has such a place.");
    }

    static string Free(string type, List<(string Name, DestinationConfig)> taken)
    {
        var name = type switch { "file" => "local", "s3" or "gcs" => "bucket", "sftp" => "nas", _ => "blobs" };
        var count = taken.Count(item => item.Name.StartsWith(name, StringComparison.Ordinal));
        return count == 0 ? name : $"{name}-{count + 1}";
    }

    DestinationConfig AskDestination(string type)
    {
        var (question, example) = type switch
        {
            "file" => ("Folder for copies", FolderDefault),
            "s3" => ("Bucket, such as s3://acme-backups/salvor?region=eu-west-1", null),
            "sftp" => ("Folder on the server, such as sftp://salvor@nas.example.com/srv/salvor", null),
            _ => ("Container, such as azure://salvor?account=acmebackups", (string?)null),
        };
        return questions.Ask(question, example, "--to PATH-or-URL", answer =>
            DestinationUrl.Parse(answer) is var destination && TypeOf(destination) == type
                ? destination
                : throw new SalvorException(
                    FailureKind.Usage, $"\"{answer}\" is of type {TypeOf(destination)}", $"Name one of type {type}."));
    }

    /// <summary>One disk that breaks would take the database and its copies.</summary>
    void WarnOfSameDisk(
        List<SetupSource> sources, List<(string Name, DestinationConfig Destination)> destinations)
    {
        if (sources[0].Path is { } path && destinations.All(item => item.Destination is FileDestinationConfig)
            && destinations.Any(item => DeviceOf(((FileDestinationConfig)item.Destination).Path) == DeviceOf(path)))
        {
            invocation.Tell(
                $"warning: the copies are on the same disk as {path}. "
                    + "hint: Add a place elsewhere: '--recipe local+s3' or local+sftp.");
        }
    }

    /// <summary>Of the folder, or of the nearest one above that exists.</summary>
    static ulong DeviceOf(string path)
    {
        var place = PlaceOf(path);
        while (FileStat.Of(place) is null && Path.GetDirectoryName(place) is { } above)
        {
            place = above;
        }

        return FileStat.Of(place)?.Identity.Device ?? 0;
    }

    /// <summary>The file, or the folder in which a pattern begins.</summary>
    static string PlaceOf(string path) =>
        SetupConfig.IsPattern(path) ? Path.GetDirectoryName(path[..path.AsSpan().IndexOfAny("*?[")])! : path;

    string? DecideKey(Recipe recipe, string configPath, string name)
    {
        var file = invocation.Get(InitCommand.KeyFile);
        var isSaid = file is not null || recipe.Encrypts || invocation.Get(InitCommand.Encrypt);
        return isSaid || questions.YesNo("Encrypt everything before it leaves this machine", otherwise: false, "--encrypt")
            ? Path.GetFullPath(file ?? Path.Combine(Path.GetDirectoryName(configPath)!, $"{name}.key"))
            : null;
    }

    string? DecideExport(List<SetupSource> sources, string keyFile)
    {
        if (invocation.Get(InitCommand.KeySaved))
        {
            return null;
        }

        if (sources.Any(source => source.IsPattern))
        {
            throw new SalvorException(
                FailureKind.Usage,
                "each database of a pattern has a key of its own, so they cannot be exported to one file",
                $"Copy the key file to a safe place (it opens all of them), and add '--i-have-saved-the-key': {keyFile}.");
        }

        questions.Say("Without the key nobody can read the copies, you included. It is exported now; move that file off this machine.");
        var file = invocation.Get(InitCommand.Export)
            ?? questions.Ask(
                "File for the exported key", questions.Asks ? Path.GetFullPath($"{sources[0].Name}.export") : null,
                "--export FILE or --i-have-saved-the-key", CheckExport);
        return Path.GetFullPath(file);
    }

    /// <summary>What was typed for another question would become a file of that name, with the key in it.</summary>
    static string CheckExport(string answer) => answer.ToLowerInvariant() is "y" or "n" or "yes" or "no"
        ? throw new SalvorException(FailureKind.Usage, $"\"{answer}\" is not a file", "Write its path, or Enter for what is in brackets.")
        : answer;

    /// <summary>
    /// The owner of the databases; where there are several, nobody but root can read them all. Whom a command needs nobody knows.
    /// </summary>
    ServiceAccount DecideAccount(List<SetupSource> sources)
    {
        var owners = sources.Select(source => source.Path).OfType<string>().Select(path => FileStat.Of(PlaceOf(path))).OfType<FileStat>()
            .Select(stat => (stat.UserId, stat.GroupId)).Distinct().ToList();
        var (user, group) = owners is [var only] ? only : (0u, 0u);
        if (invocation.Get(InitCommand.ServiceUser) is { } name)
        {
            (user, group) = Accounts.Find(name) ?? throw new SalvorException(
                FailureKind.Usage, $"there is no user '{name}'", "Make it with 'useradd --system', or name the owner of the database.");
        }

        return new(Accounts.UserName(user), invocation.Get(InitCommand.ServiceGroup) ?? Accounts.GroupName(group), user, group);
    }

    string? DecideUnits(ServiceAccount account)
    {
        const string Units = "/etc/systemd/system";
        if (invocation.Get(InitCommand.SystemdDirectory) is { } folder)
        {
            return Path.GetFullPath(folder);
        }

        return questions.Asks && Directory.Exists("/run/systemd/system") && Environment.IsPrivilegedProcess
            && questions.YesNo($"Let {SystemdDropIn.Unit} run as {account.User} (writes a drop-in)", otherwise: true, "--systemd-dir")
            ? Units
            : null;
    }

    static string TypeOf(DestinationConfig destination) => destination switch
    {
        FileDestinationConfig => "file",
        S3DestinationConfig { Options.Service: S3Service.Google } => "gcs",
        S3DestinationConfig => "s3",
        SftpDestinationConfig => "sftp",
        _ => "azure",
    };
}
