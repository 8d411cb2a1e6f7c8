using System.CommandLine;
using Salvor.Cli.Init;
using Salvor.Cli.Terminal;
using Salvor.Jobs.Setup;

namespace Salvor.Cli.Commands;

/// <summary>From nothing to a configuration and a first backup that was restored.</summary>
static class InitCommand
{
    public static readonly Option<string?> RecipeName = new("--recipe")
    {
        Description = $"What is set up: {string.Join(", ", Recipe.All.Select(recipe => recipe.Name))}.", HelpName = "NAME",
    };

    public static readonly Option<string[]> Sources = new("--source")
    {
        Description = "The databases: paths, or patterns like '/data/tenants/*.db', separated by commas.", HelpName = "PATH,..",
        DefaultValueFactory = _ => [],
    };

    public static readonly Option<string?> Name = new("--name")
    {
        Description = "The name of the source, where there is one (default: the file's name).", HelpName = "NAME",
    };

    public static readonly Option<string[]> To = new("--to")
    {
        Description = "Where copies go, as a path or URL; again for each further place.", HelpName = "PATH-or-URL",
        DefaultValueFactory = _ => [],
    };

    public static readonly Option<bool> Encrypt = new("--encrypt") { Description = "Encrypt everything before it leaves this machine." };

    public static readonly Option<string?> KeyFile = new("--key-file")
    {
        Description = "The key file; made if it is not there (default: beside the configuration). Encrypts.", HelpName = "FILE",
    };

    public static readonly Option<string?> Export = new("--export")
    {
        Description = "Where the key is exported to, to be kept elsewhere than here and than the copies.", HelpName = "FILE",
    };

    public static readonly Option<bool> KeySaved = new("--i-have-saved-the-key")
    {
        Description = "The key file is safe elsewhere: nothing is exported.",
    };

    public static readonly Option<string?> Find = new("--find")
    {
        Description = "Look for databases in DIR (default: on the whole machine) and choose.", HelpName = "DIR",
        Arity = ArgumentArity.ZeroOrOne,
    };

    public static readonly Option<string?> SystemdDirectory = new("--systemd-dir")
    {
        Description = "Write a drop-in for salvor.service below this folder, such as /etc/systemd/system.", HelpName = "DIR",
    };

    public static readonly Option<string?> ServiceUser = new("--service-user")
    {
        Description = "As whom the daemon is to run (default: the owner of the database).", HelpName = "USER",
    };

    public static readonly Option<string?> ServiceGroup = new("--service-group")
    {
        Description = "And with which group (default: the user's).", HelpName = "GROUP",
    };

    public static readonly Option<bool> Yes = new("--yes") { Description = "Ask nothing: take the options, and defaults for the rest." };

    public static readonly Option<bool> Force = new("--force")
    {
        Description = "Replace a configuration that is there already; the old one stays as FILE.old.",
    };

    public static readonly Option<bool> NoBackup = new("--no-backup") { Description = "Write the files only, without a first backup." };

    public static readonly Argument<string[]> Command = CommandArgument.Create("With --recipe command, what prints that which is kept.");

    public static Command Create() => new Command(
        "init", "Set up: write a configuration and make a first backup, which is restored and checked.")
    {
        RecipeName, Sources, Name, To, Encrypt, KeyFile, Export, KeySaved, Find, SystemdDirectory, ServiceUser, ServiceGroup, Yes, Force,
        NoBackup, Command,
    }.WithAction(RunAsync);

    static Task<int> RunAsync(Invocation invocation)
    {
        var questions = Questions.OnTerminal(asks: !invocation.Get(Yes));
        var decision = new InitDecisions(invocation, questions).Make();
        return new InitRun(invocation, decision).RunAsync();
    }
}
