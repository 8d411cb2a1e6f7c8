using Salvor.Platform;
using Salvor.Tests.Support;

namespace Salvor.Tests.Platform;

public sealed class DurableFileTests : IDisposable
{
    readonly TemporaryDirectory directory = new();

    public void Dispose() => directory.Dispose();

    [Fact]
    public void Replace_creates_a_file_for_its_owner_only()
    {
        DurableFile.Replace(directory["a"], [1, 2]);

        Assert.Equal([1, 2], File.ReadAllBytes(directory["a"]));
        Assert.Equal(0b110_000_000u, FileStat.Of(directory["a"])?.Permissions);
    }

    [Fact]
    public void Replace_leaves_one_file_with_the_new_content()
    {
        DurableFile.Replace(directory["a"], [1, 2, 3]);
        DurableFile.Replace(directory["a"], [4]);

        Assert.Equal([4], File.ReadAllBytes(directory["a"]));
        Assert.Equal([directory["a"]], Directory.GetFileSystemEntries(directory.Path));
    }

    [Fact]
    public void Replace_that_fails_leaves_nothing_behind()
    {
        Directory.CreateDirectory(directory["a/b"]);

        var failure = Assert.Throws<PosixException>(() => DurableFile.Replace(directory["a"], [1]));

        Assert.Equal($"cannot rename to {directory["a"]}: is a directory", failure.Message);
        Assert.Equal([directory["a"]], Directory.GetFileSystemEntries(directory.Path));
    }

    [Fact]
    public void Replace_in_a_missing_directory_names_it()
    {
        var failure = Assert.Throws<PosixException>(() => DurableFile.Replace(directory["absent/a"], [1]));

        Assert.Equal($"cannot create a file in {directory["absent"]}: no such file or directory", failure.Message);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_rename_does_not_replace(bool byLink)
    {
        File.WriteAllText(directory["a"], "a");
        File.WriteAllText(directory["b"], "b");

        Assert.False(Rename(byLink));

        Assert.Equal("b", File.ReadAllText(directory["b"]));
        Assert.Equal("a", File.ReadAllText(directory["a"]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_rename_to_a_free_name_moves_the_file(bool byLink)
    {
        File.WriteAllText(directory["a"], "a");

        Assert.True(Rename(byLink));

        Assert.Equal("a", File.ReadAllText(directory["b"]));
        Assert.False(File.Exists(directory["a"]));
    }

    [Fact]
    public void A_link_whose_answer_was_lost_is_recognized_as_made()
    {
        File.WriteAllText(directory["a"], "a");
        Assert.Equal(0, Posix.TryLink(directory["a"], directory["b"]));

        Assert.True(Rename(byLink: true));

        Assert.Equal([directory["b"]], Directory.GetFileSystemEntries(directory.Path));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_temporary_file_without_a_name_can_be_written_then_read(bool unlinked)
    {
        using var file = unlinked ? DurableFile.CreateAndUnlink(directory.Path) : DurableFile.CreateUnnamedTemp(directory.Path);

        RandomAccess.Write(file, [1, 2, 3], fileOffset: 5);

        var read = new byte[10];
        Assert.Equal(8, RandomAccess.Read(file, read, fileOffset: 0));
        Assert.Equal([0, 0, 0, 0, 0, 1, 2, 3, 0, 0], read);
        Assert.Empty(Directory.GetFileSystemEntries(directory.Path));
    }

    bool Rename(bool byLink) => byLink
        ? DurableFile.LinkNoReplace(directory["a"], directory["b"])
        : DurableFile.RenameNoReplace(directory["a"], directory["b"]);
}
