using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Salvor.Cli.Terminal;
using Salvor.Sqlite.Restore;
using Salvor.Storage;
using Salvor.Text;
using Salvor.Vault;

namespace Salvor.Cli.Demo;

/// <summary>
/// One run of the demo: an app writes, another process replicates, both stop, the database is deleted and comes back, twice. Each step is
/// the verb that an operator would use, in a process of its own.
/// </summary>
sealed class DemoRun(Invocation invocation, string folder) : IAsyncDisposable
{
    const string Source = "app";

    /// <summary>What the app has written before replication begins: a first copy that is worth the name.</summary>
    static readonly TimeSpan HeadStart = TimeSpan.FromMilliseconds(500);

    /// <summary>For an app whose demo was killed.</summary>
    static readonly TimeSpan MoreThanEnough = TimeSpan.FromMinutes(2);

    readonly string database = Path.Combine(folder, "data", Source + ".db");
    readonly string ledger = Path.Combine(folder, "ledger.txt");
    readonly string destination = Path.Combine(folder, "vaults");
    readonly List<DemoProcess> processes = [];

    string VaultFolder => Path.Combine(destination, Source);

    CancellationToken Cancellation => invocation.Cancellation;

    public async Task<DemoDocument> RunAsync(TimeSpan duration)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(database)!);
        invocation.Print($"salvor demo, in {folder}");
        var app = Start(DemoWriter.Verb, database, ledger, DurationText.Format(duration + MoreThanEnough));
        invocation.Print(
            $"1. an app (pid {app.Pid}) writes to {Path.GetFileName(database)}, in WAL mode, "
                + $"{DemoWriter.CommitsPerSecond} commits a second");
        await WaitAsync(app, HeadStart);
        var replicate = Start("replicate", database, destination);
        invocation.Print($"2. 'salvor replicate' (pid {replicate.Pid}) begins while the app goes on");
        var firstNumber = await FirstCopyAsync(replicate);

        using var lag = new DemoLag(VaultFolder, firstNumber, invocation.Time);
        await WaitAsync(app, duration / 2);
        var (moment, committedMin) = await SyncAsync();
        await WaitAsync(app, duration / 2);
        await app.StopAsync(Cancellation);
        await replicate.StopAsync(Cancellation);
        var commits = DemoLedger.Read(ledger);
        var rate = (commits.Count - 1) / (commits[^1].Committed - commits[0].Committed).TotalSeconds;
        invocation.Print(string.Create(
            CultureInfo.InvariantCulture, $"4. both are stopped: the app after {commits.Count} commits, {rate:0} a second"));
        var lags = await lag.EndAsync(await CatalogAsync(), commits, Cancellation);
        var databaseBytes = Delete();

        var began = commits.Count(commit => commit.Began <= moment);
        var middle = await RestoreAsync(6, InstantText.Format(moment), committedMin, began, "--timestamp", InstantText.Format(moment));
        var latest = await RestoreAsync(7, "latest", commits.Count, commits.Count);
        return new DemoDocument(
            commits.Count, Math.Round(rate, 1), Percentile(lags, 0.5), Percentile(lags, 0.99), databaseBytes, SizeOf(VaultFolder),
            [middle, latest], Proved: true, folder, lags.Count, DemoLag.Method);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var process in processes)
        {
            await process.DisposeAsync();
        }
    }

    DemoProcess Start(params string[] arguments)
    {
        var process = DemoProcess.Start(arguments);
        processes.Add(process);
        return process;
    }

    async Task WaitAsync(DemoProcess app, TimeSpan duration)
    {
        // Until the app has committed at all: how long a process takes to start is no part of the duration.
        while (!File.Exists(ledger) || new FileInfo(ledger).Length == 0)
        {
            app.ExpectRunning();
            await Task.Delay(TimeSpan.FromMilliseconds(5), invocation.Time, Cancellation);
        }

        await Task.Delay(duration, invocation.Time, Cancellation);
        app.ExpectRunning();
    }

    /// <summary>Waits until all so far is durable; the number of the next log object.</summary>
    async Task<ulong> FirstCopyAsync(DemoProcess replicate)
    {
        var started = invocation.Time.GetTimestamp();
        while (!Directory.Exists(Path.Combine(VaultFolder, VaultKeys.Claims)))
        {
            replicate.ExpectRunning();
            await Task.Delay(TimeSpan.FromMilliseconds(5), invocation.Time, Cancellation);
        }

        await DemoProcess.RunAsync(Cancellation, "sync", database, "--timeout", "60s");
        invocation.Print(string.Create(
            CultureInfo.InvariantCulture,
            $"   its first full copy was durable after {invocation.Time.GetElapsedTime(started).TotalSeconds:0.00} s"));
        return (await CatalogAsync()).Logs(1).Last + 1;
    }

    /// <summary>A moment, and how many commits a restore to it must have at least: those before a sync that returned.</summary>
    async Task<(DateTimeOffset Moment, int CommittedMin)> SyncAsync()
    {
        var committed = DemoLedger.Read(ledger).Count;
        var started = invocation.Time.GetTimestamp();
        await DemoProcess.RunAsync(Cancellation, "sync", database, "--timeout", "60s");
        var elapsed = invocation.Time.GetElapsedTime(started);
        var moment = Micros.ToTime(Micros.Of(invocation.Time.GetUtcNow()));
        invocation.Print(string.Create(
            CultureInfo.InvariantCulture,
            $"3. 'salvor sync' returned after {elapsed.TotalSeconds:0.00} s, at {InstantText.Format(moment)}: ")
            + $"all {committed} commits so far are safe");
        return (moment, committed);
    }

    async Task<VaultCatalog> CatalogAsync()
    {
        var vault = await VaultAccess.FindAsync(new FileStore(destination), Source, Cancellation)
            ?? throw new SalvorException(FailureKind.Integrity, $"there is no vault at {VaultFolder}", "Run 'salvor demo' again.");
        return await VaultCatalog.LoadAsync(vault, Cancellation);
    }

    /// <summary>Removes the database and what SQLite keeps beside it; its size.</summary>
    long Delete()
    {
        var sizeBytes = new FileInfo(database).Length;
        string[] files = [.. DatabaseFiles.Suffixes.Select(suffix => database + suffix).Prepend(database).Where(File.Exists)];
        foreach (var file in files)
        {
            File.Delete(file);
        }

        invocation.Print($"5. deleted {Suggestion.Enumerate([.. files.Select(file => Path.GetFileName(file)!)])}");
        return sizeBytes;
    }

    async Task<DemoRestore> RestoreAsync(int step, string target, int commitsMin, int commitsMax, params string[] options)
    {
        var output = Path.Combine(folder, $"restored-{step}.db");
        var clock = Stopwatch.StartNew();
        var printed = await DemoProcess.RunAsync(
            Cancellation, ["restore", "--from", VaultFolder, "--output", output, "--json", .. options]);
        var seconds = Math.Round(clock.Elapsed.TotalSeconds, 3);
        var answer = JsonSerializer.Deserialize(printed, CliJson.Default.RestoreDocument)!;
        var found = DemoProof.Compare(output);
        DemoProof.ExpectWithin(output, found, commitsMin, commitsMax);
        invocation.Print(string.Create(
            CultureInfo.InvariantCulture,
            $"{step}. 'salvor restore' to {target} took {seconds:0.00} s ({answer.Seconds:0.00} s of it restoring, checked): ")
            + $"commit {found}, {SizeText.Format(answer.SizeBytes)}");
        invocation.Print($"   {Symbols.Ok} {found} rows compared with what was written, all equal; integrity_check: ok");
        return new DemoRestore(target, answer.Position, found, seconds, EqualToWhatWasWritten: true);
    }

    static double Percentile(IReadOnlyList<TimeSpan> sorted, double part) => sorted.Count == 0
        ? throw new SalvorException(
            FailureKind.Failure, "no commit was seen to become durable, so there is no lag to tell", "Run 'salvor demo' for longer.")
        : Math.Round(sorted[(int)((sorted.Count - 1) * part)].TotalMilliseconds, 1);

    static long SizeOf(string directory) =>
        new DirectoryInfo(directory).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);
}
