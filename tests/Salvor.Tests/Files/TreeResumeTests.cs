using System.Text;
using Salvor.Files;
using Salvor.Storage;
using Salvor.Tests.Support;

namespace Salvor.Tests.Files;

/// <summary>A restore into what an unfinished one left.</summary>
public sealed class TreeResumeTests : IDisposable
{
    readonly TreeRig _rig = new();
    readonly Random _random = new(TestSeed.Take());

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task A_restore_whose_destination_goes_away_leaves_what_the_next_one_goes_on_from()
    {
        WriteMany();
        await _rig.BackUpAsync();
        var (restorer, error) = await BreakAsync(new TreeRestoreOptions { Flushes = false });
        var (before, left) = (BytesBelow(Unfinished), restorer.Unfinished);
        var restored = await RestoreAsync();

        Assert.Equal(FailureKind.DestinationUnreachable, error.Kind);
        Assert.Equal(Unfinished, left);
        Assert.InRange(restored.ReusedBytes, before / 2, before);
        Assert.True(restored.ReusedBytes > 1_000_000, $"{restored}");
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, _rig["out"] + _rig.Source));
        Assert.Equal([_rig["out/" + _rig.Source.Split('/')[1]]], Directory.GetFileSystemEntries(_rig["out"]));
    }

    [Fact]
    public async Task Of_a_large_file_the_chunks_that_are_there_are_not_fetched_again()
    {
        _rig.Write("large", TreeRig.Bytes(1, 40 << 20));
        _rig.Write("last", "x");
        await _rig.BackUpAsync();
        await LeaveAsync();
        var path = Unfinished + _rig.Source + "/large";
        using (var file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite))
        {
            RandomAccess.Write(file, new byte[100], 20 << 20);
            RandomAccess.SetLength(file, 30 << 20);
        }

        var restored = await RestoreAsync();

        Assert.InRange(restored.ReusedBytes, 29 << 20, 30 << 20);
        Assert.InRange(restored.FetchedBytes, 10 << 20, 24 << 20);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, _rig["out"] + _rig.Source));
    }

    [Fact]
    public async Task Whatever_was_left_there_the_restore_is_the_backup()
    {
        WriteMany();
        _rig.Write("sparse", TreeRig.Bytes(2, 300_000));
        await ChildProcess.RunAsync("truncate", ["-s", "9000000", Path.Combine(_rig.Source, "sparse")]);
        await ChildProcess.RunAsync("ln", [Path.Combine(_rig.Source, "1/1"), Path.Combine(_rig.Source, "2/second")]);
        await ChildProcess.RunAsync("setfattr", ["-n", "user.kept", "-v", "1", Path.Combine(_rig.Source, "3/3")]);
        File.CreateSymbolicLink(Path.Combine(_rig.Source, "link"), "1/1");
        await _rig.BackUpAsync();
        await LeaveAsync();
        Damage(Unfinished + _rig.Source);
        var restored = await RestoreAsync();

        Assert.True(restored.ReusedBytes > 0, "nothing was made use of");
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, _rig["out"] + _rig.Source));
    }

    [Fact]
    public async Task What_another_backup_left_is_made_use_of_and_nothing_of_it_stays()
    {
        var shared = TreeRig.Bytes(3, 3_000_000);
        _rig.Write("a", shared);
        _rig.Write("b", shared);
        _rig.Write("gone/c", "c");
        await _rig.BackUpAsync();
        await LeaveAsync();
        await ChildProcess.RunAsync("ln", ["-f", $"{Unfinished}{_rig.Source}/a", $"{Unfinished}{_rig.Source}/b"]);
        Directory.Delete(Path.Combine(_rig.Source, "gone"), recursive: true);
        _rig.Write("b", TreeRig.Bytes(4, 3_000_000));
        _rig.Write("gone", "a file now");
        await _rig.BackUpAsync();
        var restored = await RestoreAsync();

        Assert.InRange(restored.ReusedBytes, 3_000_000, 3_100_000);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, _rig["out"] + _rig.Source));
    }

    [Fact]
    public async Task What_somebody_else_may_have_put_there_is_not_made_use_of()
    {
        _rig.Write("a", TreeRig.Bytes(5, 2_000_000));
        await _rig.BackUpAsync();
        await LeaveAsync();
        File.SetUnixFileMode(Unfinished, (UnixFileMode)0b111_111_000);
        var restored = await RestoreAsync();

        Assert.Equal(0, restored.ReusedBytes);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, _rig["out"] + _rig.Source));
    }

    string Unfinished => _rig["out/.salvor-restoring"];

    void WriteMany()
    {
        for (var i = 0; i < 300; i++)
        {
            _rig.Write($"{i % 7}/{i}", TreeRig.Bytes(i, 1 + (i * 1201 % 200_000)));
        }
    }

    async Task<RestoredTree> RestoreAsync() =>
        await new TreeRestorer(await _rig.SnapshotAsync(), new TreeRestoreOptions { Flushes = false }).RunAsync(_rig["out"], Cancel);

    /// <summary>A whole restore that was killed before it was shown.</summary>
    async Task LeaveAsync()
    {
        await RestoreAsync();
        Directory.CreateDirectory(_rig["left"]);
        Directory.Move(_rig["out"], _rig["left/.salvor-restoring"]);
        File.SetUnixFileMode(_rig["left/.salvor-restoring"], (UnixFileMode)0b111_000_000);
        Directory.Move(_rig["left"], _rig["out"]);
    }

    async Task<(TreeRestorer Restorer, SalvorException Error)> BreakAsync(TreeRestoreOptions options)
    {
        var store = new BreakingStore(_rig.Store);
        var restorer = new TreeRestorer(await _rig.SnapshotAsync(store: store), options with
        {
            Progressed = progress => store.IsBroken |= progress.Done > 4_000_000,
        });
        return (restorer, await Assert.ThrowsAnyAsync<SalvorException>(() => restorer.RunAsync(_rig["out"], Cancel)));
    }

    void Damage(string tree)
    {
        var files = Directory.GetFiles(tree, "*", SearchOption.AllDirectories);
        foreach (var path in files.Where(path => new FileInfo(path).LinkTarget is null))
        {
            switch (_random.Next(6))
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
                    File.WriteAllBytes(path, Encoding.UTF8.GetBytes("other"));
                    File.WriteAllText(path + "-new", "new");
                    break;
                default:
                    break;
            }
        }
    }

    static long BytesBelow(string folder) =>
        new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);

    /// <summary>A store that is out of reach from some moment on.</summary>
    sealed class BreakingStore(IObjectStore inner) : ForwardingStore(inner)
    {
        public volatile bool IsBroken;

        public override Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken) => IsBroken
            ? throw new SalvorException(FailureKind.DestinationUnreachable, "it is away", "Bring it back.")
            : base.ReadAsync(key, offset, buffer, cancellationToken);
    }
}
