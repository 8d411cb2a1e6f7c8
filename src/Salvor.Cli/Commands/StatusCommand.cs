using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Platform;
using Salvor.Sqlite;
using Salvor.Text;

namespace Salvor.Cli.Commands;

static class StatusCommand
{
    static readonly Argument<string?> Source = new("SOURCE")
    {
        Description = "The name of a configured source, or the path of a database; default: all sources.", Arity = ArgumentArity.ZeroOrOne,
    };

    static readonly Option<string?> Db = new("--db", "--source-name") { Description = "The same as SOURCE.", HelpName = "NAME" };

    static readonly Option<string?> StateDirectory = new("--state-dir")
    {
        Description = "The folder of local state, if 'replicate' was given one.", HelpName = "DIR",
    };

    public static Command Create() => new Command("status", "Print how each source fares, from local files only.")
    {
        Source, Db, StateDirectory,
    }.WithAction(invocation => Task.FromResult(Run(invocation)));

    static int Run(Invocation invocation)
    {
        var name = invocation.Get(Db) ?? invocation.Get(Source);
        var bodies = new List<SourceStatusBody>();
        if (name is not null && File.Exists(name))
        {
            var path = Path.GetFullPath(name);
            var state = invocation.Get(StateDirectory) is { } given ? Path.GetFullPath(given) : LocalState.DefaultDirectory(path);
            bodies.Add(Read(Path.GetFileNameWithoutExtension(path), path, state));
        }
        else
        {
            var config = invocation.LoadConfig();
            var sources = name is null
                ? config.Sources.Values.SelectMany(source => ConfiguredSources.Members(source).Select(member => (source, member)))
                : [ConfiguredSources.Find(config, name)];
            bodies.AddRange(sources.Select(item =>
                Read(item.member.Name, item.member.Path, ConfiguredSources.OptionsOf(item.source, item.member).StateDirectory)));
        }

        foreach (var body in bodies)
        {
            Print(invocation, body);
        }

        invocation.PrintJson(new StatusDocument(bodies), CliJson.Default.StatusDocument);
        return 0;
    }

    static SourceStatusBody Read(string name, string path, string stateDirectory)
    {
        // The kernel drops the lock with the process, so a dead daemon cannot look alive.
        var holder = LockFile.HolderOf(LocalState.LockPath(stateDirectory, path));
        var last = StatusFile.Read(LocalState.StatusPath(stateDirectory, path));
        return new SourceStatusBody(last?.Source ?? name, path, holder is not null, holder?.Pid, last);
    }

    static void Print(Invocation invocation, SourceStatusBody body)
    {
        var last = body.Last;
        var state = body.Running || last?.State is "waiting" or "failing" or "paused" ? last?.State ?? "starting" : "stopped";
        invocation.Print($"{body.Source}  {state}{(body.Pid is { } pid ? $"  pid {pid}" : "")}");
        if (last is null)
        {
            invocation.Print("  never replicated from here");
            return;
        }

        invocation.Print($"  {last.Path} {Symbols.Arrow} {last.Destination}");
        if (last.PositionTime is { } time)
        {
            invocation.Print(
                $"  position {last.Position} of {InstantText.Format(time)}, branch {last.Branch}, lag {last.LagSeconds:0.###} s");
        }

        if (last.CopyTotalBytes > 0)
        {
            invocation.Print($"  copied {SizeText.Format(last.CopiedBytes)} of {SizeText.Format(last.CopyTotalBytes)}");
        }

        if (last.Detail.Length > 0)
        {
            invocation.Print($"  {last.Detail}");
            invocation.Print($"  hint: {last.Hint}");
        }
    }
}
