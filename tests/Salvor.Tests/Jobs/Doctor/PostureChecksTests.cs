using Salvor.Jobs;
using Salvor.Jobs.Config;
using Salvor.Jobs.Doctor;
using Salvor.Storage;
using Salvor.Storage.S3;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class PostureChecksTests
{
    static readonly DateTimeOffset Now = new(2026, 8, 1, 12, 0, 0, TimeSpan.Zero);

    static readonly DestinationFacts Local = new() { Config = new FileDestinationConfig { Name = "local", Path = "/backups" }, Device = 1 };

    static readonly DestinationFacts Far = new()
    {
        Config = new S3DestinationConfig { Name = "far", Options = new S3Options { Bucket = "acme" } },
        Bucket = new S3BucketSettings(new("Enabled", ""), new("COMPLIANCE 30 days", ""), new([], "")),
    };

    static readonly PostureFacts Well = new()
    {
        Source = "app",
        Copies = [Local, Far],
        Device = 1,
        Daemon = new DaemonFacts { Source = "app", Verified = DaemonChecksTests.Verified() },
        IsEncrypted = true,
        IsCompressed = true,
    };

    [Fact]
    public void Three_copies_on_two_media_one_elsewhere_one_locked_and_no_errors_are_all_well()
    {
        var checks = PostureChecks.Judge(Well, Now);

        Assert.DoesNotContain(checks, check => check.Level != CheckLevel.Ok);
        Assert.Equal("3: local, far", DoctorRig.Find(checks, "posture", "3 copies").Detail);
        Assert.Equal("2: disk 0:1, s3", DoctorRig.Find(checks, "posture", "2 media").Detail);
    }

    [Fact]
    public void One_copy_on_the_disk_of_the_database_lacks_nearly_all_of_it()
    {
        var checks = PostureChecks.Judge(
            Well with { Copies = [Local], Daemon = new DaemonFacts { Source = "app" }, IsEncrypted = false, IsCompressed = false }, Now);

        DoctorRig.AssertFound(checks, CheckLevel.Warn, "posture", "3 copies", "only 2: local", "Add a destination");
        DoctorRig.AssertFound(checks, CheckLevel.Warn, "posture", "2 media", "only 1: disk 0:1", "on another disk");
        DoctorRig.AssertFound(checks, CheckLevel.Warn, "posture", "1 off-site", "only 0", "on another machine");
        DoctorRig.AssertFound(
            checks, CheckLevel.Warn, "posture", "1 copy that cannot be deleted", "who breaks in here", "a bucket with object lock");
        DoctorRig.AssertFound(checks, CheckLevel.Warn, "posture", "0 errors", "could not tell", "salvor verify app --deep");
        DoctorRig.AssertFound(checks, CheckLevel.Warn, "posture", "restored and checked", "never", "salvor verify app --deep");
        DoctorRig.AssertFound(checks, CheckLevel.Warn, "posture", "verified within 26 hours", "never", "salvor status --check");
        DoctorRig.AssertFound(checks, CheckLevel.Warn, "posture", "encrypted", "no", "encryption: { key_file: FILE }");
        DoctorRig.AssertFound(checks, CheckLevel.Warn, "posture", "compressed", "no", "Remove 'compression: none'");
        Assert.Equal(0, Check.ExitCodeOf(checks));
    }

    [Fact]
    public void Credentials_that_may_not_delete_make_a_copy_immutable_and_what_is_not_known_is_not()
    {
        var appendOnly = Local with
        {
            Probe = new ProbeResult { Refused = [("delete", new StorageException(StorageFailure.Denied, "may not", "Let it."))] },
        };
        var silent = Far with { Bucket = Far.Bucket! with { ObjectLock = new(null, "may not") } };

        Assert.True(PostureFacts.IsImmutable(appendOnly));
        Assert.Null(PostureFacts.IsImmutable(silent));
        Assert.False(PostureFacts.IsImmutable(Far with { Bucket = Far.Bucket! with { ObjectLock = new("on", "") } }));
        Assert.False(DoctorRig.Find(
            PostureChecks.Judge(Well with { Copies = [Local, silent] }, Now), "posture", "1 copy that cannot be deleted").Known);
    }

    [Fact]
    public void A_drill_that_passed_is_a_proof_too()
    {
        var verified = DaemonChecksTests.Verified() with { Kind = "shallow", Restore = null };
        var daemon = new DaemonFacts { Source = "app", Verified = verified, DrilledAt = Now.AddDays(-3) };

        DoctorRig.AssertFound(
            PostureChecks.Judge(Well with { Daemon = daemon }, Now), CheckLevel.Ok, "posture", "restored and checked within a month",
            "a drill passed at", "");
        DoctorRig.AssertFound(
            DaemonChecks.Judge(daemon, Now), CheckLevel.Ok, "daemon", "its last verification found all well", "a drill passed 3d ago", "");
        Assert.Equal(
            CheckLevel.Warn,
            DoctorRig.Find(
                PostureChecks.Judge(Well with { Daemon = daemon with { DrilledAt = Now.AddDays(-40) } }, Now), "posture",
                "restored and checked within a month").Level);
    }

    [Fact]
    public void An_old_proof_is_told_as_such()
    {
        var old = DaemonChecksTests.Verified() with { FinishedAt = Now.AddDays(-32) };
        var checks = PostureChecks.Judge(Well with { Daemon = Well.Daemon with { Verified = old with { Ok = false } } }, Now);

        Assert.Equal(CheckLevel.Warn, DoctorRig.Find(checks, "posture", "restored and checked within a month").Level);
        Assert.Equal(CheckLevel.Warn, DoctorRig.Find(checks, "posture", "verified within 26 hours").Level);
        Assert.Equal(CheckLevel.Warn, DoctorRig.Find(checks, "posture", "0 errors").Level);
    }
}
