using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Recovery;
using Salvor.Sqlite;

namespace Salvor.Cli.Commands;

static class RunbookCommand
{
    static readonly Argument<string?> Source = new("SOURCE")
    {
        Description = "The name of the source; may be left out where all are meant.", Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Option<string?> Db = new("--db", "--source-name") { Description = "The same as SOURCE.", HelpName = "NAME" };
    static readonly Option<string> Scenario = CreateScenario();
    static readonly Option<string[]> Service = new("--service")
    {
        Description = "A service that uses the database; again for each further one, in the order in which they start.",
        HelpName = "NAME",
        DefaultValueFactory = _ => [],
    };

    static readonly Option<string?> Kit = new("--kit")
    {
        Description = "Write a recovery kit: configuration without secrets, places, runbook. '--config' takes it.",
        HelpName = "FILE.tar.gz",
    };

    public static Command Create() => new Command("runbook", "Print the steps of a recovery, with the real names and commands filled in.")
    {
        Source, Db, Scenario, Service, Kit,
    }.WithAction(RunAsync);

    static Option<string> CreateScenario()
    {
        var option = new Option<string>("--scenario")
        {
            Description = "What happened: restore (the default), server-loss, corruption or ransomware.", HelpName = "WHAT",
            DefaultValueFactory = _ => "restore",
        };
        return option.WithChoices("restore", "server-loss", "corruption", "ransomware");
    }

    static async Task<int> RunAsync(Invocation invocation)
    {
        var path = Path.GetFullPath(invocation.ConfigPath());
        var config = invocation.LoadConfig();
        var members = Members(invocation, config);
        var isKit = invocation.Get(Kit) is not null;
        var scenario = isKit ? RunbookScenario.ServerLoss : ScenarioOf(invocation.Get(Scenario));
        var facts = members.Select(item => RunbookFacts.Of(
            config, path, item, invocation.Get(Service), invocation.Time.GetUtcNow())).ToList();

        // What a check says may be a secret, and a kit has none.
        facts = isKit ? [.. facts.Select(item => item with { Checks = [], LastDrill = null })] : facts;
        var page = string.Join("\n---\n\n", facts.Select(item => Runbook.Write(item, scenario)));
        if (invocation.Get(Kit) is not { } kit)
        {
            invocation.Print(page.TrimEnd());
            invocation.PrintJson(
                new RunbookDocument(invocation.Get(Scenario), [.. facts.Select(item => item.Source)], page, ""),
                () => CliJson.Default.RunbookDocument);
            return 0;
        }

        var written = await WriteKitAsync(invocation, config, path, members, Path.GetFullPath(kit), page);
        invocation.PrintJson(
            new RunbookDocument("server-loss", [.. facts.Select(item => item.Source)], page, written),
            () => CliJson.Default.RunbookDocument);
        return 0;
    }

    static RunbookScenario ScenarioOf(string name) => name switch
    {
        "server-loss" => RunbookScenario.ServerLoss,
        "corruption" => RunbookScenario.Corruption,
        "ransomware" => RunbookScenario.Ransomware,
        _ => RunbookScenario.Restore,
    };

    static List<ConfiguredVault> Members(Invocation invocation, SalvorConfig config)
    {
        var name = invocation.Get(Db) ?? invocation.Get(Source);
        return name is null
            ?
            [
                .. config.Sources.Values.SelectMany(Of),
                .. ConfiguredSources.Vaults(config, source => source is TreeSourceConfig),
            ]
            : config.Sources.TryGetValue(name, out var whole) ? [.. Of(whole)]
            : config.Trees.ContainsKey(name) ? [.. ConfiguredSources.Vaults(config, source => source.Name == name)]
            : [One(ConfiguredSources.Find(config, name))];

        IEnumerable<ConfiguredVault> Of(SqliteSourceConfig source) => ConfiguredSources
            .Members(source, failure => invocation.Tell($"salvor: {failure.Message}\nhint: {failure.Hint}"))
            .Select(member => ConfiguredSources.VaultOf(source, member));

        static ConfiguredVault One((SqliteSourceConfig Source, SourceMember Member) found) =>
            ConfiguredSources.VaultOf(found.Source, found.Member);
    }

    static async Task<string> WriteKitAsync(
        Invocation invocation, SalvorConfig config, string configPath,
        List<ConfiguredVault> members, string path, string page)
    {
        if (!path.EndsWith(".tar.gz", StringComparison.Ordinal))
        {
            throw new SalvorException(
                FailureKind.Usage, $"the recovery kit {path} is a .tar.gz, and its name does not say so", $"Write '--kit {path}.tar.gz'.");
        }

        var (text, variables, leftOut) = ConfigFile.WithoutSecrets(configPath);
        var sources = new List<KitSource>();
        foreach (var member in members)
        {
            sources.Add(await SourceAsync(invocation, config, member));
        }

        RecoveryKit.Write(
            path,
            new KitFacts(invocation.Time.GetUtcNow(), Environment.MachineName, LocalState.Version, sources, variables, leftOut),
            text, page);
        invocation.Print($"{Symbols.Ok} recovery kit of {sources.Count} source(s): {path}");
        invocation.Print("Keep it off this machine, and apart from the key and the credentials.");
        return path;
    }

    static async Task<KitSource> SourceAsync(Invocation invocation, SalvorConfig config, ConfiguredVault member)
    {
        var source = member.Config;
        var keys = ConfiguredSources.KeysOf(source);
        var copies = await SourceCopies.FindAsync(config, member.Name, source.To, keys, invocation.Cancellation);
        var vaults = new List<KitVault>();
        foreach (var (name, copy) in source.To.Zip(copies))
        {
            if (copy.Vault is null)
            {
                var why = copy.Failure?.Message ?? "nothing is backed up there yet";
                invocation.Tell($"warning: the kit does not have the vault's id at {copy.Location}: {why}. "
                    + "hint: Make it again when the first backup is there.");
            }

            var slots = copy.Vault is { Secrets.IsPlain: false } vault
                ? await vault.KeySlots.ListAsync(_ => { }, invocation.Cancellation)
                : [];
            vaults.Add(new KitVault(
                name, config.Destinations[name].Location, copy.Vault?.Id,
                [.. slots.Select(slot => $"{slot.Number} {slot.Record.Kind} {slot.Record.Label}".TrimEnd())]));
        }

        var place = source.Encryption is { } encryption ? RunbookFacts.PlaceOf(encryption.Key) : null;
        var path = source is FilesSourceConfig or PostgresSourceConfig ? ((TreeSourceConfig)source).Subject : member.Path;
        return new KitSource(member.Name, path, place is not null, place, vaults);
    }
}
