using System.Text;
using Salvor.Files;
using Salvor.Platform;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Trees;

namespace Salvor.Tests.Files;

public sealed class TreeBackupTests : IDisposable
{
    readonly TreeRig _rig = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task Everything_that_a_file_system_can_hold_comes_back_as_it_was()
    {
        var made = await Tool.RunAsync("make_tree.py", _rig.Source);
        Assert.True(made.ExitCode == 0, $"{made}");
        using (var names = DirectoryCalls.OpenRoot(_rig.Source))
        {
            Assert.Contains(DirectoryCalls.List(names, ""), name => !IsText(name));
        }

        var result = await _rig.BackUpAsync();
        var first = await _rig.RestoreAsync("first");
        await _rig.BackUpAsync();
        var second = await _rig.RestoreAsync("second");

        Assert.Empty(result.Problems);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, first));
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, second));
        Assert.True(BlocksOf(Path.Combine(first, "sparse")) <= BlocksOf(Path.Combine(_rig.Source, "sparse")), "holes were filled");
        Assert.Equal([".salvor-restoring"], [".salvor-restoring", .. Directory.GetFileSystemEntries(_rig["first"], ".salvor*")]);
    }

    [Fact]
    public async Task What_did_not_change_is_not_read_again_and_takes_no_room()
    {
        for (var i = 0; i < 500; i++)
        {
            _rig.Write($"d{i % 7}/f{i}", $"content of {i}");
        }

        _rig.Write("large", TreeRig.Bytes(1, 5_000_000));
        var first = await _rig.BackUpAsync();
        var second = await _rig.BackUpAsync();

        Assert.Equal(501, first.FilesRead);
        Assert.Equal(0, second.FilesRead);
        // Of the directories above it one may have changed: all tests work in it.
        Assert.True(second.Record.AddedBytes < 20_000, $"{second.Record.AddedBytes} bytes were added");
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("out")));
    }

    [Fact]
    public async Task A_small_change_takes_little_room_wherever_it_is()
    {
        var content = TreeRig.Bytes(2, 6_000_000);
        _rig.Write("large", content);
        for (var i = 0; i < 1500; i++)
        {
            _rig.Write($"f{i:d4}", $"content of {i}");
        }

        await _rig.BackUpAsync();
        _rig.Write("large", [.. content.AsSpan(0, 2_000_000), .. "inserted"u8, .. content.AsSpan(2_000_000)]);
        _rig.Write("a-new-first-file", "new");
        var second = await _rig.BackUpAsync();

        Assert.Equal(2, second.FilesRead);
        Assert.True(second.Record.AddedBytes < 250_000, $"{second.Record.AddedBytes} bytes were added");
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("out")));
    }

    [Fact]
    public async Task Each_backup_stays_what_it_was()
    {
        _rig.Write("a", "one");
        await _rig.BackUpAsync(label: "before");
        _rig.Write("a", "another");
        Directory.CreateDirectory(Path.Combine(_rig.Source, "b"));
        await _rig.BackUpAsync();
        File.Delete(Path.Combine(_rig.Source, "a"));
        _rig.Write("b/c", "third");
        await _rig.BackUpAsync();

        Assert.Equal("one", File.ReadAllText(Path.Combine(await _rig.RestoreAsync("1", "before"), "a")));
        Assert.Equal("another", File.ReadAllText(Path.Combine(await _rig.RestoreAsync("2", "2"), "a")));
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("3", "latest")));
    }

    [Fact]
    public async Task A_file_that_changes_while_it_is_read_is_read_again()
    {
        var path = _rig.Write("growing", TreeRig.Bytes(3, 20_000_000));
        var isTouched = false;
        var store = new FaultyStore(_rig.Store, call =>
        {
            if (call.Operation == StoreOperation.Put && call.Key.Contains("/packs/", StringComparison.Ordinal) && !isTouched)
            {
                isTouched = true;
                using var file = File.OpenWrite(path);
                file.Write("changed"u8);
            }

            return Fault.None;
        });
        var result = await _rig.BackUpAsync(store: store);

        Assert.True(isTouched);
        Assert.Empty(result.Problems);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("out")));
    }

    [Fact]
    public async Task A_file_that_never_stops_changing_is_kept_and_named()
    {
        // So long that a busy machine lets the writer write while it is read.
        const int Length = 24_000_000;
        var path = _rig.Write("busy", TreeRig.Bytes(3, Length));
        using var stopped = new CancellationTokenSource();
        var begun = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var writing = Task.Run(() =>
        {
            using var file = File.OpenWrite(path);
            for (byte value = 0; !stopped.IsCancellationRequested; value++)
            {
                RandomAccess.Write(file.SafeFileHandle, [value], value);
                begun.TrySetResult();
            }
        });
        await begun.Task;
        var result = await _rig.BackUpAsync();
        await stopped.CancelAsync();
        await writing;
        var again = await _rig.BackUpAsync();

        Assert.Equal([$"{path}: it changed while it was read"], result.Problems);
        Assert.True(result.IsPartial);
        Assert.Equal(Length, new FileInfo(Path.Combine(await _rig.RestoreAsync("1", "1"), "busy")).Length);
        Assert.Equal(1, again.FilesRead);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("2")));
    }

    [Fact]
    public async Task A_file_whose_time_is_that_of_the_backup_is_read_by_the_next_one()
    {
        _rig.Write("young", "first");
        _rig.Time.Advance(TimeSpan.FromHours(-1) - TimeSpan.FromMinutes(1));
        await _rig.BackUpAsync();
        var second = await _rig.BackUpAsync();
        var third = await _rig.BackUpAsync();

        Assert.Equal(1, second.FilesRead);
        Assert.Equal(0, third.FilesRead);
    }

    [Fact]
    public async Task A_path_that_is_not_there_makes_no_backup()
    {
        var missing = _rig["not-mounted"];
        var error = await Assert.ThrowsAnyAsync<SalvorException>(
            () => _rig.BackUpAsync(options => options with { Paths = [_rig.Source, missing] }));

        Assert.Equal(FailureKind.SourceUnreadable, error.Kind);
        Assert.Equal($"cannot open {missing}: no such file or directory", error.Message);
        Assert.Empty((await VaultCatalog.LoadAsync(await _rig.OpenAsync(), Cancel)).Backups);
    }

    [Fact]
    public async Task What_is_excluded_is_not_there_and_what_is_named_is()
    {
        string[] names = ["keep/a.txt", "keep/b.tmp", "cache/x", "build/CACHEDIR.TAG", "build/out", "skip/.nobackup", "skip/y"];
        foreach (var name in names)
        {
            _rig.Write(name, name == "build/CACHEDIR.TAG" ? "Signature: 8a477f597d28d172789f06886806bc55\n" : name);
        }

        await _rig.BackUpAsync(options => options with
        {
            Exclude = PathPatterns.Parse(["*.tmp", $"{_rig.Source}/cache/"]), ExcludeCaches = true, ExcludeIfPresent = [".nobackup"],
        });
        var restored = await _rig.RestoreAsync("out");

        Assert.Equal(
            ["build", "keep", "keep/a.txt", "skip"],
            Directory.GetFileSystemEntries(restored, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(restored, path))
                .Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Several_paths_keep_their_places_and_a_path_in_another_is_kept_once()
    {
        _rig.Write("one/a", "a");
        _rig.Write("two/b", "b");
        _rig.Write("three/c", "c");
        await _rig.BackUpAsync(options => options with
        {
            Paths = [$"{_rig.Source}/two", $"{_rig.Source}/one/a", $"{_rig.Source}/one", $"{_rig.Source}/one"],
        });
        var restored = await _rig.RestoreAsync("out");

        Assert.Equal(
            ["one", "one/a", "two", "two/b"],
            Directory.GetFileSystemEntries(restored, "*", SearchOption.AllDirectories).Select(path => Path.GetRelativePath(restored, path))
                .Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_destination_inside_of_the_source_does_not_keep_itself()
    {
        _rig.Write("a", "a");
        var place = Path.Combine(_rig.Source, "vaults");
        Directory.CreateDirectory(place);
        var store = new FileStore(place);
        await _rig.BackUpAsync(options => options with { Never = [place] }, store);

        var restored = await _rig.RestoreAsync("out", store: store);

        Assert.Equal(["a", "vaults"], Directory.GetFileSystemEntries(restored).Select(Path.GetFileName).Order());
        Assert.Empty(Directory.GetFileSystemEntries($"{restored}/vaults"));
    }

    [Fact]
    public async Task Whatever_call_fails_nothing_half_made_is_offered_and_the_next_run_is_whole()
    {
        _rig.Write("a/b", "content");
        _rig.Write("c", TreeRig.Bytes(4, 100_000));
        var number = 0;
        await EveryFault.TryAsync(
            () => new MemoryStore(),
            store => _rig.BackUpAsync(store: store),
            async store =>
            {
                var vault = await _rig.OpenAsync(store);
                var catalog = await VaultCatalog.LoadAsync(vault, Cancel);
                foreach (var id in catalog.Backups)
                {
                    var restored = await _rig.RestoreAsync($"out{number++}", $"{id}", store: store);
                    Assert.Equal("content", File.ReadAllText(Path.Combine(restored, "a/b")));
                }

                Assert.NotEmpty(catalog.Backups);
            });
    }

    static bool IsText(byte[] name) => Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(name)).AsSpan().SequenceEqual(name);

    static long BlocksOf(string path)
    {
        using var file = File.OpenHandle(path);
        return EntryStat.Of(file, path).BlockCount;
    }
}
