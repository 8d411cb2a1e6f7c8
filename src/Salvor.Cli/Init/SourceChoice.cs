using System.Buffers;
using System.Globalization;
using Salvor.Cli.Commands;
using Salvor.Cli.Terminal;
using Salvor.Jobs.Commands;
using Salvor.Jobs.Config;
using Salvor.Jobs.Setup;
using Salvor.Platform;
using Salvor.Text;

namespace Salvor.Cli.Init;

/// <summary>Which databases: those that are named, or of those that are found; or which files, or which command.</summary>
sealed class SourceChoice(Invocation invocation, Questions questions)
{
    const int ShownMax = 30;
    const string Option = "--source PATH";

    static readonly SearchValues<char> ShellsOwn = SearchValues.Create("|&;<>()$`\\\"'*?[]#~");

    /// <summary>The sources, their paths absolute.</summary>
    /// <param name="recipe">Says what each is to be; null: a database or a pattern.</param>
    public List<SetupSource> Make(Recipe? recipe)
    {
        var wantsPattern = recipe?.Kind == SetupKind.Pattern;
        string[] given = [.. invocation.Get(InitCommand.Sources).SelectMany(text => Split(text))];
        var command = CommandArgument.In(invocation, InitCommand.Command);
        if (recipe?.Kind == SetupKind.Command)
        {
            return given.Length > 0
                ? throw new SalvorException(
                    FailureKind.Usage, "recipe command keeps what a command prints, and no paths", "Leave '--source' out.")
                : OfCommand(command ?? questions.Ask("Command, such as pg_dumpall --clean", null, "-- COMMAND", ReadCommand));
        }

        if (command is not null)
        {
            throw new SalvorException(
                FailureKind.Usage, $"'{command.Name}' after '--' is a command, and this sets up paths",
                "Add '--recipe command' to keep what it prints, or leave it out.");
        }

        if (recipe?.Kind == SetupKind.Files)
        {
            return Name(given.Length > 0
                ? [.. given.Select(CheckFiles)]
                : [questions.Ask("Directory, such as /srv/app/uploads", null, Option, CheckFiles)]);
        }

        IReadOnlyList<string> paths = given.Length > 0 ? [.. given.Select(path => Check(path, wantsPattern))]
            : wantsPattern ? [questions.Ask("Pattern, such as /data/tenants/*.db", null, Option, answer => Check(answer, wantsPattern))]
            : Choose();
        return Name(paths);
    }

    List<SetupSource> OfCommand(ConfiguredCommand command) =>
        [.. Name([command.Name]).Select(source => source with { Path = null, Command = command.Arguments })];

    /// <summary>A command that was typed. What a shell would make something of is refused: here it would be taken as it is.</summary>
    static ConfiguredCommand ReadCommand(string text)
    {
        return text.AsSpan().IndexOfAny(ShellsOwn) is >= 0 and var at
            ? throw new SalvorException(
                FailureKind.Usage, $"no shell looks at the command, so {text[at]} would not do what it does there",
                "Give the command on the command line: 'salvor init --recipe command -- sh -c \"..\"'.")
            : new ConfiguredCommand(text.Split(' ', StringSplitOptions.RemoveEmptyEntries));
    }

    IReadOnlyList<string> Choose()
    {
        if (!questions.Asks && !invocation.Has(InitCommand.Find))
        {
            throw new SalvorException(
                FailureKind.Usage, "the database is not named", $"Say it with '{Option}', or leave '--yes' out; '--find' looks for it.");
        }

        var folder = invocation.Get(InitCommand.Find) ?? "/";
        questions.Say($"Looking for databases in {folder} ...");
        var result = new DatabaseSearch(invocation.Time).Run(folder, invocation.Cancellation);
        var found = result.Databases.Take(ShownMax).ToList();
        foreach (var (index, item) in found.Index())
        {
            questions.Say($"  {index + 1,2}  {item.Path}");
            questions.Say($"      {Describe(item)}");
        }

        var more = result.Databases.Count - found.Count;
        questions.Say(
            (found.Count == 0 ? "  none was found" : more > 0 ? $"  and {more} more" : "")
            + (result.IsComplete ? "" : "; the time was over before everything was looked at")
            + (result.SkippedCount == 0 ? "" : $"; {result.SkippedCount} folders may not be read by this user"));
        if (!questions.Asks)
        {
            throw new SalvorException(
                FailureKind.Usage,
                $"{result.Databases.Count} database{(result.Databases.Count == 1 ? "" : "s")} found in {folder}, and none chosen",
                found.Count == 0
                    ? $"Name one with '{Option}'."
                    : $"Choose with '--source': {string.Join(", ", found.Select(item => item.Path))}.");
        }

        return questions.Ask<IReadOnlyList<string>>(
            "Which? Numbers or paths, separated by commas", found.Count > 0 ? "1" : null, Option,
            answer => [.. Split(answer).Select(item => int.TryParse(item, out var number) && number >= 1 && number <= found.Count
                ? found[number - 1].Path
                : Check(item, wantsPattern: false)).Distinct()]);
    }

    string Describe(FoundDatabase item)
    {
        var age = invocation.Time.GetUtcNow() - item.ModifiedAt;
        var open = item.OpenIn.Count == 0 ? "" : $", open in {Suggestion.Enumerate([.. item.OpenIn.Take(3)])}";
        return $"{SizeText.Format(item.SizeBytes)}, {(item.IsWal ? "wal" : "rollback journal")}, changed "
            + $"{DurationText.FormatShort(TimeSpan.FromSeconds(Math.Max(0, Math.Floor(age.TotalSeconds))))} ago, of {item.Owner}{open}";
    }

    static string[] Split(string text) => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>A path of a database that is there, or a pattern.</summary>
    static string Check(string text, bool wantsPattern)
    {
        var path = Path.GetFullPath(text);
        if (SetupConfig.IsPattern(path))
        {
            return PathGlob.Problem(path) is { } problem
                ? throw new SalvorException(FailureKind.Usage, $"pattern \"{text}\" {problem}", PathGlob.Hint)
                : path;
        }

        if (wantsPattern)
        {
            throw new SalvorException(FailureKind.Usage, $"{path} is not a pattern", "Write one such as '/data/tenants/*.db', in quotes.");
        }

        return FileStat.Of(path) switch
        {
            { Kind: FileKind.Regular } => path,
            null => throw new SalvorException(
                FailureKind.Usage, $"database {path} does not exist", "Start the app once, so that it makes it; or name another file."),
            _ => throw new SalvorException(
                FailureKind.Usage, $"{path} is not a file", "Name the database file, or a pattern like 'DIR/*.db'."),
        };
    }

    /// <summary>A directory or a file that is there.</summary>
    static string CheckFiles(string text)
    {
        var path = Path.GetFullPath(text);
        return Path.Exists(path) ? path : throw new SalvorException(
            FailureKind.Usage, $"{path} does not exist", "Name a directory with the files, or a file.");
    }

    List<SetupSource> Name(IReadOnlyList<string> paths)
    {
        var given = invocation.Get(InitCommand.Name);
        if (given is not null)
        {
            Salvor.Jobs.SourceNames.Check(given);
            if (paths.Count > 1 || given.Contains('/', StringComparison.Ordinal))
            {
                throw new SalvorException(
                    FailureKind.Usage, $"'--name {given}' cannot be the name of each of {paths.Count} source(s)", "Leave it out.");
            }
        }

        var named = new List<SetupSource>();
        foreach (var path in paths)
        {
            named.Add(new(given ?? Free(path, named), path));
        }

        return named;
    }

    /// <summary>The file's name without ending, or that of the folder of a pattern; with a number where it is taken.</summary>
    static string Free(string path, List<SetupSource> taken)
    {
        var stem = SetupConfig.IsPattern(path)
            ? Path.GetFileName(Path.GetDirectoryName(path[..path.AsSpan().IndexOfAny("*?[")])) ?? ""
            : Path.GetFileNameWithoutExtension(path);
        stem = new string([.. stem.Where(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-')]).TrimStart('.', '_', '-');
        stem = stem.Length is 0 or > 90 ? "app" : stem;
        var name = stem;
        for (var number = 2; taken.Any(item => item.Name == name); number++)
        {
            name = string.Create(CultureInfo.InvariantCulture, $"{stem}-{number}");
        }

        return name;
    }
}
