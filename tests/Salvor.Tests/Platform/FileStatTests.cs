using Salvor.Platform;
using Salvor.Tests.Support;

namespace Salvor.Tests.Platform;

public sealed class FileStatTests : IDisposable
{
    readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void An_absent_file_has_no_identity()
    {
        File.WriteAllText(directory["file"], "");

        Assert.Null(FileIdentity.Of(directory["absent"]));
        Assert.Null(FileIdentity.Of(directory["file/below"]));
    }

    [Fact]
    public void Writing_to_a_file_keeps_its_identity()
    {
        File.WriteAllText(directory["a"], "1");
        var before = FileIdentity.Of(directory["a"]);

        File.AppendAllText(directory["a"], "2");

        Assert.NotNull(before);
        Assert.Equal(before, FileIdentity.Of(directory["a"]));
    }

    [Fact]
    public void A_file_deleted_then_created_again_is_another_even_where_the_inode_is_used_again()
    {
        File.WriteAllText(directory["a"], "1");
        var before = FileIdentity.Of(directory["a"]);

        File.Delete(directory["a"]);
        File.WriteAllText(directory["a"], "1");

        Assert.NotEqual(before, FileIdentity.Of(directory["a"]));
    }

    [Fact]
    public void A_symbolic_link_is_the_file_behind_it()
    {
        File.WriteAllText(directory["a"], "1");
        File.CreateSymbolicLink(directory["link"], directory["a"]);

        Assert.Equal(FileIdentity.Of(directory["a"]), FileIdentity.Of(directory["link"]));
        Assert.Equal(FileKind.Link, FileStat.Of(directory["link"], followLinks: false)?.Kind);
    }

    [Fact]
    [System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
    public void Size_mode_owner_and_time_are_those_of_the_system()
    {
        File.WriteAllText(directory["a"], "12345");
        File.SetUnixFileMode(directory["a"], UnixFileMode.UserRead | UnixFileMode.GroupRead);
        var modified = new DateTime(2026, 11, 20, 10, 0, 0, DateTimeKind.Utc);
        File.SetLastWriteTimeUtc(directory["a"], modified);

        var stat = Assert.NotNull(FileStat.Of(directory["a"]));

        Assert.Equal((FileKind.Regular, 5, 0b100_100_000u), (stat.Kind, stat.SizeBytes, stat.Permissions));
        Assert.Equal((modified - DateTime.UnixEpoch).Ticks * 100, stat.ModifiedNanoseconds);
        Assert.Equal(FileStat.Of("/proc/self")?.UserId, stat.UserId);
    }

    [Fact]
    public void A_directory_is_one() => Assert.Equal(FileKind.Directory, FileStat.Of(directory.Path)?.Kind);

    [Theory]
    [InlineData(0x6969, "nfs")]
    [InlineData(0xFE534D42, "smb2")]
    [InlineData(0x01021997, "9p")]
    [InlineData(0x65735546, null)]
    [InlineData(0xEF53, null)]
    public void Network_file_systems_are_known_by_their_magic_number(uint magic, string? name) =>
        Assert.Equal(name, FileSystemType.NameOf(magic));

    [Fact]
    public void A_local_file_system_has_no_network_name() => Assert.Null(FileSystemType.NetworkName("/dev/shm"));

    [Fact]
    public void The_file_system_of_what_does_not_exist_yet_is_that_of_the_directory_above() =>
        Assert.Null(FileSystemType.NetworkName("/dev/shm/not/there/yet"));
}
