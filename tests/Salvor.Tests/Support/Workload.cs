using System.Globalization;
using System.Text.Json;

namespace Salvor.Tests.Support;

/// <summary>What the writers of a test do; see <c>Tools/workload.py</c>.</summary>
sealed record WorkloadOptions
{
    public string Profile { get; init; } = "small";

    public string Checkpoint { get; init; } = "auto";

    public string AutoVacuum { get; init; } = "none";

    public string Journal { get; init; } = "wal";

    public string Synchronous { get; init; } = "normal";

    public int PageSize { get; init; } = 4096;

    /// <summary>Small makes large transactions write pages before they commit; 0 is SQLite's default.</summary>
    public int CacheKib { get; init; }

    /// <summary>Commits per second of each writer; 0 is flat out.</summary>
    public int Rate { get; init; }

    /// <summary>About how many rows a table keeps.</summary>
    public int Rows { get; init; } = 2000;

    /// <summary>How long it writes; null is until it is stopped.</summary>
    public TimeSpan? Duration { get; init; }

    public int Seed { get; init; } = 1;
}

/// <summary>The writers of one database and their ledgers, which stay when the writers are killed.</summary>
sealed class Workload(string database, string ledgerDirectory, WorkloadOptions options, int writerCount) : IAsyncDisposable
{
    const int AckedLineLengthMax = 64;

    readonly ChildProcess?[] _writers = new ChildProcess?[writerCount];

    public IReadOnlyList<string> Ledgers { get; } =
        [.. Enumerable.Range(1, writerCount).Select(id => Path.Combine(ledgerDirectory, $"ledger-{id}"))];

    public bool IsRunning => Array.Exists(_writers, writer => writer is { HasExited: false });

    /// <summary>Starts the writers, or takes up where they were killed, and waits until each has committed.</summary>
    public async Task StartAsync()
    {
        var sizes = Ledgers.Select(LengthOf).ToArray();
        for (var i = 0; i < _writers.Length; i++)
        {
            _writers[i] = Tool.Start("workload.py", Arguments(i + 1));
        }

        // The first line of a run says that the writer is back; the acknowledgement of a commit comes a few lines later.
        await Eventually.HoldsAsync(
            () => Ledgers.Index().All(
                ledger => LengthOf(ledger.Item) > sizes[ledger.Index] + (3 * AckedLineLengthMax) || HasEnded(ledger.Index)),
            () => $"the writers have not committed\n{string.Join('\n', _writers.Select(writer => writer?.Stderr))}",
            Eventually.StartMax);
    }

    /// <summary>The last commit that a writer was told is done. All before it are done too, whoever made them.</summary>
    public long LastAcked() => Ledgers.Max(LastAckedIn);

    public async Task KillAsync()
    {
        foreach (var writer in _writers)
        {
            if (writer is not null)
            {
                AssertHealthy(writer);
                await writer.KillAsync();
            }
        }
    }

    /// <summary>Lets every writer finish its transaction and returns their statistics.</summary>
    public async Task<IReadOnlyList<JsonElement>> StopAsync()
    {
        foreach (var writer in _writers)
        {
            writer?.Send(Signal.Terminate);
        }

        return await FinishAsync();
    }

    /// <summary>Waits until the writers have done what they were asked to do.</summary>
    public async Task<IReadOnlyList<JsonElement>> FinishAsync()
    {
        var statistics = new List<JsonElement>();
        foreach (var writer in _writers.OfType<ChildProcess>())
        {
            var result = await writer.ExitAsync();
            Assert.True(result.ExitCode == 0, $"'{writer.Command}' failed: {result}");
            statistics.Add(JsonElement.Parse(result.Stdout));
        }

        return statistics;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var writer in _writers.OfType<ChildProcess>())
        {
            await writer.DisposeAsync();
        }
    }

    /// <summary>A writer that ended by itself has found that the source lost something, or has a bug.</summary>
    public void AssertHealthy()
    {
        foreach (var writer in _writers.OfType<ChildProcess>())
        {
            AssertHealthy(writer);
        }
    }

    static void AssertHealthy(ChildProcess writer) =>
        Assert.False(writer.HasExited && writer.Stderr.Length > 0, $"'{writer.Command}' ended by itself: {writer.Stderr}");

    static long LengthOf(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;

    static long LastAckedIn(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var lengthMax = 64 * AckedLineLengthMax;
        file.Seek(-Math.Min(file.Length, lengthMax), SeekOrigin.End);
        using var reader = new StreamReader(file);
        var tail = reader.ReadToEnd();
        var lines = tail[..(tail.LastIndexOf('\n') + 1)].Split('\n');
        var last = Array.FindLast(lines, line => line.StartsWith("acked ", StringComparison.Ordinal));
        return last is null ? 0 : long.Parse(last.Split(' ')[1], CultureInfo.InvariantCulture);
    }

    bool HasEnded(int index) => _writers[index] is { HasExited: true };

    string[] Arguments(int id)
    {
        string[] arguments =
        [
            database, Ledgers[id - 1],
            "--id", Text(id), "--seed", Text(options.Seed), "--rate", Text(options.Rate), "--rows", Text(options.Rows),
            "--profile", options.Profile, "--checkpoint", options.Checkpoint, "--auto-vacuum", options.AutoVacuum,
            "--journal", options.Journal, "--synchronous", options.Synchronous, "--page-size", Text(options.PageSize),
            "--cache-kib", Text(options.CacheKib), "--busy-timeout", "5000", "--follow-parent",
        ];
        return options.Duration is { } duration ? [.. arguments, "--seconds", Text(duration.TotalSeconds)] : arguments;
    }

    static string Text(double number) => number.ToString(CultureInfo.InvariantCulture);
}
