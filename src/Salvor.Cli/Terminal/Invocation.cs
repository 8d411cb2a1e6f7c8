using System.CommandLine;
using System.CommandLine.Parsing;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Jobs.Notify;

namespace Salvor.Cli.Terminal;

/// <summary>What every verb is given: the global options, and where to print.</summary>
sealed class Invocation
{
    public static readonly Option<string?> ConfigOption = new("--config")
    {
        Description = "The configuration file, or a recovery kit (default: $SALVOR_CONFIG, then /etc/salvor/salvor.yaml).",
        Recursive = true,
        HelpName = "FILE",
    };

    public static readonly Option<bool> JsonOption = new("--json")
    {
        Description = "Print exactly one JSON document on standard output.", Recursive = true,
    };

    public static readonly Option<bool> QuietOption = new("--quiet") { Description = "Print errors only.", Recursive = true };

    public static readonly Option<string> ProgressOption = CreateProgressOption();

    /// <summary>For verbs that go on for long; text where it is not given.</summary>
    public static readonly Option<string> LogFormatOption = new Option<string>("--log-format")
    {
        Description = "How the log is written: text, or json with one document in each line.", HelpName = "FORMAT",
    }.WithChoices("text", "json");

    readonly ParseResult parsed;
    string? run;
    SalvorConfig? config;

    public Invocation(ParseResult parsed, CancellationToken cancellationToken) =>
        (this.parsed, Cancellation) = (parsed, cancellationToken);

    public CancellationToken Cancellation { get; }

    public bool Json => AsJson || parsed.GetValue(JsonOption);

    /// <summary>Set by a verb that was asked for a document in another way than by <c>--json</c>.</summary>
    public bool AsJson { get; set; }

    public bool Quiet => parsed.GetValue(QuietOption);

    public TimeProvider Time => Surroundings.Time;

    public Random Random => Surroundings.Random;

    /// <summary>The signal that stopped us, to pass on.</summary>
    public PosixSignal StopSignal { get; set; } = PosixSignal.SIGTERM;

    /// <summary>Whether a hangup stops the verb; false where it means something else.</summary>
    public bool StopsAtHangup { get; set; } = true;

    /// <summary>Names this process in its log and in messages.</summary>
    public string Run => run ??= $"{Random.Next():x8}";

    /// <summary>Keeps the last lines, where somebody is told how the verb ended.</summary>
    public LogTail? Tail { get; set; }

    Surroundings Surroundings => (Surroundings)parsed.InvocationConfiguration;

    /// <summary>Whether progress is shown on standard error. Not among the lines of a log that a program reads.</summary>
    public bool ShowsProgress => !Quiet && !ErrorStream.IsJson && parsed.GetValue(ProgressOption) switch
    {
        "always" => true,
        "never" => false,
        _ => !Json && ErrorTerminal.CanRedraw,
    };

    public T Get<T>(Option<T> option) => parsed.GetValue(option)!;

    public T Get<T>(Argument<T> argument) => parsed.GetValue(argument)!;

    /// <summary>The verb, without those above it.</summary>
    public string VerbName => parsed.CommandResult.Command.Name;

    /// <summary>What follows <c>--</c>, as it is.</summary>
    public IReadOnlyList<string> AfterDashes => [.. TokensAfterDashes().Select(token => token.Value)];

    /// <summary>Whether the first value of an argument follows <c>--</c>.</summary>
    public bool IsAfterDashes(Argument argument) =>
        parsed.GetResult(argument)?.Tokens is [var first, ..] && TokensAfterDashes().Any(token => ReferenceEquals(token, first));

    IEnumerable<Token> TokensAfterDashes() => parsed.Tokens.SkipWhile(token => token.Type != TokenType.DoubleDash).Skip(1);

    /// <summary>Whether an option was given on the command line.</summary>
    public bool Has(Option option) => parsed.GetResult(option) is { Implicit: false };

    /// <summary>The configuration, read once: commands in it are run once. Throws with a hint where there is none.</summary>
    public SalvorConfig LoadConfig() => config ??= ConfigFile.Load(ConfigPath());

    public string ConfigPath() => ConfigFile.Locate(Get(ConfigOption), Environment.GetEnvironmentVariable);

    /// <summary>A line for people; nothing under --quiet and --json.</summary>
    public void Print(string line)
    {
        Tail?.Add(line);
        if (!Json && !Quiet)
        {
            ProgressLine.WriteAside(Console.Out, line);
        }
    }

    /// <summary>Letters and quotes as themselves: nothing here is ever put into a web page.</summary>
    public static void PrintDocument<T>(T document, JsonTypeInfo<T> type)
    {
        using var bytes = new MemoryStream();
        using (var writer = new Utf8JsonWriter(bytes, new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            JsonSerializer.Serialize(writer, document, type);
        }

        ProgressLine.WriteAside(Console.Out, Encoding.UTF8.GetString(bytes.GetBuffer(), 0, (int)bytes.Length));
    }

    /// <summary>A line about what goes on, on standard error; nothing under --quiet.</summary>
    public void Tell(string line)
    {
        Tail?.Add(line);
        if (!Quiet)
        {
            ErrorStream.Tell(line);
        }
    }

    /// <summary>The answer as a document, under --json only: what can write one takes long to compile, and is made only then.</summary>
    public void PrintJson<T>(T document, Func<JsonTypeInfo<T>> type)
    {
        if (Json)
        {
            PrintDocument(document, type());
        }
    }

    /// <summary>The log, which goes to standard error.</summary>
    /// <param name="level">What is less is not told; under <c>--quiet</c> errors alone are.</param>
    /// <param name="configured">How lines are written where <c>--log-format</c> does not say it.</param>
    public ILogger CreateLog(LogLevel level, LogFormat configured = LogFormat.Text)
    {
        var format = Get(LogFormatOption) switch { "json" => LogFormat.Json, "text" => LogFormat.Text, _ => configured };
        return ErrorStream.CreateLog(Time, Quiet ? LogLevel.Error : level, format, Run);
    }

    static Option<string> CreateProgressOption()
    {
        var option = new Option<string>("--progress")
        {
            Description = "Show how far long work is: auto (on a terminal), always or never.", Recursive = true,
            DefaultValueFactory = _ => "auto", HelpName = "WHEN",
        };
        return option.WithChoices("auto", "always", "never");
    }
}
