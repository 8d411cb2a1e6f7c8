using Salvor.Jobs.Doctor;
using Salvor.Platform;

namespace Salvor.Tests.Jobs.Doctor;

public sealed class MachineChecksTests
{
    static readonly MachineFacts Well = new()
    {
        IsClockSynchronized = true, InotifyWatches = 65_536, InotifyInstances = 128, OpenFiles = 524_288, MemoryBytes = 1L << 30,
        HasArgon2 = true, HasLz4 = true, Databases = 1, Folders = 1, Temporary = new("/tmp", FreeBytes: 1L << 30, MayWrite: true),
    };

    [Fact]
    public void A_machine_that_is_well_has_nothing_to_report() =>
        Assert.DoesNotContain(MachineChecks.Judge(Well), check => check.Level != CheckLevel.Ok);

    [Fact]
    public void This_machine_can_be_asked()
    {
        var facts = MachineFacts.Gather();

        Assert.True(facts.OpenFiles > 0 && facts.MemoryBytes > 0 && facts.Temporary.FreeBytes > 0 && facts.InotifyWatches > 0);
    }

    [Fact]
    public void A_clock_that_nothing_keeps_right_is_told()
    {
        DoctorRig.AssertFound(
            MachineChecks.Judge(Well with { IsClockSynchronized = false }), CheckLevel.Warn, "machine", "nothing keeps its clock right",
            "restore points bear its time", "timedatectl set-ntp true");
        Assert.False(DoctorRig.Find(
            MachineChecks.Judge(Well with { IsClockSynchronized = null }), "machine", "whether something keeps its clock right").Known);
    }

    [Fact]
    public void Watches_that_do_not_suffice_fail()
    {
        DoctorRig.AssertFound(
            MachineChecks.Judge(Well with { InotifyWatches = 100, Folders = 100, Databases = 500 }), CheckLevel.Fail, "machine",
            "the kernel lets too few folders be watched", "500 database(s) lie in 100 folder(s)",
            "sysctl -w fs.inotify.max_user_watches=524288",
            FailureKind.Failure);
        DoctorRig.AssertFound(
            MachineChecks.Judge(Well with { InotifyInstances = 8 }), CheckLevel.Warn, "machine", "few folders can be watched",
            "8 descriptors for each user", "fs.inotify.max_user_instances=512");
        Assert.False(DoctorRig.Find(
            MachineChecks.Judge(Well with { InotifyWatches = null }), "machine", "whether changes can be watched").Known);
    }

    [Fact]
    public void Files_that_do_not_suffice_fail()
    {
        DoctorRig.AssertFound(
            MachineChecks.Judge(Well with { OpenFiles = 1024, Databases = 200 }), CheckLevel.Fail, "machine", "too few files may be open",
            "1024; 200 database(s) take about 1456", "LimitNOFILE=2912", FailureKind.Failure);
        Assert.False(DoctorRig.Find(MachineChecks.Judge(Well with { OpenFiles = null }), "machine", "how many files may be open").Known);
    }

    [Fact]
    public void Little_memory_and_little_room_are_told()
    {
        DoctorRig.AssertFound(
            MachineChecks.Judge(Well with { MemoryBytes = 128 << 20 }), CheckLevel.Warn, "machine", "there is little memory",
            "128 MiB; a restore may take 256 MiB", "MemoryMax=");
        DoctorRig.AssertFound(
            MachineChecks.Judge(Well with { Temporary = new("/tmp", FreeBytes: 1 << 20, MayWrite: true) }), CheckLevel.Warn, "machine",
            "there is not enough room for temporary files", "/tmp: 1 MiB free, up to 64 MiB needed", "df -h /tmp");
    }

    [Fact]
    public void A_library_that_something_needs_is_missed()
    {
        DoctorRig.AssertFound(
            MachineChecks.Judge(Well with { HasLz4 = false, UsesLz4 = true }), CheckLevel.Fail, "machine", "liblz4 is not installed",
            "nothing can be stored", "apt-get install liblz4-1", FailureKind.Failure);
        DoctorRig.AssertFound(
            MachineChecks.Judge(Well with { HasArgon2 = false, UsesPassphrase = true }), CheckLevel.Warn, "machine",
            "libargon2 is not installed", "do not open here", "apt-get install libargon2-1");
        Assert.Equal(
            "not liblz4, which nothing that is configured needs",
            DoctorRig.Find(MachineChecks.Judge(Well with { HasLz4 = false }), "machine", "the libraries").Detail);
    }

    [Theory]
    [InlineData("Max open files            1024                 524288               files     ", 524_288L)]
    [InlineData("Max open files            1024                 unlimited            files     ", long.MaxValue)]
    [InlineData("Max processes             1024                 1024                 processes ", null)]
    [InlineData("", null)]
    public void The_limit_of_open_files_is_the_hard_one(string line, long? expected) =>
        Assert.Equal(expected, KernelLimits.OpenFilesIn($"Limit   Soft Limit   Hard Limit   Units\n{line}\n"));
}
