#!/usr/bin/env dotnet
#:project ../src/Salvor/Salvor.csproj
#:property PublishAot=false

// Makes the log of a vault long: dotnet run -c Release bench/longlog.cs FOLDER NAME COUNT. The objects are as a writer makes them, but not
// flushed, so that 100,000 take seconds. What they hold is not what the database held; they are for listing and planning only.

using Salvor.Storage;
using Salvor.Vault;

var (folder, name, count) = (args[0], args[1], int.Parse(args[2], System.Globalization.CultureInfo.InvariantCulture));
var vault = await VaultAccess.FindAsync(new UnflushedFolder(folder), name, default)
    ?? throw new InvalidOperationException("there is no such vault");
var catalog = await VaultCatalog.LoadAsync(vault, default);
var last = await catalog.ReadLogAsync(1, catalog.Logs(1).Last, default);
var header = last.Header;
var tip = new LogTip(1, header.Number, new Position(header.PositionLast), header.TimeLastMicros, header.LineageAfter);
var writer = new LogWriter(vault, tip, header.Epoch, TimeProvider.System);
var page = new byte[last.Details.PageSize];
var hash = vault.Hasher.Hash(2, page);
for (var i = 1; i <= count; i++)
{
    using var change = new ChangeSetBuilder(LogKind.Commits, last.Details.PageSize, hash);
    change.AddPage(2, hash, page);
    var micros = tip.TimeMicros + (i * 50_000L);
    change.AddCommit(micros, micros, last.Details.Commits[^1].PageCount, hash);
    await writer.AppendAsync(change, default);
}

/// <summary>A folder without any promise.</summary>
sealed class UnflushedFolder(string root) : IObjectStore
{
    public string Location => root;

    public Task<PutResult> PutAsync(string key, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        using var file = new FileStream(Path.Combine(root, key), FileMode.CreateNew);
        file.Write(content.Span);
        return Task.FromResult(PutResult.Created);
    }

    public Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
    {
        using var file = File.OpenHandle(Path.Combine(root, key));
        return Task.FromResult(RandomAccess.Read(file, buffer.Span, offset));
    }

    public Task<long?> SizeAsync(string key, CancellationToken cancellationToken) =>
        Task.FromResult(File.Exists(Path.Combine(root, key)) ? new FileInfo(Path.Combine(root, key)).Length : (long?)null);

    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? after, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await Task.CompletedTask;
        var files = Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(root, path));
        foreach (var key in files.Where(key => key.StartsWith(prefix, StringComparison.Ordinal)).Order(StringComparer.Ordinal))
        {
            if (string.CompareOrdinal(key, after) > 0)
            {
                yield return new ObjectInfo(key, new FileInfo(Path.Combine(root, key)).Length);
            }
        }
    }

    public Task DeleteAsync(string key, CancellationToken cancellationToken) => throw new NotSupportedException();
}
