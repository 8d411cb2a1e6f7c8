using Salvor.Files;
using Salvor.Tests.Support;

namespace Salvor.Tests.Files;

/// <summary>A restore over what is in a directory, and what it removes there.</summary>
public sealed class TreeOverTests : IDisposable
{
    static readonly TreeRestoreOptions Over = new() { IsOver = true };
    static readonly TreeRestoreOptions Delete = new() { Deletes = true };

    readonly TreeRig _rig = new();
    readonly Random _random = new(TestSeed.Take());

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    string Target => _rig["out"] + _rig.Source;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task What_is_the_same_stays_where_it_is_and_the_rest_takes_the_place_of_what_is_there()
    {
        Fill();
        await _rig.BackUpAsync();
        await RestoreAsync(new TreeRestoreOptions());
        var inode = await InodeAsync("3/3");
        File.WriteAllBytes($"{Target}/2/2", TreeRig.Bytes(99, 30_000));
        File.SetUnixFileMode($"{Target}/3/3", (UnixFileMode)0b111_000_000);
        await ChildProcess.RunAsync("setfattr", ["-n", "user.strange", "-v", "1", $"{Target}/3/3"]);
        File.WriteAllText($"{Target}/3/mine", "mine");
        Directory.Delete($"{Target}/4", recursive: true);
        var restored = await RestoreAsync(Over);

        Assert.Equal(inode, await InodeAsync("3/3"));
        Assert.Equal("mine", File.ReadAllText($"{Target}/3/mine"));
        File.Delete($"{Target}/3/mine");
        Assert.InRange(restored.ReusedBytes, restored.Bytes / 2, restored.Bytes - 1);
        Assert.Equal(0, restored.RemovedCount);
        Assert.Empty(Directory.GetFileSystemEntries(_rig["out"], ".salvor*"));
        await ChildProcess.RunAsync("touch", ["-r", Path.Combine(_rig.Source, "3"), $"{Target}/3"]);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, Target));
    }

    [Fact]
    public async Task Whatever_is_there_it_is_the_backup_afterwards_and_beside_it_nothing_changed()
    {
        Fill();
        await ChildProcess.RunAsync("ln", [Path.Combine(_rig.Source, "1/1"), Path.Combine(_rig.Source, "2/second")]);
        await ChildProcess.RunAsync("ln", [Path.Combine(_rig.Source, "1/1"), Path.Combine(_rig.Source, "5/third")]);
        File.CreateSymbolicLink(Path.Combine(_rig.Source, "link"), "1/1");
        await ChildProcess.RunAsync("truncate", ["-s", "900000", Path.Combine(_rig.Source, "6/6")]);
        await _rig.BackUpAsync();
        await RestoreAsync(new TreeRestoreOptions());
        var beside = Path.GetDirectoryName(Target) + "/beside";
        File.WriteAllText(beside, "stays");
        Directory.CreateDirectory(_rig["outside"]);
        File.WriteAllText(_rig["outside/x"], "stays");
        Scramble();
        var plan = await new TreeRestorer(await _rig.SnapshotAsync(), Delete).PlanAsync(_rig["out"], Cancel);
        var restored = await RestoreAsync(Delete);

        Assert.Equal(plan.Removed, restored.Removed);
        Assert.True(restored.RemovedCount > 0 && restored.ReusedBytes > 0, $"{restored}");
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, Target));
        Assert.Equal(("stays", "stays"), (File.ReadAllText(beside), File.ReadAllText(_rig["outside/x"])));
    }

    [Fact]
    public async Task Only_what_would_be_restored_is_removed()
    {
        _rig.Write("img/a.jpg", "a");
        _rig.Write("b.txt", "b");
        _rig.Write("cache/.nobackup", "");
        await _rig.BackUpAsync(options => options with { ExcludeIfPresent = [".nobackup"] });
        await RestoreAsync(new TreeRestoreOptions());
        string[] added = ["img/old.jpg", "img/new/deep.jpg", "img/new/deep.log", "b.old", "cache/kept", "left.tmp", "never/vault/x"];
        foreach (var name in added)
        {
            Directory.CreateDirectory(Path.GetDirectoryName($"{Target}/{name}")!);
            File.WriteAllText($"{Target}/{name}", "x");
        }

        var filtered = Delete with { Include = PathPatterns.Parse(["img"]), Exclude = PathPatterns.Parse(["*.log"]) };
        var first = await RestoreAsync(filtered);
        var second = await RestoreAsync(Delete with { Kept = PathPatterns.Parse(["*.tmp"]), Never = [$"{Target}/never/vault"] });

        Assert.Equal([$"{_rig.Source}/img/new/deep.jpg", $"{_rig.Source}/img/old.jpg"], first.Removed);
        Assert.Equal([$"{_rig.Source}/b.old", $"{_rig.Source}/img/new/deep.log", $"{_rig.Source}/img/new/"], second.Removed);
        Assert.True(File.Exists($"{Target}/cache/kept") && File.Exists($"{Target}/left.tmp") && File.Exists($"{Target}/never/vault/x"));
    }

    [Fact]
    public async Task What_is_of_another_kind_is_refused_before_anything_changed_and_removed_where_that_is_asked_for()
    {
        _rig.Write("a/x", "x");
        _rig.Write("b", "b");
        _rig.Write("c", "c");
        await _rig.BackUpAsync();
        Directory.CreateDirectory(Target + "/b/full");
        Directory.CreateDirectory(_rig["outside"]);
        File.WriteAllText(_rig["outside/x"], "stays");
        File.CreateSymbolicLink($"{Target}/a", _rig["outside"]);
        File.WriteAllText($"{Target}/c", "old");
        var error = await Assert.ThrowsAsync<SalvorException>(() => RestoreAsync(Over));

        Assert.Equal($"{_rig.Source}/a is a directory in the backup, and something else there", error.Message);
        Assert.Equal("old", File.ReadAllText($"{Target}/c"));
        await RestoreAsync(Delete);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, Target));
        Assert.Equal("stays", File.ReadAllText(_rig["outside/x"]));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task What_is_in_the_way_is_found_before_anything_is_fetched_or_made(bool isDirectory)
    {
        _rig.Write("a", TreeRig.Bytes(1, 100_000));
        _rig.Write("d/x", "x");
        var way = isDirectory ? "z" : "d";
        _rig.Write("z", "z");
        await _rig.BackUpAsync();
        Directory.CreateDirectory(Target);
        if (isDirectory)
        {
            Directory.CreateDirectory($"{Target}/{way}");
        }
        else
        {
            File.WriteAllText($"{Target}/{way}", "mine");
        }

        var phases = new HashSet<string>();
        var restorer = new TreeRestorer(
            await _rig.SnapshotAsync(), Over with { Progressed = progress => { lock (phases) { phases.Add(progress.Phase); } } });
        var error = await Assert.ThrowsAsync<SalvorException>(() => restorer.RunAsync(_rig["out"], Cancel));
        var planned = await Assert.ThrowsAsync<SalvorException>(() => restorer.PlanAsync(_rig["out"], Cancel));

        Assert.StartsWith($"{_rig.Source}/{way} is a directory ", error.Message, StringComparison.Ordinal);
        Assert.Equal(error.Message, planned.Message);
        Assert.Equal(["comparing with what is there"], phases);
        Assert.Equal([way], Directory.GetFileSystemEntries(Target).Select(Path.GetFileName));
        Assert.Null(restorer.Unfinished);
        Assert.Empty(Directory.GetFileSystemEntries(_rig["out"], ".salvor*"));
    }

    [Fact]
    public async Task What_is_left_out_is_in_nobodys_way()
    {
        _rig.Write("a", "a");
        _rig.Write("d/x", "x");
        await _rig.BackUpAsync();
        Directory.CreateDirectory(Target);
        File.WriteAllText($"{Target}/d", "mine");
        await RestoreAsync(Over with { Exclude = PathPatterns.Parse(["d"]) });

        Assert.Equal(("a", "mine"), (File.ReadAllText($"{Target}/a"), File.ReadAllText($"{Target}/d")));
    }

    [Fact]
    public async Task A_directory_that_became_a_link_before_things_are_moved_there_leads_nowhere()
    {
        Fill();
        await _rig.BackUpAsync();
        await RestoreAsync(new TreeRestoreOptions());
        File.Delete($"{Target}/3/10");
        Directory.CreateDirectory(_rig["outside"]);
        await Task.Delay(20, Cancel);
        var error = await Assert.ThrowsAnyAsync<SalvorException>(() => RestoreAsync(AtTheEnd(() =>
        {
            Directory.Delete($"{Target}/3", recursive: true);
            File.CreateSymbolicLink($"{Target}/3", _rig["outside"]);
        })));

        Assert.Empty(Directory.GetFileSystemEntries(_rig["outside"]));
        Assert.Equal($"cannot open {_rig.Source}/3: not a directory", error.Message);
    }

    [Fact]
    public async Task A_way_that_is_a_link_there_is_not_followed()
    {
        _rig.Write("a", "a");
        await _rig.BackUpAsync();
        var top = Path.Combine(_rig["out"], _rig.Source.Split('/')[1]);
        Directory.CreateDirectory(_rig["outside"]);
        Directory.CreateDirectory(_rig["out"]);
        File.CreateSymbolicLink(top, _rig["outside"]);
        var error = await Assert.ThrowsAsync<SalvorException>(() => RestoreAsync(Delete));

        Assert.EndsWith(" is a directory in the backup, and something else there", error.Message, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFileSystemEntries(_rig["outside"]));
        Assert.True(new FileInfo(top).LinkTarget is not null);
    }

    [Fact]
    public async Task A_directory_with_nothing_in_common_is_refused_unless_that_is_asked_for()
    {
        _rig.Write("a", "a");
        await _rig.BackUpAsync();
        Directory.CreateDirectory(Target);
        File.WriteAllText($"{Target}/other", "other");
        var error = await Assert.ThrowsAsync<SalvorException>(() => RestoreAsync(Delete));
        var root = await Assert.ThrowsAsync<SalvorException>(
            async () => await new TreeRestorer(await _rig.SnapshotAsync(), Delete).PlanAsync("/", Cancel));

        Assert.Equal($"nothing in {_rig["out"]} is in this backup, and '--delete' would remove 1 name(s) of it", error.Message);
        Assert.Equal("'--delete' in / removes from the running system", root.Message);
        Assert.True(File.Exists($"{Target}/other"));
        var restored = await RestoreAsync(Delete with { IsOver = true });
        Assert.Equal([$"{_rig.Source}/other"], restored.Removed);
    }

    [Fact]
    public async Task What_is_the_same_is_not_touched()
    {
        Fill();
        await _rig.BackUpAsync();
        await RestoreAsync(new TreeRestoreOptions());
        await Task.Delay(20, Cancel);
        var before = await ChangedAsync();
        await RestoreAsync(Over);

        Assert.Equal(before, await ChangedAsync());
    }

    [Fact]
    public async Task What_changed_after_it_proved_to_be_the_same_ends_the_restore_and_the_next_one_replaces_it()
    {
        Fill();
        await _rig.BackUpAsync();
        await RestoreAsync(new TreeRestoreOptions());
        await Task.Delay(20, Cancel);
        var error = await Assert.ThrowsAsync<SalvorException>(() => RestoreAsync(AtTheEnd(() =>
        {
            using var file = File.OpenHandle($"{Target}/3/3", FileMode.Open, FileAccess.Write);
            RandomAccess.Write(file, new byte[10], 0);
        })));

        Assert.Equal($"{_rig.Source}/3/3 changed while it was restored", error.Message);
        await RestoreAsync(Over);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, Target));
    }

    [Fact]
    public async Task A_directory_that_vanished_with_what_proved_to_be_the_same_is_not_taken_for_restored()
    {
        Fill();
        await _rig.BackUpAsync();
        await RestoreAsync(new TreeRestoreOptions());
        await Task.Delay(20, Cancel);
        var error = await Assert.ThrowsAsync<SalvorException>(
            () => RestoreAsync(AtTheEnd(() => Directory.Delete($"{Target}/3", recursive: true))));

        Assert.Equal($"{_rig.Source}/3 changed while it was restored", error.Message);
        await RestoreAsync(Over);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, Target));
    }

    [Fact]
    public async Task A_file_that_somebody_else_may_write_to_does_not_stay()
    {
        Assert.SkipUnless(Environment.UserName == "root", "only root gives files away");
        Fill();
        await _rig.BackUpAsync();
        await RestoreAsync(new TreeRestoreOptions());
        await ChildProcess.RunAsync("chown", ["65534", $"{Target}/3/3"]);
        await Task.Delay(20, Cancel);
        var inode = await InodeAsync("3/3");
        await RestoreAsync(Over);

        Assert.NotEqual(inode, await InodeAsync("3/3"));
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, Target));
    }

    [Fact]
    public async Task What_is_made_is_its_owners_alone_whatever_the_target_hands_down()
    {
        _rig.Write("a", "a");
        await _rig.BackUpAsync();
        Directory.CreateDirectory(_rig["out"]);
        await ChildProcess.RunAsync("chmod", ["2775", _rig["out"]]);

        // A default list: the owner and user 65534 may do all, the group and others nothing.
        await ChildProcess.RunAsync(
            "setfattr",
            [
                "-n", "system.posix_acl_default", "-v",
                "0x02000000" + "01000700ffffffff" + "02000700feff0000" + "04000000ffffffff" + "10000700ffffffff" + "20000000ffffffff",
                _rig["out"],
            ]);
        UnixFileMode? mode = null;
        await RestoreAsync(new TreeRestoreOptions
        {
            Progressed = _ => mode ??= File.GetUnixFileMode(_rig["out/.salvor-restoring"]),
        });

        Assert.Equal((UnixFileMode)0b111_000_000, mode);
    }

    static TreeRestoreOptions AtTheEnd(Action act) => Over with
    {
        Progressed = progress =>
        {
            if (progress.Phase == "moving into place")
            {
                act();
            }
        },
    };

    async Task<string> ChangedAsync() => (await ChildProcess.RunAsync("find", [Target, "-type", "f", "-printf", "%p %C@\n"])).Stdout;

    [Fact]
    public async Task The_log_of_a_database_that_is_replaced_is_not_played_into_the_other_one()
    {
        await ChildProcess.RunAsync("sqlite3", [Path.Combine(_rig.Source, "app.db"), "CREATE TABLE a(b)"]);
        await _rig.BackUpAsync();
        await RestoreAsync(new TreeRestoreOptions());
        File.WriteAllText($"{Target}/app.db-wal", "of another time");
        File.WriteAllText($"{Target}/app.db-note", "stays");
        await RestoreAsync(Over);

        Assert.False(File.Exists($"{Target}/app.db-wal"));
        Assert.True(File.Exists($"{Target}/app.db-note"));
    }

    async Task<RestoredTree> RestoreAsync(TreeRestoreOptions options) =>
        await new TreeRestorer(await _rig.SnapshotAsync(), options with { Flushes = false }).RunAsync(_rig["out"], Cancel);

    async Task<string> InodeAsync(string name) => (await ChildProcess.RunAsync("stat", ["-c", "%i", $"{Target}/{name}"])).Stdout;

    void Fill()
    {
        for (var i = 0; i < 80; i++)
        {
            _rig.Write($"{i % 7}/{i}", TreeRig.Bytes(i, 1 + (i * 701 % 60_000)));
        }
    }

    void Scramble()
    {
        foreach (var path in Directory.GetFiles(Target, "*", SearchOption.AllDirectories))
        {
            switch (_random.Next(7))
            {
                case 0:
                    File.Delete(path);
                    break;
                case 1:
                    File.AppendAllText(path, "more");
                    break;
                case 2:
                    File.Delete(path);
                    Directory.CreateDirectory(path + "/x");
                    break;
                case 3:
                    File.Delete(path);
                    File.CreateSymbolicLink(path, _rig["outside"]);
                    File.CreateSymbolicLink(path + "-new", _rig["outside"]);
                    break;
                case 4:
                    File.WriteAllText(path + "-new", "new");
                    break;
                default:
                    break;
            }
        }

        Directory.Delete($"{Target}/0", recursive: true);
        File.CreateSymbolicLink($"{Target}/0", _rig["outside"]);
        Directory.CreateDirectory($"{Target}/whole/new");
    }
}
