using System.Globalization;
using System.Text.Json;

namespace Salvor.Tests.Support;

/// <summary>
/// An app with several writers, a replicating Salvor beside it as a process of its own, and the rules that every restore
/// is held to. What Salvor reported durable is the floor of all later restores of the newest state.
/// </summary>
sealed class ReplicationRig(WorkloadOptions options, int writerCount) : IAsyncDisposable
{
    const int NothingToRestore = 6;

    readonly ScratchDirectory _scratch = new();
    readonly SortedList<long, long> _seqByPosition = [];
    readonly SortedList<DateTimeOffset, long> _seqByTime = [];
    Workload? _workload;
    ChildProcess? _salvor;
    int _restores;

    public string Database => Path.Combine(_scratch.Subdirectory("app"), "app.db");

    public string Destination => DestinationUrl ?? _scratch.Subdirectory("vaults");

    /// <summary>Null: a folder.</summary>
    public string? DestinationUrl { get; init; }

    public string Vault =>
        DestinationUrl is { } url ? url.Replace("?", "/app?", StringComparison.Ordinal) : Path.Combine(Destination, "app");

    /// <summary>Whether the vault is encrypted; by a key file, which opens it at once.</summary>
    public bool IsEncrypted { get; init; }

    /// <summary>How the next start compresses; null for the default.</summary>
    public string? Compression { get; set; }

    public Workload App => _workload ??= new(Database, _scratch.Subdirectory("ledgers"), options, writerCount);

    /// <summary>The last commit that Salvor has reported durable.</summary>
    public long Floor { get; private set; }

    public int Restores => _restores;

    public bool Replicates => _salvor is { HasExited: false };

    public bool HasSaidReady => Replicates && _salvor!.Stderr.Contains("replicating ", StringComparison.Ordinal);

    /// <summary>Starts to replicate without waiting for it.</summary>
    public async Task StartSalvorAsync()
    {
        if (_salvor is not null)
        {
            await _salvor.DisposeAsync();
        }

        _salvor = SalvorProcess.Start(
            [
                "replicate", Database, Destination, .. BatchArguments, .. KeyArguments,
                .. (IsEncrypted ? (string[])["--i-have-saved-the-key"] : []),
                .. (Compression is null ? (string[])[] : ["--compression", Compression]),
            ]);
    }

    public Task SalvorReadyAsync() => Eventually.HoldsAsync(
        () => HasSaidReady ? true : Replicates ? false : throw new InvalidOperationException(HowItEnded()),
        () => $"replicate is not ready\n{_salvor?.Stderr}",
        Eventually.StartMax);

    /// <summary>With all that it said: its last words may still be on their way when its end is seen.</summary>
    string HowItEnded() => $"replicate ended by itself: {_salvor?.ExitAsync().GetAwaiter().GetResult()}";

    public void SignalSalvor(Signal signal) => _salvor?.Send(signal);

    public async Task KillSalvorAsync()
    {
        AssertHealthy();
        if (_salvor is not null)
        {
            await _salvor.KillAsync();
        }
    }

    /// <summary>Ends replication as an operator does. All that was committed before is in the vault afterwards.</summary>
    public async Task StopSalvorAsync()
    {
        var committed = App.LastAcked();
        SignalSalvor(Signal.Terminate);
        var result = await _salvor!.ExitAsync();
        Assert.True(result.ExitCode == 0, $"replicate did not end well: {result}");
        Floor = Math.Max(Floor, committed);
    }

    /// <summary>A process that ended without being killed is the failure, whatever a restore says afterwards.</summary>
    public void AssertHealthy()
    {
        _workload?.AssertHealthy();
        if (_salvor is { HasExited: true })
        {
            Assert.Fail(HowItEnded());
        }
    }

    /// <summary>What the last sync answered, for messages.</summary>
    public string LastSync { get; private set; } = "";

    /// <summary>Asks for everything to be made durable; an answer of success raises the floor.</summary>
    public async Task<bool> TrySyncAsync()
    {
        var committed = App.LastAcked();
        var result = await SalvorProcess.RunAsync("sync", Database, "--json", "--timeout", "60s");
        LastSync = $"{result}\nreplicate {(_salvor is { HasExited: false } ? "runs" : "ended")}: {_salvor?.Stderr}";
        if (result.ExitCode != 0)
        {
            return false;
        }

        using var answer = JsonDocument.Parse(result.Stdout);
        Assert.True(answer.RootElement.GetProperty("durable").GetBoolean(), $"sync succeeded without being durable: {result}");
        Floor = Math.Max(Floor, committed);
        return true;
    }

    /// <summary>Restores the newest state; it holds at least the floor.</summary>
    public async Task<Verdict?> RestoreLatestAsync(long? exactly = null)
    {
        var floor = Floor;
        return await RestoreAsync(RestoreMoment.Latest, true, new() { AtLeast = exactly ?? floor, AtMost = exactly });
    }

    /// <summary>Restores things that the list offers, one or several of one list; then they have to be there.</summary>
    public async Task RestoreListedAsync(Random random, int count = 1)
    {
        var result = await SalvorProcess.RunAsync(["list", "--from", Vault, "--json", .. KeyArguments]);
        if (result.ExitCode == NothingToRestore && Floor == 0)
        {
            return;
        }

        Assert.True(result.ExitCode == 0, $"list failed: {result}");
        var listing = Listing.Parse(result.Stdout);
        if (listing.Spans.Count == 0)
        {
            Assert.True(Floor == 0, $"list offers nothing, but {Floor} commits were reported durable");
            return;
        }

        // Nobody puts this database back or replaces it. A death, of whomever, is no reason for another line of history.
        Assert.Single(listing.Spans.Select(span => span.Branch).Distinct());
        for (var i = 0; i < count; i++)
        {
            var target = listing.Pick(random);
            await RestoreAsync(target, listing.IsNewestBranch(target.Branch!.Value), new() { NotAfter = target.Timestamp });
        }
    }

    /// <summary>Restores to a moment, whether it is listed or not.</summary>
    public Task<Verdict?> RestoreAtAsync(DateTimeOffset moment)
    {
        // What the command line is told has microseconds.
        var target = new DateTimeOffset(moment.Ticks - (moment.Ticks % TimeSpan.TicksPerMicrosecond), TimeSpan.Zero);
        return RestoreAsync(new(null, null, target), true, new() { NotAfter = target });
    }

    /// <summary>Begins to restore the newest state to a file, for tests that end the restore early.</summary>
    public ChildProcess BeginRestore(string output) =>
        SalvorProcess.Start(["restore", "--from", Vault, "--output", output, "--quiet", .. KeyArguments]);

    public Task<Verdict> JudgeAsync(string database, Bounds bounds) => Oracle.JudgeAsync(database, App.Ledgers, bounds);

    /// <summary>Says that the test failed and where its files are; <see cref="ScratchDirectory" /> may keep them.</summary>
    public string MarkFailed()
    {
        _scratch.HasFailed = true;
        return _scratch.Path;
    }

    public string NewOutputDirectory() => _scratch.Subdirectory($"restored-{Interlocked.Increment(ref _restores)}");

    public async ValueTask DisposeAsync()
    {
        if (_salvor is not null)
        {
            await _salvor.DisposeAsync();
        }

        if (_workload is not null)
        {
            await _workload.DisposeAsync();
        }

        _scratch.Dispose();
    }

    /// <summary>Far away each object is a request, when it is put and whenever the vault is read.</summary>
    string[] BatchArguments => DestinationUrl is null ? [] : ["--batch", "500ms"];

    /// <summary>What opens the vault, for commands.</summary>
    public string[] KeyArguments
    {
        get
        {
            if (!IsEncrypted)
            {
                return [];
            }

            var path = Path.Combine(_scratch.Path, "app.key");
            if (!File.Exists(path))
            {
                File.WriteAllText(path, new string('k', 64));
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            }

            return ["--key-file", path];
        }
    }

    async Task<Verdict?> RestoreAsync(RestoreMoment target, bool newestBranch, Bounds bounds)
    {
        var directory = NewOutputDirectory();
        var output = Path.Combine(directory, "app.db");
        var result = await SalvorProcess.RunAsync(
            ["restore", "--from", Vault, "--output", output, "--quiet", .. KeyArguments, .. Options(target, newestBranch)]);
        if (result.ExitCode == NothingToRestore && target == RestoreMoment.Latest && Floor == 0)
        {
            Assert.Empty(Directory.EnumerateFileSystemEntries(directory));
            return null;
        }

        Assert.True(result.ExitCode == 0, $"restore to {target} failed: {result}");
        Assert.Equal([output], Directory.EnumerateFileSystemEntries(directory));
        var verdict = await JudgeAsync(output, bounds);
        if (!verdict.Ok)
        {
            // A source that is wrong itself is another fault than a wrong copy of it.
            var source = await JudgeAsync(Database, new() { Live = true });
            Assert.Fail($"""
                restore to {target} is wrong: {string.Join("; ", verdict.Errors)}
                restore: {result}
                source: {(source.Ok ? "sound" : string.Join("; ", source.Errors))}, at commit {source.Seq}
                replicate: {_salvor?.Stderr}
                """);
        }

        NoteOrder(target, newestBranch, verdict.Seq);
        Directory.Delete(directory, recursive: true);
        return verdict;
    }

    static IEnumerable<string> Options(RestoreMoment target, bool newestBranch)
    {
        if (!newestBranch)
        {
            yield return "--branch";
            yield return target.Branch!.Value.ToString(CultureInfo.InvariantCulture);
        }

        if (target.Position is { } position)
        {
            yield return "--position";
            yield return position.ToString(CultureInfo.InvariantCulture);
        }

        if (target.Timestamp is { } timestamp)
        {
            yield return "--timestamp";
            yield return timestamp.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'Z'", CultureInfo.InvariantCulture);
        }
    }

    /// <summary>Later targets never land earlier, and the same target always lands on the same commit.</summary>
    void NoteOrder(RestoreMoment target, bool newestBranch, long seq)
    {
        if (!newestBranch)
        {
            return;
        }

        if (target.Position is { } position)
        {
            AssertOrdered(_seqByPosition, position, seq);
        }

        if (target.Timestamp is { } timestamp)
        {
            AssertOrdered(_seqByTime, timestamp, seq);
        }
    }

    static void AssertOrdered<TKey>(SortedList<TKey, long> seen, TKey target, long seq)
        where TKey : IComparable<TKey>
    {
        Assert.True(seen.TryAdd(target, seq) || seen[target] == seq, $"{target} landed on commit {seen[target]} before and on {seq} now");
        var index = seen.IndexOfKey(target);
        foreach (var neighbour in new[] { index - 1, index + 1 }.Where(i => i >= 0 && i < seen.Count))
        {
            Assert.True(
                (neighbour < index) == (seen.Values[neighbour] <= seq) || seen.Values[neighbour] == seq,
                $"{target} lands on commit {seq}, but {seen.Keys[neighbour]} on {seen.Values[neighbour]}");
        }
    }
}
