using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;

namespace Salvor.Cli.Terminal;

/// <summary>What every verb is given: the global options, and where to print.</summary>
sealed class Invocation
{
    public static readonly Option<string?> ConfigOption = new("--config")
    {
        Description = "The configuration file (default: $SALVOR_CONFIG, then /etc/salvor/salvor.yaml).", Recursive = true, HelpName = "FILE",
    };

    public static readonly Option<bool> JsonOption = new("--json")
    {
        Description = "Print exactly one JSON document on standard output.", Recursive = true,
    };

    public static readonly Option<bool> QuietOption = new("--quiet") { Description = "Print errors only.", Recursive = true };

    public static readonly Option<string> ProgressOption = CreateProgressOption();

    readonly ParseResult parsed;

    public Invocation(ParseResult parsed, CancellationToken cancellationToken) =>
        (this.parsed, Cancellation) = (parsed, cancellationToken);

    public CancellationToken Cancellation { get; }

    public bool Json => parsed.GetValue(JsonOption);

    public bool Quiet => parsed.GetValue(QuietOption);

    public TimeProvider Time { get; } = TimeProvider.System;

    /// <summary>Whether a progress line is drawn on standard error.</summary>
    public bool ShowsProgress => parsed.GetValue(ProgressOption) switch
    {
        "always" => true,
        "never" => false,
        _ => !Json && !Quiet && !Console.IsErrorRedirected,
    };

    public T Get<T>(Option<T> option) => parsed.GetValue(option)!;

    public T Get<T>(Argument<T> argument) => parsed.GetValue(argument)!;

    /// <summary>Whether an option was given on the command line.</summary>
    public bool Has(Option option) => parsed.GetResult(option) is { Implicit: false };

    /// <summary>The configuration. Throws with a hint where there is none.</summary>
    public SalvorConfig LoadConfig() => ConfigFile.Load(ConfigPath());

    public string ConfigPath() => ConfigFile.Locate(Get(ConfigOption), Environment.GetEnvironmentVariable);

    /// <summary>A line for people; nothing under --quiet and --json.</summary>
    public void Print(string line)
    {
        if (!Json && !Quiet)
        {
            Console.Out.WriteLine(line);
        }
    }

    /// <summary>The answer as a document, under --json only.</summary>
    public void PrintJson<T>(T document, JsonTypeInfo<T> type)
    {
        if (Json)
        {
            Console.Out.WriteLine(JsonSerializer.Serialize(document, type));
        }
    }

    /// <summary>Logs go to standard error, without colours where that is no terminal.</summary>
    public ILoggerFactory CreateLogging(LogLevel level) => LoggerFactory.Create(builder => builder
        .SetMinimumLevel(Quiet ? LogLevel.Error : level)
        .AddSimpleConsole(options =>
        {
            options.SingleLine = true;
            options.IncludeScopes = false;
            options.ColorBehavior = Microsoft.Extensions.Logging.Console.LoggerColorBehavior.Disabled;
        })
        .AddConsole(options => options.LogToStandardErrorThreshold = LogLevel.Trace));

    static Option<string> CreateProgressOption()
    {
        var option = new Option<string>("--progress")
        {
            Description = "Draw a progress line: auto (on a terminal), always or never.", Recursive = true,
            DefaultValueFactory = _ => "auto", HelpName = "WHEN",
        };
        option.AcceptOnlyFromAmong("auto", "always", "never");
        return option;
    }
}

/// <summary>Makes verbs of functions: gives them an <see cref="Invocation"/>, and turns failures into a message and an exit code.</summary>
static class Verb
{
    public static Command WithAction(this Command command, Func<Invocation, Task<int>> action)
    {
        command.SetAction((parsed, cancellationToken) => RunAsync(parsed, action, cancellationToken));
        return command;
    }

    public static void PrintError(SalvorException e) => Console.Error.WriteLine($"salvor: {e.Message}\nhint: {e.Hint}");

    static async Task<int> RunAsync(ParseResult parsed, Func<Invocation, Task<int>> action, CancellationToken outer)
    {
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(outer);
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            stopping.Cancel();
        }

        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        var invocation = new Invocation(parsed, stopping.Token);
        try
        {
            return await action(invocation);
        }
        catch (SalvorException e)
        {
            return Report(invocation, e);
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return Report(
                invocation, new SalvorException(FailureKind.Interrupted, "interrupted", "Nothing was left behind; run it again when ready."));
        }
    }

    static int Report(Invocation invocation, SalvorException e)
    {
        PrintError(e);
        var name = JsonNamingPolicy.SnakeCaseLower.ConvertName(e.Kind.ToString());
        invocation.PrintJson(new ErrorDocument(new ErrorBody(name, (int)e.Kind, e.Message, e.Hint)), CliJson.Default.ErrorDocument);
        return (int)e.Kind;
    }
}
