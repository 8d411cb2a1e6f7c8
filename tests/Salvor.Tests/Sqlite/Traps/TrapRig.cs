using Salvor.Sqlite;
using Salvor.Sqlite.Capture;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Sqlite.Traps;

/// <summary>
/// One database, protected by this process, and what a trap needs around it: an app in another process, restores, and looks at files that
/// happen in another process too.
/// </summary>
sealed class TrapRig : IAsyncDisposable
{

    readonly ScratchDirectory scratch = new();
    readonly TimeProvider time;
    readonly LogLines log = new();
    CancellationTokenSource? stopping;
    CaptureEngine? engine;
    SqliteReplicator? replicator;
    Task running = Task.CompletedTask;
    int restores;

    public TrapRig(TimeProvider? time = null) => this.time = time ?? TimeProvider.System;

    public string Database => Path.Combine(scratch.Subdirectory("app"), "app.db");

    public string Log => $"{Database}-wal";

    public string StateDirectory { get; init; } = "";

    public TimeSpan DrainMax { get; init; } = TimeSpan.FromSeconds(10);

    public long WalMaxBytes { get; init; } = 1 << 30;

    public TimeSpan SnapshotEvery { get; set; } = TimeSpan.FromDays(1);

    public IObjectStore Store { get; set; } = new MemoryStore();

    public ScratchDirectory Scratch => scratch;

    /// <summary>What the log of this program says, a line each.</summary>
    public IEnumerable<string> Said => log.Lines;

    public SourceStatus Status => replicator!.Status;

    public CaptureEngine Engine => engine!;

    /// <summary>Begins to protect without waiting for anything.</summary>
    public void Begin()
    {
        var options = new ReplicatorOptions
        {
            Name = "app",
            Path = Database,
            StateDirectory = StateDirectory.Length > 0 ? StateDirectory : LocalState.DefaultDirectory(Database),
            Batch = TimeSpan.FromMilliseconds(5),
            BlockMax = TimeSpan.FromMilliseconds(200),
            WalMaxBytes = WalMaxBytes,
            SnapshotEvery = SnapshotEvery,
        };
        stopping = new CancellationTokenSource();
        engine = new CaptureEngine(time) { Failed = e => log.Add($"unexpected: {e}") };
        replicator = new SqliteReplicator(options, Store, engine, time, new Random(1), log);
        running = replicator.RunAsync(DrainMax, stopping.Token);
    }

    /// <summary>Protects, and returns when commits are captured as they happen.</summary>
    public async Task StartAsync()
    {
        Begin();
        await BecomesAsync(SourceState.Healthy);
    }

    public Task BecomesAsync(SourceState state, TimeSpan? within = null) => Eventually.HoldsAsync(
        () => Status.State == state, () => $"the state is {Status.State}, not {state}: {Status.Detail}\n{this}", within);

    /// <summary>Everything committed so far is in the vault.</summary>
    public async Task<Position> SyncAsync()
    {
        using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(20));
        try
        {
            return await replicator!.SyncAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            throw new TimeoutException($"sync did not end: {Status}\n{this}");
        }
    }

    public async Task StopAsync()
    {
        if (stopping is not null)
        {
            await stopping.CancelAsync();
            await running;
            engine!.Dispose();
            replicator!.Dispose();
            stopping.Dispose();
            stopping = null;
        }

        Assert.DoesNotContain(Said, line => line.StartsWith("unexpected", StringComparison.Ordinal));
    }

    public async Task<VaultCatalog> CatalogAsync() => await VaultReading.OpenAsync(Store);

    /// <summary>The numbers of the branches, oldest first.</summary>
    public async Task<IReadOnlyList<uint>> BranchesAsync() => [.. (await CatalogAsync()).Branches.Select(branch => branch.Number)];

    /// <summary>How many pages the log objects after a number hold.</summary>
    public async Task<int> PagesAfterAsync(ulong number, uint branch = 1)
    {
        var catalog = await CatalogAsync();
        var pages = 0;
        for (var next = number + 1; next <= catalog.Logs(branch).Last; next++)
        {
            pages += (await catalog.ReadLogAsync(branch, next, default)).Details.Pages.Count;
        }

        return pages;
    }

    public ulong LogNumber => replicator!.LogNumber;

    /// <summary>The newest state of a branch, or one position of it, as a sound database file.</summary>
    public async Task<string> RestoreAsync(uint? branch = null, ulong? position = null)
    {
        var catalog = await CatalogAsync();
        var planner = new RestorePlanner(catalog);
        var line = branch ?? planner.NewestBranch;
        var target = position is { } given ? new Position(given) : (await planner.LatestAsync(line, default)).Position;
        var path = scratch[$"restored-{Interlocked.Increment(ref restores)}.db"];
        await File.WriteAllBytesAsync(path, await VaultReading.RestoreAsync(Store, line, target));
        Assert.Equal("ok", await QueryAsync(path, "PRAGMA integrity_check"));
        return path;
    }

    /// <summary>What a query finds in the newest state of the vault.</summary>
    public async Task<string> RestoredAsync(string sql, uint? branch = null) => await QueryAsync(await RestoreAsync(branch), sql);

    /// <summary>The vault's newest state is the database file to the byte. Its app must be idle, with all of the log in the file.</summary>
    public async Task AssertSameBytesAsync() =>
        Assert.Equal(await SumAsync(Database), await SumAsync(await RestoreAsync()));

    /// <summary>Every position of a branch that the vault offers restores to a sound database.</summary>
    public async Task AssertAllOfferedRestoreAsync()
    {
        var offered = await RestoreSpans.FindAsync(await CatalogAsync(), default);
        Assert.NotEmpty(offered);
        foreach (var span in offered)
        {
            await RestoreAsync(span.Branch, span.First.Value);
            await RestoreAsync(span.Branch, span.Last.Value);
        }
    }

    /// <summary>The first row of a query, by another process.</summary>
    public static async Task<string> QueryAsync(string database, string sql)
    {
        await using var app = SqlApp.Start(database);
        var row = await app.ReadAsync(sql);
        await app.CloseAsync();
        return row;
    }

    /// <summary>Lets another process change the write-ahead log or the shared memory; see <c>Tools/wal.py</c>.</summary>
    public static async Task<string> WalAsync(params string[] arguments)
    {
        var result = await Tool.RunAsync("wal.py", arguments);
        Assert.True(result.ExitCode == 0, $"wal.py failed: {result}");
        return result.Stdout;
    }

    /// <summary>Runs a command of the shell, in another process.</summary>
    public static async Task<string> ShellAsync(string command)
    {
        var result = await ChildProcess.RunAsync("/bin/sh", ["-c", command]);
        Assert.True(result.ExitCode == 0, $"'{command}' failed: {result}");
        return result.Stdout;
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync();
        scratch.Dispose();
    }

    public override string ToString() => string.Join('\n', Said);

    static async Task<string> SumAsync(string path) => (await ShellAsync($"sha256sum < '{path}' && stat -c %s '{path}'")).Trim();
}
