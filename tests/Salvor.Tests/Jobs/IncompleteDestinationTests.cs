using Microsoft.Extensions.Logging.Abstractions;
using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Sqlite;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault.Copies;

namespace Salvor.Tests.Jobs;

/// <summary>A daemon whose source has a further destination that nothing older may be copied to by itself.</summary>
public sealed class IncompleteDestinationTests : IDisposable
{
    readonly ScratchDirectory scratch = new();

    public void Dispose() => scratch.Dispose();

    [Fact]
    public async Task A_new_source_begins_with_it_and_one_that_was_there_before_says_what_it_lacks()
    {
        await Tool.SqlAsync(scratch["app.db"], "PRAGMA journal_mode = WAL; CREATE TABLE t(x);");
        var early = new MemoryStore();
        await RunAsync(early, async host =>
        {
            await host.SyncAsync("app", TestContext.Current.CancellationToken);
            Assert.NotEmpty(await KeysAsync(early));
        });

        var late = new FileStore(scratch["late"], createRoot: true);
        await RunAsync(late, async _ =>
        {
            await Eventually.HoldsAsync(() => Copy is { Error.Length: > 0 }, () => "nothing is said");
            Assert.Contains("nothing is copied there, because of 'on_incomplete: refuse'", Copy!.Error, StringComparison.Ordinal);
            Assert.StartsWith("Fill it up with 'salvor repair app'", Copy.Hint, StringComparison.Ordinal);
            Assert.NotNull(Copy.BehindSince);
            Assert.Empty(await KeysAsync(late));
        });
    }

    CopyStatus? Copy => StatusFile.Read(LocalState.StatusPath(scratch["state"], scratch["app.db"]))?.Copies.Single();

    async Task RunAsync(IObjectStore copy, Func<ProtectionHost, Task> look)
    {
        await using var host = new ProtectionHost("test", TimeProvider.System, new Random(1), NullLogger.Instance);
        host.Add(
            new ReplicatorOptions
            {
                Name = "app", Path = scratch["app.db"], StateDirectory = scratch["state"], Batch = TimeSpan.Zero,
                BlockMax = SqliteSourceConfig.BlockMaxDefault, WalMaxBytes = SqliteSourceConfig.WalMaxBytesDefault,
            },
            new FileStore(scratch["vaults"], createRoot: true),
            [new SourceDestination(copy, IsRequired: true) { OnIncomplete = IncompleteCopy.Refuse }]);
        await look(host);
    }

    static async Task<List<string>> KeysAsync(IObjectStore store) =>
        await store.ListAsync("app/", null, default).Select(row => row.Key).ToListAsync();
}
