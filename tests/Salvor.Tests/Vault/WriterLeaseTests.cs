using Salvor.Platform;
using Salvor.Storage;
using Salvor.Tests.Simulation;
using Salvor.Vault;

namespace Salvor.Tests.Vault;

/// <summary>Who may write, judged by the newest claim and when it was renewed.</summary>
public sealed class WriterLeaseTests
{
    static readonly DateTimeOffset Noon = new(2026, 8, 1, 12, 0, 0, TimeSpan.Zero);
    static readonly ProcessIdentity Here = ProcessIdentity.Current();

    readonly MemoryStore store = new();
    readonly SimulatedTime time = new();

    [Fact]
    public void What_is_known_of_a_holder_decides_about_it()
    {
        var own = WriterAdmission.ClaimOf(Here, "test", Noon);
        var other = own with { Pid = 1, StartTicks = ProcessStat.TryRead(1)!.Value.StartTicks };
        Assert.Equal(HolderState.Own, StateOf(own));
        Assert.Equal(HolderState.Alive, StateOf(other));
        Assert.Equal(HolderState.Dead, StateOf(other with { StartTicks = other.StartTicks + 1 }));
        Assert.Equal(HolderState.Dead, StateOf(other with { Pid = 0x3ffffff }));
        Assert.Equal(HolderState.Dead, StateOf(other with { BootId = "an earlier start of this machine" }));
        Assert.Equal(HolderState.Released, StateOf(other with { Released = true }));
        Assert.Equal(HolderState.Released, StateOf(other, hasEnded: true));
        Assert.Equal(HolderState.Fresh, StateOf(other with { Host = "db2" }));

        // Another container of the same name on this machine: its processes are not ours to judge.
        Assert.Equal(HolderState.Fresh, StateOf(other with { StartTicks = 1, PidNamespace = other.PidNamespace + 1 }));
        Assert.Equal(HolderState.Fresh, StateOf(other with { Host = "db2" }, age: TimeSpan.FromMinutes(44)));
        Assert.Equal(HolderState.Lapsed, StateOf(other with { Host = "db2" }, age: TimeSpan.FromMinutes(45)));
        Assert.Equal(HolderState.Alive, StateOf(other, age: TimeSpan.FromDays(45)));
        Assert.Equal(HolderState.Fresh, StateOf(other with { Host = "db2" }, age: TimeSpan.FromDays(-1)));
    }

    [Fact]
    public void A_container_that_was_killed_is_followed_by_the_one_that_has_its_lock_now()
    {
        var mine = new FileIdentity(1, 2, 3);
        var contained = Here with { PidNamespace = Here.PidNamespace + 1, Host = "app-0", Pid = 1 };
        var claim = WriterAdmission.ClaimOf(contained, "test", Noon, mine);
        var lease = new WriterLease(1, claim, Noon, HasEnded: false);

        Assert.Equal(HolderState.Dead, lease.StateSeenBy(Here, Noon, mine));
        Assert.Equal(HolderState.Fresh, lease.StateSeenBy(Here, Noon));
        Assert.Equal(HolderState.Fresh, lease.StateSeenBy(Here, Noon, mine with { Inode = 4 }));
        Assert.Equal(HolderState.Fresh, lease.StateSeenBy(Here with { BootId = "another machine" }, Noon, mine));
        var silent = lease with { Claim = claim with { LockFile = "" } };
        Assert.Equal(HolderState.Fresh, silent.StateSeenBy(Here, Noon, mine));
    }

    [Fact]
    public async Task A_holder_elsewhere_is_left_alone_until_its_lease_lapses()
    {
        var vault = await OpenAsync();
        await ClaimAsync(vault);
        time.WallOffset = TimeSpan.FromMinutes(44);

        var failure = await Assert.ThrowsAsync<SalvorException>(() => WriterAdmission.EnterAsync(vault, "test", time, default));

        Assert.Equal(FailureKind.Locked, failure.Kind);
        Assert.Equal("vault memory/app is held by pid 42 on host db2, which renewed its lease 44m ago", failure.Message);
        Assert.Equal(
            "Stop that process, and it lets go at once. Where it is gone for good, run 'salvor lock show --from memory/app', then "
                + "'salvor break-lock --force --from memory/app'; or wait: 45m after its last renewal a lease lapses.",
            failure.Hint);

        time.WallOffset = TimeSpan.FromMinutes(46);
        var admission = await WriterAdmission.EnterAsync(vault, "test", time, default);
        Assert.Equal(
            new Admission(2, MustFence: true, "pid 42 on host db2 did not renew its lease for 46m; taking over from it"), admission);
    }

    [Fact]
    public async Task A_head_renews_the_lease()
    {
        var vault = await OpenAsync();
        var epoch = await ClaimAsync(vault);
        await HeadAsync(vault, epoch, time.GetUtcNow() + TimeSpan.FromMinutes(30));
        time.WallOffset = TimeSpan.FromMinutes(60);

        var failure = await Assert.ThrowsAsync<SalvorException>(() => WriterAdmission.EnterAsync(vault, "test", time, default));

        Assert.EndsWith("which renewed its lease 30m ago", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_head_of_an_older_claim_renews_nothing()
    {
        var vault = await OpenAsync();
        await ClaimAsync(vault);
        var epoch = await ClaimAsync(vault);
        await HeadAsync(vault, epoch - 1, time.GetUtcNow() + TimeSpan.FromMinutes(30), released: true);

        var lease = await WriterLease.FindAsync(vault, default);

        Assert.Equal((epoch, false), (lease!.Epoch, lease.HasEnded));
        Assert.Equal(time.GetUtcNow(), lease.RenewedAt);
    }

    [Fact]
    public async Task Whoever_said_that_it_ended_is_followed_at_once_and_without_a_fence()
    {
        var vault = await OpenAsync();
        await HeadAsync(vault, await ClaimAsync(vault), time.GetUtcNow(), released: true);

        Assert.Equal(new Admission(2, MustFence: false, ""), await WriterAdmission.EnterAsync(vault, "test", time, default));
    }

    [Fact]
    public async Task A_dead_process_of_this_machine_is_followed_at_once()
    {
        var vault = await OpenAsync();
        await new WriterClaims(vault).ClaimAsync(
            WriterAdmission.ClaimOf(Here, "test", time.GetUtcNow()) with { Pid = 0x3ffffff }, default);

        var admission = await WriterAdmission.EnterAsync(vault, "test", time, default);

        Assert.Equal(new Admission(2, true, $"pid {0x3ffffff} on host {Here.Host} runs no more; taking over from it"), admission);
    }

    [Fact]
    public async Task A_living_process_of_this_machine_is_named()
    {
        var vault = await OpenAsync();
        var init = WriterAdmission.ClaimOf(Here, "test", Noon) with { Pid = 1, StartTicks = ProcessStat.TryRead(1)!.Value.StartTicks };
        await new WriterClaims(vault).ClaimAsync(init, default);

        var failure = await Assert.ThrowsAsync<SalvorException>(() => WriterAdmission.EnterAsync(vault, "test", time, default));

        Assert.Equal(
            $"vault memory/app is being written by pid 1 on host {Here.Host} since 2026-08-01T12:00:00Z", failure.Message);
        Assert.Equal(
            "Stop that process first ('salvor lock show --from memory/app' tells what it is), or give this source its own name or "
                + "destination.",
            failure.Hint);
    }

    [Fact]
    public async Task What_a_replaced_daemon_says_after_it_was_replaced_does_not_count()
    {
        var vault = await OpenAsync();
        var epoch = await ClaimAsync(vault);
        var replacedAt = time.GetUtcNow() + TimeSpan.FromHours(1);
        await HeadAsync(vault, epoch, replacedAt + TimeSpan.FromHours(1));
        Assert.Equal(replacedAt + TimeSpan.FromHours(1), (await Heads.FindAsync(vault, default))!.CompleteAsOf);

        await new WriterClaims(vault).ClaimAsync(Claim(replacedAt), default);

        Assert.Equal(replacedAt, (await Heads.FindAsync(vault, default))!.CompleteAsOf);
    }

    static HolderState StateOf(ClaimRecord claim, bool hasEnded = false, TimeSpan age = default) =>
        new WriterLease(1, claim, Noon, hasEnded).StateSeenBy(Here, Noon + age);

    async Task<VaultAccess> OpenAsync() =>
        await VaultAccess.OpenOrCreateAsync(store, "app", "sqlite", "/data/app.db", time, default);

    Task<uint> ClaimAsync(VaultAccess vault) => new WriterClaims(vault).ClaimAsync(Claim(time.GetUtcNow()), default);

    static ClaimRecord Claim(DateTimeOffset since) =>
        WriterAdmission.ClaimOf(Here, "test", since) with { Host = "db2", Pid = 42 };

    async Task HeadAsync(VaultAccess vault, uint epoch, DateTimeOffset at, bool released = false) => await Heads.TryPutAsync(
        store,
        "db2",
        1,
        new HeadRecord
        {
            Host = "db2",
            Pid = 42,
            At = at,
            Vaults =
            [
                new()
                {
                    Source = "app", VaultId = vault.Id, Epoch = epoch, Branch = 1, Number = 1, Position = 1, CompleteAsOf = at,
                    RenewedAt = at, Released = released,
                },
            ],
        },
        default);
}
