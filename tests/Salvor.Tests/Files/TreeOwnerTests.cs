using Salvor.Files;
using Salvor.Tests.Support;

namespace Salvor.Tests.Files;

/// <summary>Whom restored files belong to, and what is allowed with them.</summary>
public sealed class TreeOwnerTests : IDisposable
{
    readonly TreeRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Owners_of_a_map_become_others_by_name_or_number_and_the_rest_stays()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root gives files away");
        await OwnAsync("a", "4711:4712");
        await OwnAsync("b", "root:root");
        await OwnAsync("c", "4713:root");
        File.WriteAllText(_rig["owners"], "# moved\nuser 4711 nobody\ngroup 4712 4720   # a new number\n\nuser root 4730\n");
        await _rig.BackUpAsync();
        var restored = await _rig.RestoreAsync(
            "out", options: new TreeRestoreOptions { Owners = Ownership.Parse(OwnerBy.Name, null, OwnerMap.Read(_rig["owners"])) });
        var owners = await ChildProcess.RunAsync("stat", ["-c", "%U:%g", $"{restored}/a", $"{restored}/b", $"{restored}/c"]);
        var number = await ChildProcess.RunAsync("stat", ["-c", "%u", $"{restored}/b", $"{restored}/c"]);

        Assert.Equal("nobody:4720", owners.Stdout.Split('\n')[0]);
        Assert.Equal("4730\n4713\n", number.Stdout);
    }

    [Theory]
    [InlineData(null, null, null, "6755", false)]
    [InlineData("user bin root", null, null, "2755", true)]
    [InlineData("group bin root", null, null, "4755", true)]
    [InlineData("user bin bin", null, null, "6755", false)]
    [InlineData(null, "root", null, "755", true)]
    [InlineData(null, "bin:root", null, "4755", true)]
    [InlineData(null, "root", "F4755", "4755", false)]
    public async Task What_runs_as_its_owner_no_longer_does_where_that_becomes_another(
        string? map, string? chown, string? chmod, string mode, bool isTold)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root gives files away");
        await OwnAsync("tool", "bin:bin");
        await ChildProcess.RunAsync("chmod", ["6755", $"{_rig.Source}/tool"]);
        File.WriteAllText(_rig["owners"], map ?? "");
        await _rig.BackUpAsync();
        var options = new TreeRestoreOptions
        {
            Flushes = false,
            Owners = Ownership.Parse(OwnerBy.Name, chown, OwnerMap.Read(_rig["owners"])),
            Modes = Modes.Parse(chmod),
        };
        var restored = await new TreeRestorer(await _rig.SnapshotAsync(), options)
            .RunAsync(_rig["out"], TestContext.Current.CancellationToken);
        var stat = await ChildProcess.RunAsync("stat", ["-c", "%a", $"{_rig["out"]}{_rig.Source}/tool"]);

        Assert.Equal($"{mode}\n", stat.Stdout);
        Assert.Equal(
            isTold ? [$"{_rig.Source}/tool: it ran as its owner, who is another one here: it no longer does"] : [], restored.Problems);
    }

    [Theory]
    [InlineData("user a", "line 1: 'user a' maps no owner")]
    [InlineData("\nowner a b", "line 2: 'owner a b' maps no owner")]
    [InlineData("user a 1\nuser a 2", "line 2: user 'a' is mapped twice")]
    [InlineData("user a no-such-user", "this machine has no user 'no-such-user'")]
    public void A_line_that_maps_nobody_is_refused(string content, string message)
    {
        File.WriteAllText(_rig["owners"], content);
        var error = Assert.Throws<SalvorException>(() => OwnerMap.Read(_rig["owners"]));

        Assert.Equal(FailureKind.Usage, error.Kind);
        Assert.EndsWith(message, error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_map_that_cannot_be_read_is_refused()
    {
        var error = Assert.Throws<SalvorException>(() => OwnerMap.Read(_rig["missing"]));

        Assert.Equal($"cannot read the map of owners: Could not find file '{_rig["missing"]}'.", error.Message);
    }

    [Fact]
    public async Task Directories_and_files_get_the_permissions_that_are_asked_for()
    {
        File.SetUnixFileMode(_rig.Write("d/a", "a"), UnixFileMode.UserRead | UnixFileMode.UserExecute);
        await _rig.BackUpAsync();
        var restored = await _rig.RestoreAsync("both", options: new TreeRestoreOptions { Modes = Modes.Parse("D750,F640") });
        var directories = await _rig.RestoreAsync("one", options: new TreeRestoreOptions { Modes = Modes.Parse("D2700") });
        var modes = await ChildProcess.RunAsync(
            "stat", ["-c", "%a", $"{restored}/d", $"{restored}/d/a", $"{directories}/d", $"{directories}/d/a"]);

        Assert.Equal("750\n640\n2700\n500\n", modes.Stdout);
    }

    [Theory]
    [InlineData("")]
    [InlineData("640")]
    [InlineData("F64")]
    [InlineData("F649")]
    [InlineData("F640,F600")]
    [InlineData("u+x")]
    public void What_names_no_permissions_is_refused(string text)
    {
        var error = Assert.Throws<SalvorException>(() => Modes.Parse(text));

        Assert.Equal($"'--chmod {text}' names no permissions", error.Message);
        Assert.Equal("Write octal permissions of directories and files, as 'D750,F640'.", error.Hint);
    }

    async Task OwnAsync(string name, string owner) =>
        Assert.Equal(0, (await ChildProcess.RunAsync("chown", [owner, _rig.Write(name, name)])).ExitCode);
}
