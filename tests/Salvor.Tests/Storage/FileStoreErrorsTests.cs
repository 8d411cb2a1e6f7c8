using Salvor.Platform;
using Salvor.Storage;

namespace Salvor.Tests.Storage;

public sealed class FileStoreErrorsTests
{
    [Theory]
    [InlineData(Errno.NoSpace, StorageFailure.Full)]
    [InlineData(Errno.QuotaExceeded, StorageFailure.Full)]
    [InlineData(Errno.AccessDenied, StorageFailure.Denied)]
    [InlineData(Errno.NotPermitted, StorageFailure.Denied)]
    [InlineData(Errno.ReadOnlyFileSystem, StorageFailure.Denied)]
    [InlineData(Errno.NotDirectory, StorageFailure.Denied)]
    [InlineData(Errno.NameTooLong, StorageFailure.Denied)]
    [InlineData(Errno.TooManyFiles, StorageFailure.Unreachable)]
    [InlineData(5, StorageFailure.Unreachable)]
    [InlineData(116, StorageFailure.Unreachable)]
    public void A_failure_of_the_file_system_means_what_the_caller_does_next(int error, StorageFailure expected) =>
        Assert.Equal(expected, From(new PosixException(error, "write", "/dest/a")).Failure);

    [Fact]
    public void A_refused_access_names_the_place_with_the_command_that_shows_who_has_it()
    {
        var failure = From(new UnauthorizedAccessException());

        Assert.Equal("cannot write a at /dest: permission denied", failure.Message);
        Assert.Equal(
            "Give the user that runs salvor read and write access: 'ls -la /dest' shows who has it.", failure.Hint);
    }

    [Fact]
    public void A_disk_that_fails_is_looked_for_in_the_mounts_then_in_the_kernels_log()
    {
        var failure = From(new IOException("failed", 5));

        Assert.Equal("cannot write a at /dest: input/output error", failure.Message);
        Assert.Equal(
            "Check that the disk or share is there and healthy: 'findmnt -T /dest' and 'dmesg'.", failure.Hint);
        Assert.True(failure.MayPass);
    }

    [Fact]
    public void The_cause_is_kept()
    {
        var cause = new IOException("failed", 5);

        Assert.Same(cause, From(cause).InnerException);
    }

    static StorageException From(Exception exception) => FileStoreErrors.From(exception, "write a", "/dest");
}
