#!/usr/bin/env dotnet
#:project ../src/Salvor/Salvor.csproj
#:property PublishAot=false

// Vaults whose log nobody merged, and a clock that runs ahead.
//
//   dotnet run -c Release bench/longlog.cs make DATABASE FOLDER NAME COUNT DAYS
//     Copies a database, and makes so many log objects over so many days until now, as a writer makes them, but not flushed, so that
//     100,000 take seconds. Each restores to what the database was when it was copied.
//   dotnet run -c Release bench/longlog.cs delete FOLDER NAME DAYS
//     Deletes what is condemned, so many days from now. Prints the seconds, the objects, and the peak of resident memory in MiB.

using System.Diagnostics;
using System.Globalization;
using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Vault;
using Salvor.Vault.Pruning;

switch (args)
{
    case ["make", var database, var folder, var name, var count, var days]:
        await CopyAsync(database, folder, name, Number(days));
        await WriteAsync(database, folder, name, (int)Number(count), Number(days));
        break;
    case ["delete", var folder, var name, var days]:
        await DeleteAsync(folder, name, Number(days));
        break;
    default:
        throw new ArgumentException("see the comment at the top");
}

static double Number(string text) => double.Parse(text, CultureInfo.InvariantCulture);

static async Task CopyAsync(string database, string folder, string name, double days)
{
    var options = new ReplicatorOptions
    {
        Name = name,
        Path = database,
        StateDirectory = database + ".state",
        Batch = TimeSpan.FromMilliseconds(50),
        BlockMax = TimeSpan.FromMilliseconds(200),
        WalMaxBytes = 1 << 30,
    };
    await using var host = new ProtectionHost("longlog", new ShiftedTime(-days), new Random(1), NullLogger.Instance);
    host.Add(options, new FileStore(folder, createRoot: true));
    await host.SyncAsync(name, default);
}

static async Task WriteAsync(string database, string folder, string name, int count, double days)
{
    var vault = await VaultAccess.FindAsync(new UnflushedFolder(folder), name, default)
        ?? throw new InvalidOperationException("there is no such vault");
    var catalog = await VaultCatalog.LoadAsync(vault, default);
    var last = await catalog.ReadLogAsync(1, catalog.Logs(1).Last, default);
    var (header, commit, size) = (last.Header, last.Details.Commits[^1], (int)last.Details.PageSize);
    var tip = new LogTip(1, header.Number, new Position(header.PositionLast), header.TimeLastMicros, header.LineageAfter);
    var writer = new LogWriter(vault, tip, header.Epoch, TimeProvider.System);
    var step = (long)(TimeSpan.FromDays(days).TotalMicroseconds / count);

    // The page as it is: then nothing changes, and every checksum holds.
    var page = File.ReadAllBytes(database).AsSpan(size, size).ToArray();
    var hash = vault.Hasher.Hash(2, page);
    for (var i = 1; i <= count; i++)
    {
        using var change = new ChangeSetBuilder(LogKind.Commits, last.Details.PageSize, commit.Checksum);
        change.AddPage(2, hash, page);
        var micros = tip.TimeMicros + (i * step);
        change.AddCommit(micros, micros, commit.PageCount, commit.Checksum);
        await writer.AppendAsync(change, default);
    }
}

static async Task DeleteAsync(string folder, string name, double days)
{
    var vault = await VaultAccess.FindAsync(new FileStore(folder), name, default)
        ?? throw new InvalidOperationException("there is no such vault");
    var watch = Stopwatch.StartNew();
    var deleted = await new Pruner(vault, new ShiftedTime(days)).DeleteAsync(dryRun: false, default);
    var seconds = watch.Elapsed.TotalSeconds;
    using var process = Process.GetCurrentProcess();
    Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture, $"{seconds:0.00} {deleted.Objects} {process.PeakWorkingSet64 / 1024.0 / 1024:0}"));
}

/// <summary>The system's clock, so many days later.</summary>
sealed class ShiftedTime(double days) : TimeProvider
{
    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + TimeSpan.FromDays(days);
}

/// <summary>A folder without any promise.</summary>
sealed class UnflushedFolder(string root) : IObjectStore
{
    readonly FileStore inner = new(root);

    public string Location => inner.Location;

    public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        using var file = new FileStream(Path.Combine(root, key), FileMode.CreateNew);
        file.Write(content.Span);
        return Task.FromResult(PutResult.Created);
    }

    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) =>
        inner.ReadAsync(key, offset, buffer, cancellationToken);

    public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) => inner.SizeAsync(key, cancellationToken);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken) =>
        inner.ListAsync(prefix, after, cancellationToken);

    public Task ReplaceAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public Task DeleteAsync(string key, CancellationToken cancellationToken) => throw new NotSupportedException();
}
