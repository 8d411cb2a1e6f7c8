using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Setup;
using Salvor.Storage.S3;

namespace Salvor.Tests.Jobs.Setup;

public sealed class RecipeTests
{
    public static TheoryData<string> Names => [.. Recipe.All.Select(recipe => recipe.Name)];

    [Theory]
    [MemberData(nameof(Names))]
    public void What_a_recipe_writes_is_right_and_prunes(string name)
    {
        var config = Write(name);

        var source = Assert.Single(ConfiguredSources.Sources(config));
        Assert.Equal(name == "directory", source is FilesSourceConfig { Schedule: not null });
        Assert.Equal(name == "command", source is CommandSourceConfig { Schedule: not null, Command.Arguments: ["pg_dumpall", "$x"] });
        Assert.Equal(Recipe.Find(name).Types.Count, config.Destinations.Count);
        Assert.NotNull(source.Prune.Every);
        Assert.Equal(name.StartsWith("encrypted", StringComparison.Ordinal), source.Encryption is not null);
    }

    [Fact]
    public void What_is_immutable_is_locked_and_what_is_for_a_year_is_stored_as_such()
    {
        var locked = ((S3DestinationConfig)Write("encrypted+immutable").Destinations["d0"]).Options;
        var cold = Write("gfs-geode");

        Assert.Equal(new S3Lock(S3LockMode.Governance, TimeSpan.FromDays(30)), locked.Lock);
        Assert.Equal("STANDARD_IA", ((S3DestinationConfig)cold.Destinations["d0"]).Options.StorageClass);
        Assert.Equal(365, cold.Sources["app"].RetentionDays);
    }

    static SalvorConfig Write(string name)
    {
        var recipe = Recipe.Find(name);
        var destinations = recipe.Types.Select((type, index) => ($"d{index}", DestinationUrl.Parse(type switch
        {
            "file" => "/backups",
            "s3" => "s3://acme-backups/salvor?region=eu-west-1",
            "sftp" => "sftp://salvor@nas.example.com/srv/salvor",
            _ => "azure://salvor?account=acmebackups",
        })));
        var setup = new SetupConfig
        {
            Recipe = recipe,
            Sources =
            [
                recipe.Kind == SetupKind.Command ? new("app", null) { Command = ["pg_dumpall", "$x"] }
                    : new("app", recipe.Kind == SetupKind.Pattern ? "/data/*.db" : "/data/app.db"),
            ],
            Destinations = [.. destinations],
            KeyFile = recipe.Encrypts ? "/etc/salvor/app.key" : null,
        };
        return ConfigFile.Parse(setup.ToYaml(), "/etc/salvor/salvor.yaml", _ => null);
    }
}
