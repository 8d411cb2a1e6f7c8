using Salvor.Tests.Support;

namespace Salvor.Tests.Cli;

/// <summary>Who answers at a daemon's socket says what is durable, so nobody else may put one there.</summary>
public sealed class ControlFolderTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task A_folder_that_others_may_write_to_is_refused()
    {
        var folder = _rig[$"salvor-{Environment.UserName}"];
        Directory.CreateDirectory(folder);
        File.SetUnixFileMode(folder, (UnixFileMode)0x1FF);

        await using var daemon = Start($"TMPDIR={_rig.Folder}");
        var result = await daemon.ExitAsync();

        Assert.Equal(1, result.ExitCode);
        Assert.Contains(
            $"salvor: {folder} belongs to somebody else, or others may write to it\n"
                + $"hint: Look at it with 'ls -ld {folder}' and remove it: it is made anew. "
                + "Or name another place by the variable TMPDIR.\n",
            result.Stderr,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_service_has_its_socket_where_the_service_manager_says()
    {
        var folder = _rig["run"];
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

        await using var daemon = Start($"RUNTIME_DIRECTORY={folder}");
        await Eventually.HoldsAsync(
            () => Directory.EnumerateFiles(folder, $"{daemon.Id}-*.sock").Any(), () => daemon.Stderr, Eventually.StartMax);
        daemon.Send(Signal.Terminate);
        Assert.Equal(0, (await daemon.ExitAsync()).ExitCode);
    }

    ChildProcess Start(string variable)
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));
        return ChildProcess.Start("env", [variable, .. SalvorProcess.CommandLine, "daemon", "--config", _rig["salvor.yaml"]]);
    }
}
