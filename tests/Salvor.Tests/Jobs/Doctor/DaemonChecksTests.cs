using Salvor.Jobs;
using Salvor.Jobs.Doctor;
using Salvor.Platform;
using Salvor.Sqlite;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class DaemonChecksTests : IDisposable
{
    static readonly DateTimeOffset Now = new(2026, 8, 1, 12, 0, 0, TimeSpan.Zero);
    static readonly LockHolder Holder = new("host", "boot", 4711, 1, Now, null, LocalState.Version) { User = "app" };

    readonly DoctorRig rig = new();

    public void Dispose() => rig.Dispose();

    [Fact]
    public void A_lock_that_is_held_names_its_holder()
    {
        LocalState.EnsureDirectory(rig["app/.salvor"]);
        using var held = LockFile.Acquire(
            LocalState.LockPath(rig["app/.salvor"], rig.Database), LockHolder.Current(Now, socket: null, LocalState.Version));

        var check = DoctorRig.Find(DaemonChecks.Judge(Gather(), Now), "daemon", "a daemon serves it");

        Assert.Equal(CheckLevel.Ok, check.Level);
        Assert.Contains($"pid {Environment.ProcessId} of {Environment.UserName}", check.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public void A_daemon_that_is_not_there_or_died_is_told()
    {
        DoctorRig.AssertFound(
            DaemonChecks.Judge(Gather(), Now), CheckLevel.Warn, "daemon", "no daemon serves it", "none ever did on this machine",
            "Start 'salvor daemon'");

        LocalState.EnsureDirectory(rig["app/.salvor"]);
        var here = ProcessIdentity.Current();
        StatusFile.Write(
            LocalState.StatusPath(rig["app/.salvor"], rig.Database),
            VaultChecksTests.Status("/vaults") with { Pid = 99_999_999, Host = here.Host, BootId = here.BootId });
        DoctorRig.AssertFound(
            DaemonChecks.Judge(Gather(), Now), CheckLevel.Warn, "daemon", "its daemon ended without saying so",
            "pid 99999999 wrote last at 2026-08-01T12:00:00Z: healthy", "journalctl -u salvor");
    }

    [Fact]
    public void A_daemon_that_does_not_respond_fails_and_one_of_another_version_is_told()
    {
        DoctorRig.AssertFound(
            Judge(holder: Holder, responds: false), CheckLevel.Fail, "daemon", "its daemon does not respond", "pid 4711 of app on host",
            "kill -CONT 4711", FailureKind.Unhealthy);
        DoctorRig.AssertFound(
            Judge(holder: Holder with { Version = "0.0.1" }), CheckLevel.Warn, "daemon", "its daemon runs another version",
            $"version 0.0.1; this is {LocalState.Version}", "Restart the daemon after an update.");
    }

    [Theory]
    [InlineData("behind")]
    [InlineData("backing_off")]
    [InlineData("failing")]
    [InlineData("awaiting_export")]
    public void What_keeps_a_daemon_from_its_work_is_told(string state) => DoctorRig.AssertFound(
        Judge(holder: Holder, last: VaultChecksTests.Status("/vaults") with { State = state, Detail = "no route", Hint = "Plug it in." }),
        CheckLevel.Warn, "daemon", $"its daemon is {state.Replace('_', ' ')}", "no route", "Plug it in.");

    [Fact]
    public void An_outbox_that_is_full_is_told() => DoctorRig.AssertFound(
        Judge(last: VaultChecksTests.Status("/vaults") with { OutboxObstacle = "it has 4 GiB" }), CheckLevel.Warn, "daemon",
        "nothing more can wait for its destination", "it has 4 GiB", "raise 'max_outbox'");

    [Fact]
    public void A_source_that_was_never_verified_is_told() => DoctorRig.AssertFound(
        Judge(), CheckLevel.Warn, "daemon", "it was never verified from here", "nothing proves that a restore works",
        "salvor verify app --deep");

    [Fact]
    public void A_verification_that_found_damage_fails() => DoctorRig.AssertFound(
        Judge(verified: Verified() with { Ok = false, Error = "it could not be read" }), CheckLevel.Fail, "daemon",
        "its last verification found damage or failed", "deep, 1h ago", "salvor verify app", FailureKind.Integrity);

    [Fact]
    public void A_verification_that_is_old_or_restored_nothing_is_told()
    {
        DoctorRig.AssertFound(
            Judge(verified: Verified() with { FinishedAt = Now.AddHours(-49) }), CheckLevel.Warn, "daemon", "its last verification is old",
            "deep, 2d1h ago", "salvor verify app --deep");
        DoctorRig.AssertFound(
            Judge(verified: Verified() with { Restore = null, Kind = "quick" }), CheckLevel.Warn, "daemon",
            "it was verified, and never restored", "nothing was ever restored", "salvor verify app --deep");
        Assert.Equal(
            CheckLevel.Ok, DoctorRig.Find(Judge(verified: Verified()), "daemon", "its last verification found all well").Level);
    }

    [Fact]
    public void Prunes_that_do_not_happen_are_told()
    {
        var pruned = new PruneRecord { At = Now.AddHours(-1) };
        DoctorRig.AssertFound(
            Judge(pruned: pruned with { WaitingSince = Now.AddDays(-4) }), CheckLevel.Warn, "daemon",
            "nothing is pruned, because nothing is proven", "for 4d", "salvor verify app --deep");
        DoctorRig.AssertFound(
            Judge(pruned: pruned with { Error = "it is away", Hint = "Wait." }), CheckLevel.Warn, "daemon", "its last prune failed",
            "it is away", "Wait.");
        DoctorRig.AssertFound(
            Judge(pruned: pruned with { ExcessBytes = 1 << 20 }), CheckLevel.Warn, "daemon", "its vault is above max_total_size", "1 MiB",
            "Raise max_total_size");
        Assert.Equal(CheckLevel.Ok, DoctorRig.Find(Judge(pruned: pruned), "daemon", "it is pruned").Level);
    }

    [Fact]
    public void A_copy_that_is_refused_or_filled_up_is_told()
    {
        var refused = new CopyStatus("/b", false, Now, "it is not a complete copy", "Fill it up.") { Name = "offsite" };
        var filled = new CopyStatus("/c", false, null, "", "") { Lack = "nothing there can be restored" };
        var checks = Judge(holder: Holder, last: VaultChecksTests.Status("/vaults") with { Copies = [refused, filled] });

        DoctorRig.AssertFound(
            checks, CheckLevel.Warn, "daemon", "its daemon cannot copy to offsite", "it is not a complete copy", "Fill it up.");
        DoctorRig.AssertFound(
            checks, CheckLevel.Warn, "daemon", "its daemon fills /c up", "nothing there can be restored", "salvor status");
    }

    [Fact]
    public void State_that_cannot_be_read_is_unknown() => Assert.False(DoctorRig.Find(
        DaemonChecks.Judge(
            new DaemonFacts { Source = "app", Failure = new SalvorException(FailureKind.Failure, "no", "Run as root.") }, Now),
        "daemon", "whether a daemon serves it").Known);

    internal static VerifyRecord Verified() => new()
    {
        Source = "app", Kind = "deep", StartedAt = Now.AddHours(-1), FinishedAt = Now.AddHours(-1), Ok = true, Branch = 1, Position = 7,
        Objects = 1, Bytes = 1, RestorePoints = 1, Destinations = [],
        Restore = new VerifiedRestore(1, 7, Now.AddHours(-2), 1, 1, true, "ok", 1, ""),
    };

    static IReadOnlyList<Check> Judge(
        LockHolder? holder = null, bool responds = true, StatusRecord? last = null, VerifyRecord? verified = null,
        PruneRecord? pruned = null) =>
        DaemonChecks.Judge(
            new DaemonFacts
            {
                Source = "app", Holder = holder, Responds = responds, Last = last, Verified = verified, Pruned = pruned,
                VerifyEvery = TimeSpan.FromDays(1),
            },
            Now);

    DaemonFacts Gather() => DaemonFacts.Gather("app", rig.Database, rig["app/.salvor"], Now);
}
