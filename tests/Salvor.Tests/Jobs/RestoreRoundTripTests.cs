using System.Runtime.CompilerServices;
using Salvor.Jobs;
using Salvor.Sqlite.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Jobs;

/// <summary>A restore from far away: how often it waits for an answer before it can ask the next thing.</summary>
public sealed class RestoreRoundTripTests
{
    [Fact]
    public async Task The_newest_point_is_found_planned_and_written_in_few_rounds_and_requests()
    {
        var memory = new MemoryStore();
        var database = await DatabaseVault.CreateAsync(pageSize: 4096, pageCount: 400, memory);
        for (var i = 0; i < 40; i++)
        {
            await database.CommitAsync(400, ((uint)(i + 2), (byte)i));
        }

        using var scratch = new ScratchDirectory();
        var far = new Far(memory);

        var vault = (await VaultAccess.FindAsync(far, "app", default))!;
        var image = await FreshListing.UseAsync(
            vault,
            async catalog =>
            {
                var planner = new RestorePlanner(catalog);
                Assert.True(await planner.HasPointsAsync(1, default));
                var point = await RestoreTargets.ResolveAsync(catalog, planner, new RestoreRequest(null, null, null), default);
                var plan = await planner.PlanAsync(point.Branch, point.Position, default);
                using var file = File.OpenHandle(scratch["restored.db"], FileMode.Create, FileAccess.ReadWrite);
                return await new SqliteRestorer(catalog, plan).WriteAsync(file, default);
            },
            default);

        // About sixteen, and some more where a slow machine begins late what could be under way: the vault, what is condemned, branches,
        // one of them, the three lists at once, the end and the beginning of the log, the newest object, its snapshot for the plan and
        // for its content, the log in three waves, a pack, the pages of the log.
        var told = $"{far.Rounds} rounds, {far.Calls} calls";
        Assert.Equal(database.Checksum, image.Checksum);
        Assert.True(far.Rounds <= 22, told);
        Assert.True(far.Calls <= 100, told);
    }

    /// <summary>A round begins with a call that is made while no other is under way.</summary>
    sealed class Far(MemoryStore inner) : ForwardingStore(inner)
    {
        int underWay;
        int rounds;
        int calls;

        public int Rounds => rounds;

        public int Calls => calls;

        public override async Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            await TravelAsync();
            return await base.ReadAsync(key, offset, buffer, cancellationToken);
        }

        public override async Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken)
        {
            await TravelAsync();
            return await ((IObjectStore)inner).ReadEndAsync(key, lengthMax, cancellationToken);
        }

        public override async Task<long?> SizeAsync(string key, CancellationToken cancellationToken)
        {
            await TravelAsync();
            return await base.SizeAsync(key, cancellationToken);
        }

        public override async IAsyncEnumerable<ObjectInfo> ListAsync(
            string prefix, string? after, [EnumeratorCancellation] CancellationToken cancellationToken)
        {
            await TravelAsync();
            await foreach (var row in base.ListAsync(prefix, after, cancellationToken))
            {
                yield return row;
            }
        }

        async Task TravelAsync()
        {
            Interlocked.Increment(ref calls);
            if (Interlocked.Increment(ref underWay) == 1)
            {
                Interlocked.Increment(ref rounds);
            }

            await Task.Delay(20);
            Interlocked.Decrement(ref underWay);
        }
    }
}
