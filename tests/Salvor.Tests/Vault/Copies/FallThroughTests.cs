using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Restore;

namespace Salvor.Tests.Vault.Copies;

/// <summary>What is damaged at one destination is read from another, and said.</summary>
public sealed class FallThroughTests
{
    [Fact]
    public Task Every_object_may_be_rotten_somewhere_as_long_as_one_copy_has_it() => Seeds.ForEachAsync(3, async seed =>
    {
        var (vault, random) = (await BrokenVault.CreateAsync(seed), new Random(seed));
        FrozenStore[] copies = [vault.Whole, vault.Whole, vault.Whole];
        foreach (var key in vault.Keys.Where(key => key != "app/vault"))
        {
            // Whole at one of three; at the others flipped, cut, missing or swapped.
            var good = random.Next(3);
            for (var i = 0; i < 3; i++)
            {
                copies[i] = i == good ? copies[i] : Break(copies[i], key, random);
            }
        }

        var told = new List<string>();
        foreach (var point in vault.Model.Points)
        {
            var joined = await JoinAsync(copies, told);
            var catalog = await VaultCatalog.LoadAsync(joined, default);
            var plan = await new RestorePlanner(catalog).PlanAsync(point.Branch, point.Position, default);
            Assert.Equal(point.Content, await VaultReading.WriteAsync(catalog, plan));
        }

        Assert.NotEmpty(told);
    });

    [Fact]
    public async Task What_was_bad_is_told_once_for_each_object()
    {
        var vault = await BrokenVault.CreateAsync();
        const string Key = "app/log/000001/0000000000000002";
        var first = vault.Whole.With(Key, Forge.Change(vault.Whole[Key], copy => copy[ObjectHeader.SizeBytes] ^= 1));
        var told = new List<string>();
        var catalog = await VaultCatalog.LoadAsync(await JoinAsync([first, vault.Whole], told), default);
        var point = vault.Model.Points.First(point => point.Position.Value == 3);

        var plan = await new RestorePlanner(catalog).PlanAsync(point.Branch, point.Position, default);
        Assert.Equal(point.Content, await VaultReading.WriteAsync(catalog, plan));
        Assert.Equal(point.Content, await VaultReading.WriteAsync(catalog, plan));

        Assert.Equal(["log/000001/0000000000000002: frame 0 does not match its checksum"], told);
    }

    [Fact]
    public async Task Of_many_headers_each_bad_one_is_read_from_another_copy()
    {
        var vault = await BrokenVault.CreateAsync();
        var keys = vault.Keys.Where(key => key.StartsWith("app/log/000001/", StringComparison.Ordinal)).ToList();
        var (first, second) = (vault.Whole, vault.Whole);
        for (var i = 0; i < keys.Count; i++)
        {
            first = i % 3 == 0 ? first.With(keys[i], [1]) : i % 3 == 1 ? first.Without(keys[i]) : first;
            second = i % 3 == 2 ? second.Without(keys[i]) : second;
        }

        var whole = await RestoreSpans.FindAsync(await VaultReading.OpenAsync(vault.Whole), default);
        var joined = await RestoreSpans.FindAsync(
            await VaultCatalog.LoadAsync(await JoinAsync([first, second], []), default), default);
        var alone = await Assert.ThrowsAsync<DamagedObjectException>(async () =>
            await RestoreSpans.FindAsync(await VaultReading.OpenAsync(vault.Whole.With(keys[0], [1])), default));

        Assert.Equal(whole, joined);
        Assert.Equal(keys[0], "app/" + alone.Key);
    }

    [Fact]
    public async Task A_copy_of_another_vault_is_never_read()
    {
        var (vault, other) = (await BrokenVault.CreateAsync(), await BrokenVault.CreateAsync());
        const string Key = "app/log/000001/0000000000000002";

        var joined = await JoinAsync([vault.Whole.Without(Key), other.Whole], []);

        Assert.Empty(joined.Copies);
        var catalog = await VaultCatalog.LoadAsync(joined, default);
        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => catalog.ReadLogAsync(1, 2, default));
        Assert.Equal("object log/000001/0000000000000002 is damaged: it is missing from memory", failure.Message);
    }

    [Fact]
    public async Task What_no_copy_has_whole_is_refused_by_the_name_that_it_has_at_the_first()
    {
        var vault = await BrokenVault.CreateAsync();
        const string Key = "app/log/000001/0000000000000002";
        var broken = vault.Whole.With(Key, Forge.Change(vault.Whole[Key], copy => copy[ObjectHeader.SizeBytes] ^= 1));
        var told = new List<string>();

        var catalog = await VaultCatalog.LoadAsync(await JoinAsync([broken, broken], told), default);
        var plan = await new RestorePlanner(catalog).PlanAsync(1, new Position(3), default);
        var failure = await Assert.ThrowsAsync<DamagedObjectException>(() => VaultReading.WriteAsync(catalog, plan));

        Assert.Equal("object log/000001/0000000000000002 is damaged: frame 0 does not match its checksum", failure.Message);
    }

    [Fact]
    public async Task A_copy_that_cannot_be_reached_does_not_disturb_while_nothing_is_needed_of_it()
    {
        var vault = await BrokenVault.CreateAsync();
        var away = false;
        var unreachable = new FaultyStore(vault.Whole, _ => away ? Fault.Before : Fault.None);
        var told = new List<string>();
        var joined = await JoinAsync([vault.Whole, unreachable], told);
        away = true;

        var catalog = await VaultCatalog.LoadAsync(joined, default);
        var point = vault.Model.Points.Last();
        var plan = await new RestorePlanner(catalog).PlanAsync(point.Branch, point.Position, default);

        Assert.Equal(point.Content, await VaultReading.WriteAsync(catalog, plan));
        Assert.Empty(told);
    }

    [Fact]
    public async Task What_was_overwritten_is_read_frame_by_frame_from_the_first_earlier_version_that_is_good()
    {
        var vault = await BrokenVault.CreateAsync();
        const string Key = "app/log/000001/0000000000000002";
        var flipped = Forge.Change(vault.Whole[Key], copy => copy[ObjectHeader.SizeBytes] ^= 1);
        var point = vault.Model.Points.First(point => point.Position.Value == 3);

        // The oldest opens, and its first frame is damaged.
        foreach (var now in (byte[][])[[1], flipped])
        {
            var store = new KeepingStore(vault.Whole.With(Key, now), Key, [flipped, vault.Whole[Key]]);
            var retrying = new RetryingStore(store, TimeProvider.System, new Random(1), _ => { }) { AttemptsMax = 1 };
            Assert.Equal(point.Content, await VaultReading.RestoreAsync(retrying, point.Branch, point.Position));
        }
    }

    /// <summary>Keeps what one key had before.</summary>
    sealed class KeepingStore(IObjectStore inner, string key, byte[][] earlier) : ForwardingStore(inner)
    {
        public override Task<IReadOnlyList<ObjectVersion>> EarlierAsync(string asked, CancellationToken cancellationToken) =>
            Task.FromResult<IReadOnlyList<ObjectVersion>>(
                asked == key ? [.. earlier.Select((content, index) => new ObjectVersion($"{index}", content.Length))] : []);

        public override Task<int> ReadEarlierAsync(
            string asked, ObjectVersion version, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var rest = earlier[int.Parse(version.Id, System.Globalization.CultureInfo.InvariantCulture)].AsSpan((int)offset);
            var count = Math.Min(rest.Length, buffer.Length);
            rest[..count].CopyTo(buffer.Span);
            return Task.FromResult(count);
        }
    }

    static FrozenStore Break(FrozenStore store, string key, Random random)
    {
        var bytes = store[key];
        switch (random.Next(3))
        {
            case 0:
                return store.Without(key);
            case 1:
                return store.With(key, bytes[..random.Next(bytes.Length)]);
            default:
                var offset = random.Next(bytes.Length);
                return store.With(key, Forge.Change(bytes, copy => copy[offset] ^= (byte)(1 << random.Next(8))));
        }
    }

    static async Task<VaultAccess> JoinAsync(IReadOnlyList<IObjectStore> stores, List<string> told)
    {
        var vaults = new List<VaultAccess>();
        foreach (var store in stores)
        {
            vaults.Add((await VaultAccess.FindAsync(store, "app", default))!);
        }

        return vaults[0].With(vaults.Skip(1), (_, e) => told.Add($"{e.Key}: {e.What}"));
    }
}
