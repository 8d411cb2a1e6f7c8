using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;

namespace Salvor.Tests.Vault;

public sealed class LogWriterTests
{
    readonly MemoryStore store = new();

    [Fact]
    public async Task An_object_continues_the_one_before_it()
    {
        var vault = await OpenAsync();
        var writer = new LogWriter(vault, Start(vault), epoch: 3, TimeProvider.System);
        using var first = Change(commits: 2);
        using var second = Change(commits: 1);

        await writer.AppendAsync(first, default);
        await writer.AppendAsync(second, default);

        var (one, two) = (await ReadAsync(1), await ReadAsync(2));
        Assert.Equal(Start(vault).Lineage, one.Header.LineageBefore);
        Assert.Equal(one.Header.LineageAfter, two.Header.LineageBefore);
        Assert.Equal((1UL, 2UL), (one.Header.PositionFirst, one.Header.PositionLast));
        Assert.Equal((3UL, 3UL), (two.Header.PositionFirst, two.Header.PositionLast));
        Assert.Equal((3u, 1u, 2UL), (two.Header.Epoch, two.Header.Branch, two.Header.Number));
        Assert.Equal((101L, 102L), (one.Header.TimeFirstMicros, one.Header.TimeLastMicros));
        Assert.Equal(new LogTip(1, 2, new Position(3), 101, two.Header.LineageAfter), writer.Tip);
        Assert.Equal((2UL, 7UL), (two.Details.FirstPart, two.Details.ChecksumAfter));
    }

    [Fact]
    public async Task Parts_have_the_next_position_and_count_only_with_the_last()
    {
        var vault = await OpenAsync();
        var writer = new LogWriter(vault, Start(vault), epoch: 1, TimeProvider.System);
        using var part = Change(commits: 0);
        part.Final = false;
        using var last = Change(commits: 2);

        await writer.AppendAsync(part, default);
        Assert.Equal((1UL, Position.None), (writer.Tip.Number, writer.Tip.Position));
        await writer.AppendAsync(part, default);
        await writer.AppendAsync(last, default);
        await writer.AppendAsync(last, default);

        Assert.Equal(
            [(false, 1UL, 1UL, 1UL), (false, 1UL, 1UL, 1UL), (true, 1UL, 1UL, 2UL), (true, 4UL, 3UL, 4UL)],
            await Enumerable.Range(1, 4).ToAsyncEnumerable().Select(async (int number, CancellationToken _) =>
            {
                var log = await ReadAsync((ulong)number);
                return (log.Details.Final, log.Details.FirstPart, log.Header.PositionFirst, log.Header.PositionLast);
            }).ToListAsync());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task An_object_that_was_stored_although_the_answer_was_lost_is_recognised(bool isEncrypted)
    {
        var lossy = new FaultyStore(store, call => call.Operation == StoreOperation.Put ? Fault.After : Fault.None);
        var keys = isEncrypted ? TestKeys.Keyring() : null;
        var vault = await VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/data/app.db", keys, TimeProvider.System, default);
        var lost = await VaultAccess.FindAsync(lossy, "app", keys, default);
        var writer = new LogWriter(lost!, Start(vault), epoch: 1, TimeProvider.System);
        using var change = Change(commits: 1);

        await Assert.ThrowsAsync<StorageException>(() => writer.AppendAsync(change, default));
        Assert.Equal(0UL, writer.Tip.Number);

        // The second put answers that the key is taken, and that answer is lost as well; the third time all is well.
        await Assert.ThrowsAsync<StorageException>(() => writer.AppendAsync(change, default));
        var again = new LogWriter(vault, Start(vault), epoch: 1, TimeProvider.System);
        await again.AppendAsync(change, default);
        Assert.Equal(1UL, again.Tip.Number);
        Assert.Single(await store.ListAsync("app/log/", null, default).ToListAsync());
    }

    [Fact]
    public async Task A_number_that_another_writer_took_ends_this_one()
    {
        var vault = await OpenAsync();
        await ClaimAsync(vault, "db2", 42);
        using var change = Change(commits: 1);
        await new LogWriter(vault, Start(vault), epoch: 2, TimeProvider.System).AppendAsync(change, default);
        var late = new LogWriter(vault, Start(vault), epoch: 1, TimeProvider.System);

        var failure = await Assert.ThrowsAsync<TakenOverException>(() => late.AppendAsync(change, default));

        Assert.Equal(FailureKind.Locked, failure.Kind);
        Assert.Equal(
            "another writer added log/000001/0000000000000001 to vault memory/app; the newest claim is of pid 42 on host db2",
            failure.Message);
        Assert.Equal(
            "Only one writer may serve a vault: stop the other one, or give this source its own name or destination.", failure.Hint);
        Assert.Equal(Start(vault), late.Tip);
    }

    [Fact]
    public async Task Without_a_claim_the_other_writer_has_no_name()
    {
        var vault = await OpenAsync();
        using var change = Change(commits: 1);
        await new LogWriter(vault, Start(vault), epoch: 2, TimeProvider.System).AppendAsync(change, default);

        var failure = await Assert.ThrowsAsync<TakenOverException>(
            () => new LogWriter(vault, Start(vault), epoch: 1, TimeProvider.System).AppendAsync(change, default));

        Assert.Equal("another writer added log/000001/0000000000000001 to vault memory/app", failure.Message);
    }

    [Fact]
    public async Task Of_racing_writers_exactly_one_wins_each_number()
    {
        var vault = await OpenAsync();
        await ClaimAsync(vault, "db", 1);
        var outcomes = await Task.WhenAll(Enumerable.Range(1, 8).Select(epoch => Task.Run(async () =>
        {
            using var change = Change(commits: 1);
            try
            {
                await new LogWriter(vault, Start(vault), (uint)epoch, TimeProvider.System).AppendAsync(change, default);
                return true;
            }
            catch (SalvorException e) when (e.Kind == FailureKind.Locked)
            {
                return false;
            }
        })));

        Assert.Single(outcomes, won => won);
    }

    [Fact]
    public async Task Claims_are_numbered_and_the_newest_is_known()
    {
        var claims = new WriterClaims(await OpenAsync());
        Assert.Null(await claims.NewestAsync(default));

        Assert.Equal(1u, await claims.ClaimAsync(Claim("a", 1), default));
        Assert.Equal(2u, await claims.ClaimAsync(Claim("b", 2), default));

        Assert.Equal(Claim("b", 2), await claims.NewestAsync(default));
    }

    [Fact]
    public async Task Racing_claims_get_an_epoch_each()
    {
        var vault = await OpenAsync();

        var epochs = await Task.WhenAll(Enumerable.Range(1, 16).Select(pid => Task.Run(
            () => new WriterClaims(vault).ClaimAsync(Claim("host", pid), default))));

        Assert.Equal(Enumerable.Range(1, 16).Select(epoch => (uint)epoch), epochs.Order());
    }

    async Task<VaultAccess> OpenAsync() =>
        await VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/data/app.db", TimeProvider.System, default);

    async Task<LogObject> ReadAsync(ulong number) => await (await VaultReading.OpenAsync(store)).ReadLogAsync(1, number, default);

    static Task<uint> ClaimAsync(VaultAccess vault, string host, int pid) => new WriterClaims(vault).ClaimAsync(Claim(host, pid), default);

    static ClaimRecord Claim(string host, int pid) => new()
    {
        Host = host,
        BootId = "boot",
        Pid = pid,
        StartTicks = 5,
        WriterId = "0123456789abcdef",
        Since = DateTimeOffset.UnixEpoch,
        Version = "1.0",
    };

    static LogTip Start(VaultAccess vault) =>
        new(1, 0, Position.None, 0, Lineage.StartOf(vault.Secrets, vault.Id, 1, Position.None, Hash256.Zero));

    static ChangeSetBuilder Change(int commits)
    {
        var change = new ChangeSetBuilder(LogKind.Commits, 512, checksumBefore: 0);
        change.AddPage(1, 7, new byte[512]);
        for (var i = 1; i <= commits; i++)
        {
            change.AddCommit(i, 100 + i, 1, 7);
        }

        return change;
    }
}
