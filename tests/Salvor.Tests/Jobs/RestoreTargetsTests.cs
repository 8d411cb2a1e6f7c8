using Salvor.Jobs;
using Salvor.Tests.Vault.Vectors;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Jobs;

/// <summary>Which restore point a request means, in a vault whose newest object is damaged.</summary>
public sealed class RestoreTargetsTests
{
    /// <summary>Position <i>n</i> of the vectors is <i>n</i> seconds later.</summary>
    static readonly DateTimeOffset Beginning = new(2026, 8, 1, 10, 30, 0, TimeSpan.Zero);

    [Fact]
    public async Task A_damaged_newest_object_keeps_nobody_from_what_is_before_it()
    {
        Assert.Equal(new Position(5), (await ResolveAsync(new(1, null, new Position(5)))).Position);
        Assert.Equal(new Position(5), (await ResolveAsync(new(1, null, null) { BackupId = 1 })).Position);
        Assert.Equal(new Position(4), (await ResolveAsync(new(1, Beginning.AddSeconds(4), null))).Position);
    }

    [Fact]
    public async Task What_may_be_in_a_damaged_newest_object_is_refused_by_its_name()
    {
        RestoreRequest[] requests =
        [
            new(1, null, null), new(1, null, new Position(6)),
            new(1, Beginning.AddSeconds(6), null), new(1, Beginning.AddSeconds(5), null),
        ];
        foreach (var request in requests)
        {
            var damage = await Assert.ThrowsAsync<DamagedObjectException>(() => ResolveAsync(request));
            Assert.Equal("log/000001/0000000000000007", damage.Key);
        }
    }

    static async Task<RestorePoint> ResolveAsync(RestoreRequest request)
    {
        var store = await Vector.All.Single(vector => vector.Name == "flip-header-crc").LoadAsync();
        var catalog = await VaultCatalog.LoadAsync((await VaultAccess.FindAsync(store, "app", default))!, default);
        request = await RestoreTargets.OfBackupAsync(catalog, request, default);
        return await RestoreTargets.ResolveAsync(catalog, new RestorePlanner(catalog), request, default);
    }
}
