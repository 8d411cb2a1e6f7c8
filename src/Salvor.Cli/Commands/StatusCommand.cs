using System.CommandLine;
using Salvor.Cli.Terminal;
using Salvor.Jobs;
using Salvor.Jobs.Config;
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

    static readonly Option<bool> Check = new("--check")
    {
        Description = "Exit with 8 where a source is not served by a living process.",
    };

    static readonly Option<string?> MaxVerifyAge = new("--max-verify-age")
    {
        Description = "With --check: exit with 8 where the last successful verification is older than this.", HelpName = "TIME",
    };

    public static Command Create() => new Command("status", "Print how each source fares, from local files only.")
    {
        Source, Db, StateDirectory, Check, MaxVerifyAge,
    }.WithAction(invocation => Task.FromResult(Run(invocation)));

    static int Run(Invocation invocation)
    {
        if (invocation.Get(MaxVerifyAge) is not null && !invocation.Get(Check))
        {
            throw new SalvorException(
                FailureKind.Usage, "'--max-verify-age' is a part of a check", "Write 'salvor status --check --max-verify-age 26h'.");
        }

        var bodies = Find(invocation).ToList();
        foreach (var body in bodies)
        {
            Print(invocation, body);
        }

        if (!invocation.Get(Check) || (FailureOf(bodies) ?? Unproved(invocation, bodies)) is not { } problem)
        {
            invocation.PrintJson(new StatusDocument(bodies, Ok: true), CliJson.Default.StatusDocument);
            return 0;
        }

        // A document with all that is known, instead of the error alone.
        Verb.PrintError(problem);
        invocation.PrintJson(new StatusDocument(bodies, Ok: false), CliJson.Default.StatusDocument);
        return (int)FailureKind.Unhealthy;
    }

    /// <summary>What is wrong with those who should serve; null where nothing is.</summary>
    static SalvorException? FailureOf(IReadOnlyList<SourceStatusBody> bodies)
    {
        string[] dead = [.. bodies.Where(body => !body.Running).Select(body => body.Source)];
        if (dead.Length > 0)
        {
            return new SalvorException(
                FailureKind.Unhealthy,
                $"nothing serves {Suggestion.Enumerate(dead)}",
                "Start 'salvor daemon' or 'salvor replicate DB DEST', and look at its log for why it ended.");
        }

        return bodies.FirstOrDefault(body => !body.Responding) is { } frozen
            ? new SalvorException(
                FailureKind.Unhealthy,
                $"pid {frozen.Pid}, which serves {frozen.Source}, does not respond",
                $"Let it go on with 'kill -CONT {frozen.Pid}', or end it with 'kill -KILL {frozen.Pid}' and start it again: what was "
                    + "committed meanwhile is caught up with.")
            : null;
    }

    static SalvorException? Unproved(Invocation invocation, IEnumerable<SourceStatusBody> bodies)
    {
        if (invocation.Get(MaxVerifyAge) is not { } text)
        {
            return null;
        }

        var limit = DurationText.Parse(text);
        string[] problems =
        [
            .. bodies.Select(body => body.Verified switch
            {
                null => $"{body.Source} was never verified",
                { Ok: false } => $"the last verification of {body.Source} found damage or failed",
                { AgeSeconds: var age } when age > limit.TotalSeconds =>
                    $"{body.Source} was verified {DurationText.FormatShort(TimeSpan.FromSeconds(Math.Round(age)))} ago",
                _ => null,
            }).OfType<string>(),
        ];
        return problems.Length == 0 ? null : new SalvorException(
            FailureKind.Unhealthy,
            $"{string.Join("; ", problems)}; at most {text} is allowed",
            "Run 'salvor verify --deep', and let the daemon do it with 'verify: { every: 24h }'.");
    }

    static IEnumerable<SourceStatusBody> Find(Invocation invocation)
    {
        var name = invocation.Get(Db) ?? invocation.Get(Source);
        if (name is not null)
        {
            var path = Path.GetFullPath(name);
            var state = invocation.Get(StateDirectory) is { } given ? Path.GetFullPath(given) : LocalState.DefaultDirectory(path);
            if (File.Exists(path) || File.Exists(LocalState.StatusPath(state, path)))
            {
                return [Read(invocation, Path.GetFileNameWithoutExtension(path), path, state)];
            }
        }

        var config = invocation.LoadConfig();
        return name is null ? config.Sources.Values.SelectMany(source => ReadAll(invocation, source))
            : config.Sources.TryGetValue(name, out var whole) ? ReadAll(invocation, whole)
            : [Read(invocation, ConfiguredSources.Find(config, name))];
    }

    static IEnumerable<SourceStatusBody> ReadAll(Invocation invocation, SqliteSourceConfig source) => ConfiguredSources
        .Members(source, failure => invocation.Tell($"salvor: {failure.Message}\nhint: {failure.Hint}"))
        .Select(member => Read(invocation, (source, member)));

    static SourceStatusBody Read(Invocation invocation, (SqliteSourceConfig Source, SourceMember Member) item) =>
        Read(invocation, item.Member.Name, item.Member.Path, ConfiguredSources.OptionsOf(item.Source, item.Member).StateDirectory);

    static SourceStatusBody Read(Invocation invocation, string name, string path, string stateDirectory)
    {
        // The kernel drops the lock with the process, so a dead daemon cannot look alive. Who waits for a database has no lock on it.
        var holder = LockFile.HolderOf(LocalState.LockPath(stateDirectory, path));
        var last = StatusFile.Read(LocalState.StatusPath(stateDirectory, path));
        var waiter = last is { State: not "stopped" } && !last.IsFromTheDead() ? last.Pid : (int?)null;
        var pid = holder?.Pid ?? waiter;
        var responding = pid is { } known
            && Heartbeat.IsSeen(known, holder is null ? last?.Socket : holder.Socket, invocation.Time.GetUtcNow());
        return new SourceStatusBody(
            last?.Source ?? name, path, pid is not null, pid, responding, last,
            VerifyFile.Read(LocalState.VerifyPath(stateDirectory, path)) is { } verified
                ? new VerifiedBody(
                    verified.Kind, verified.FinishedAt, Math.Round((invocation.Time.GetUtcNow() - verified.FinishedAt).TotalSeconds, 3),
                    verified.Ok, verified.Position)
                : null,
            PruneFile.Read(LocalState.PrunePath(stateDirectory, path)));
    }

    static void Print(Invocation invocation, SourceStatusBody body)
    {
        var last = body.Last;
        var state = !body.Running ? "stopped"
            : !body.Responding ? "not responding"
            : last?.State is null or "stopped" ? "starting"
            : last.State;
        invocation.Print($"{body.Source}  {state}{(body.Pid is { } pid ? $"  pid {pid}" : "")}");
        if (last is null)
        {
            var obstacle = SqliteDatabase.Obstacle(body.Path)?.Message;
            invocation.Print($"  {body.Path}: never replicated from here{(obstacle is null ? "" : $"; {obstacle}")}");
            return;
        }

        invocation.Print($"  {last.Path} {Symbols.Arrow} {last.Destination}");
        if (last.PositionTime is { } time)
        {
            invocation.Print(
                $"  position {last.Position} of {InstantText.Format(time)}, branch {last.Branch}"
                    + (body.Running ? $", lag {last.LagSeconds:0.###} s" : ""));
        }

        if (last.OutboxObjects > 0)
        {
            invocation.Print(
                $"  {last.OutboxObjects} object(s) of {SizeText.Format(last.OutboxBytes)} wait on this machine for the destination"
                    + (last.OutboxObstacle.Length > 0 ? $"; no more can: {last.OutboxObstacle}" : ""));
        }

        if (last.SnapshotFailure.Length > 0)
        {
            invocation.Print($"  no snapshot was made: {last.SnapshotFailure}");
        }

        foreach (var copy in last.Copies)
        {
            invocation.Print(
                $"  {(copy.Required ? "required copy" : "copy")} at {copy.Destination}: "
                    + (copy.BehindSince is { } since ? $"behind since {InstantText.Format(since)}" : "complete"));
            if (copy.Error.Length > 0)
            {
                invocation.Print($"    {copy.Error}");
                invocation.Print($"    hint: {copy.Hint}");
            }
        }

        if (body.Verified is { } verified)
        {
            var age = DurationText.FormatShort(TimeSpan.FromSeconds(Math.Max(0, Math.Round(verified.AgeSeconds))));
            invocation.Print($"  verified ({verified.Kind}) {age} ago: {(verified.Ok ? "ok" : "not ok, run 'salvor verify'")}");
        }

        if (body.Pruned is { } pruned)
        {
            Print(invocation, pruned);
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

    static void Print(Invocation invocation, PruneRecord pruned)
    {
        var now = invocation.Time.GetUtcNow();
        if (pruned.WaitingSince is { } since)
        {
            if (now - since >= PruneRecord.WaitingMax)
            {
                invocation.Print(
                    $"  warning: nothing was pruned for {Age(since)}, because no deep verification found all well since");
                invocation.Print("  hint: Run 'salvor verify --deep': the daemon drops only what is older than a point that is proven.");
            }

            return;
        }

        if (pruned.Error.Length > 0)
        {
            invocation.Print($"  warning: it was not pruned {Age(pruned.At)} ago: {pruned.Error}");
            invocation.Print($"  hint: {pruned.Hint}");
            return;
        }

        invocation.Print($"  pruned {Age(pruned.At)} ago");
        if (pruned.RefusedObjects > 0)
        {
            invocation.Print(
                $"  {pruned.RefusedObjects} object(s) not deleted: the destination does not allow it. reported, not done");
        }

        if (pruned.ExcessBytes > 0)
        {
            invocation.Print(
                $"  warning: {SizeText.Format(pruned.ExcessBytes)} above max_total_size, and nothing that may go changes that");
            invocation.Print("  hint: Raise max_total_size, or let 'keep' be shorter.");
        }

        string Age(DateTimeOffset time) =>
            DurationText.FormatShort(TimeSpan.FromSeconds(Math.Max(0, Math.Round((now - time).TotalSeconds))));
    }
}
