using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>
/// A folder in which an operator works: databases in <c>app</c>, vaults in <c>vaults</c>, a configuration, running daemons.
/// </summary>
sealed class CliRig : IAsyncDisposable
{
    readonly ScratchDirectory _scratch = new();
    readonly List<ChildProcess> _processes = [];

    public CliRig() => Directory.CreateDirectory(this["app"]);

    public string Folder => _scratch.Path;

    public string Database => this["app/app.db"];

    public string this[string name] => _scratch[name];

    /// <summary>A database in WAL mode with one row.</summary>
    public Task CreateDatabaseAsync(string name = "app/app.db") =>
        Tool.SqlAsync(this[name], "PRAGMA journal_mode = WAL; CREATE TABLE t(x); INSERT INTO t VALUES (1);");

    public Task CommitAsync(int x, string name = "app/app.db") => Tool.SqlAsync(this[name], $"INSERT INTO t VALUES ({x})");

    /// <summary>The configuration that commands of <see cref="ConfiguredAsync"/> use: each source goes to <c>vaults</c>.</summary>
    public void Configure(params IEnumerable<string> sources) => File.WriteAllText(
        this["salvor.yaml"],
        $$"""
        destinations:
          local: { type: file, path: ./vaults }
        sources:
        {{string.Join('\n', sources.Select(source => $"  {source}"))}}

        """);

    public static string Source(string name, string path) => $"{name}: {{ type: sqlite, path: {path}, to: [local] }}";

    public static string Sources(string name, string paths) => $"{name}: {{ type: sqlite, paths: {paths}, to: [local] }}";

    public async Task<ProcessResult> RunAsync(params IEnumerable<string> arguments)
    {
        IReadOnlyList<string> all = [.. arguments];
        return all.Contains("replicate") || all.Any(IsRelative)
            ? await Start(all).ExitAsync()
            : await SalvorProcess.RunAsync(all);
    }

    /// <summary>Whether an argument names a file by this folder: only a process of its own can work in it.</summary>
    bool IsRelative(string argument) =>
        !Path.IsPathRooted(argument)
        && !argument.Contains("://", StringComparison.Ordinal)
        && (argument.AsSpan().ContainsAny("./") || Path.Exists(this[argument]));

    public Task<ProcessResult> ConfiguredAsync(params IEnumerable<string> arguments) =>
        RunAsync([.. arguments, "--config", this["salvor.yaml"]]);

    public async Task<ProcessResult> ExpectAsync(int exitCode, params IEnumerable<string> arguments)
    {
        var result = await RunAsync(arguments);
        Assert.True(result.ExitCode == exitCode, $"not {exitCode}: {result}\n{string.Join('\n', _processes.Select(HowItIs))}");
        return result;
    }

    static string HowItIs(ChildProcess process) => $"{(process.HasExited ? "ended" : "runs")}: {process.Command}\n{process.Stderr}";

    /// <summary>Starts what runs until it is stopped.</summary>
    public ChildProcess Start(params IEnumerable<string> arguments)
    {
        var process = SalvorProcess.StartIn(Folder, arguments);
        _processes.Add(process);
        return process;
    }

    /// <summary>As <see cref="Start"/>, by another command such as one that makes it run elsewhere.</summary>
    public ChildProcess StartWith(IEnumerable<string> prefix, params IEnumerable<string> arguments)
    {
        IReadOnlyList<string> command = [.. prefix, .. SalvorProcess.CommandLine, .. arguments];
        var process = ChildProcess.Start(command[0], command.Skip(1), Folder);
        _processes.Add(process);
        return process;
    }

    public Task<ProcessResult> RunWithAsync(IEnumerable<string> prefix, params IEnumerable<string> arguments) =>
        StartWith(prefix, arguments).ExitAsync();

    /// <summary>Starts to replicate the database, and waits until its first copy is durable.</summary>
    public async Task<ChildProcess> ReplicateAsync(params string[] more)
    {
        var process = Start(["replicate", Database, this["vaults"], .. more]);
        await SaysAsync(process, "replicating");
        await ExpectAsync(0, "sync", Database, "--timeout", "20s");
        return process;
    }

    /// <summary>Starts the daemon, and waits until the status of a source is as it says.</summary>
    public async Task<ChildProcess> DaemonAsync(string source, string state, params string[] more)
    {
        var process = Start(["daemon", "--config", this["salvor.yaml"], .. more]);
        await SaysAsync(process, "salvor daemon:");
        await StateAsync(source, state);
        return process;
    }

    static Task SaysAsync(ChildProcess process, string words) => Eventually.HoldsAsync(
        () => process.Stderr.Contains(words, StringComparison.Ordinal), () => process.Stderr, Eventually.StartMax);

    /// <summary>Waits for a state of a source; the last answer.</summary>
    public async Task<string> StateAsync(string source, string state)
    {
        var answer = "";
        for (var attempt = 0; attempt < 40; attempt++)
        {
            answer = (await ConfiguredAsync("status", source)).Stdout;
            if (answer.StartsWith($"{source}  {state}", StringComparison.Ordinal))
            {
                return answer;
            }

            await Task.Delay(100, TestContext.Current.CancellationToken);
        }

        Assert.Fail($"source {source} did not become {state}: {answer}");
        return answer;
    }

    /// <summary>Stops a process as an operator does; it must end well.</summary>
    public static async Task<ProcessResult> StopAsync(ChildProcess process, Signal signal = Signal.Terminate, int exitCode = 0)
    {
        process.Send(signal);
        var result = await process.ExitAsync();
        Assert.True(result.ExitCode == exitCode, $"not {exitCode}: {result}");
        return result;
    }

    /// <summary>The rows of a restored database.</summary>
    public static async Task<string> RowsAsync(string database)
    {
        const string Program = "import sqlite3, sys; print(*[x for x, in sqlite3.connect(sys.argv[1]).execute('SELECT x FROM t')])";
        var result = await ChildProcess.RunAsync(Tool.Python, [Tool.WithoutSite, "-c", Program, database]);
        Assert.True(result.ExitCode == 0, $"{result}");
        return result.Stdout.Trim();
    }

    public static void AssertError(ProcessResult result, int exitCode, string message, string hint)
    {
        Assert.True(result.ExitCode == exitCode, $"not {exitCode}: {result}");
        Assert.Equal($"salvor: {message}\nhint: {hint}\n", result.Stderr);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in _processes)
        {
            await process.DisposeAsync();
        }

        _scratch.Dispose();
    }
}
