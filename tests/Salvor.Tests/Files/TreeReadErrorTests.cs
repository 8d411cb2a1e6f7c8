using System.Runtime.InteropServices;
using Salvor.Files;
using Salvor.Platform;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Format;
using Salvor.Vault.Trees;

namespace Salvor.Tests.Files;

/// <summary>A file that the system reads a part of, and snapshots in which files have the content of others.</summary>
public sealed partial class TreeReadErrorTests : IDisposable
{
    readonly TreeRig _rig = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task A_long_file_that_cannot_be_read_to_its_end_is_kept_so_far_and_those_after_it_are_whole()
    {
        var content = TreeRig.Bytes(1, 5_000_000);
        _rig.Write("a", "before");
        var path = _rig.Write("b", content);
        _rig.Write("c", "after");
        var result = await BackUpBrokenAsync(path, rereadBytesMax: 1_000_000);
        var options = new TreeRestoreOptions { Flushes = false };
        var restored = await new TreeRestorer(await _rig.SnapshotAsync(), options).RunAsync(_rig["out"], Cancel);
        var kept = await File.ReadAllBytesAsync($"{_rig["out"]}{path}", Cancel);

        Assert.Equal([$"{path}: it is kept up to where it could be read: is a directory"], result.Problems);
        Assert.True(result.IsPartial);
        Assert.Equal([$"{path}: it changed while it was backed up, or could not be read to its end"], restored.Problems);
        Assert.InRange(kept.Length, 1, content.Length - 1);
        Assert.True(content.AsSpan(0, kept.Length).SequenceEqual(kept), "what could be read is not what was in it");
        Assert.Equal("after", await File.ReadAllTextAsync($"{_rig["out"]}{_rig.Source}/c", Cancel));

        var second = await _rig.BackUpAsync();
        Assert.Empty(second.Problems);
        Assert.Equal(1, second.FilesRead);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("second")));
    }

    [Fact]
    public async Task A_short_file_that_cannot_be_read_to_its_end_is_named_and_has_no_content()
    {
        var path = _rig.Write("b", TreeRig.Bytes(1, 5_000_000));
        _rig.Write("c", "after");
        var result = await BackUpBrokenAsync(path, rereadBytesMax: 10_000_000);
        var restored = await _rig.RestoreAsync("out");

        Assert.Equal([$"{path}: is a directory"], result.Problems);
        Assert.Equal(["c"], Directory.GetFiles(restored).Select(Path.GetFileName));
        Assert.Equal("after", await File.ReadAllTextAsync($"{restored}/c", Cancel));
    }

    [Fact]
    public async Task What_lies_too_deep_is_named_and_the_rest_is_kept()
    {
        _rig.Write("a", "a");
        var directory = DirectoryCalls.OpenRoot(_rig.Source);
        var name = Enumerable.Repeat((byte)'d', 255).ToArray();
        for (var depth = 0; depth < 70; depth++)
        {
            DirectoryCalls.MakeDirectory(directory, name);
            var inner = DirectoryCalls.TryOpenDirectory(directory, name, out _)!;
            directory.Dispose();
            directory = inner;
        }

        directory.Dispose();
        var result = await _rig.BackUpAsync();
        var restored = await _rig.RestoreAsync("out");

        Assert.EndsWith("/ddd: its path is longer than 16384 bytes", Assert.Single(result.Problems).Replace(new string('d', 255), "ddd"));
        Assert.Equal(1, result.Totals.Unreadable);
        Assert.Equal("a", await File.ReadAllTextAsync($"{restored}/a", Cancel));
    }

    [Fact]
    public async Task A_snapshot_with_more_content_than_its_files_have_is_refused_and_nothing_of_it_is_written()
    {
        await ForgeAsync();
        var snapshot = await _rig.SnapshotAsync();
        var restored = await Assert.ThrowsAsync<DamagedObjectException>(() => _rig.RestoreAsync("out"));
        using var dumped = new MemoryStream();
        var dump = await Assert.ThrowsAsync<DamagedObjectException>(() => TreeSearch.DumpAsync(snapshot, "/a"u8.ToArray(), dumped, Cancel));

        Assert.Equal("its listing does not fit its content", restored.What);
        Assert.Equal("its listing does not fit its content", dump.What);
        Assert.False(Directory.Exists(_rig["out"]));
        Assert.Equal(0, dumped.Length);
    }

    /// <summary>Backs up while the descriptor that the file is read by becomes one of a directory, which nobody can read from.</summary>
    async Task<TreeBackupResult> BackUpBrokenAsync(string path, long rereadBytesMax)
    {
        using var folder = DirectoryCalls.OpenRoot(_rig.Source);
        var isBroken = false;
        var options = new TreeOptions { Paths = [_rig.Source], RereadBytesMax = rereadBytesMax };
        var backup = new TreeBackup(await _rig.OpenAsync(), options, _rig.Time)
        {
            Progressed = progress =>
            {
                if (!isBroken && progress.Item == path && DescriptorOf(path) is { } descriptor)
                {
                    Assert.Equal(descriptor, Duplicate((int)folder.DangerousGetHandle(), descriptor));
                    isBroken = true;
                }
            },
        };
        var result = await backup.RunAsync(new BackupRequest("", "full", RetentionDays: null), Cancel);
        Assert.True(isBroken);
        return result;
    }

    /// <summary>A file of four bytes that says nothing of the four before them.</summary>
    async Task ForgeAsync()
    {
        var vault = await _rig.OpenAsync();
        var catalog = await VaultCatalog.LoadAsync(vault, Cancel);
        await Forks.BeginAsync(catalog, epoch: 0, _rig.Time, Cancel);
        await using var writer = await TreeSnapshotWriter.BeginAsync(catalog, new HashSet<string>(), Cancel);
        await writer.Content.AddAsync("lost"u8.ToArray(), Cancel);
        await writer.Content.AddAsync("kept"u8.ToArray(), Cancel);
        await writer.AddAsync(new TreeEntry { Kind = TreeEntryKind.File, Name = "a"u8.ToArray(), SizeBytes = 4 }, Cancel);
        var stored = await writer.FinishAsync(new TreeTotals(1, 0, 0, 4, 0, 0), _rig.Time.GetUtcNow(), Cancel);
        await TreeBackups.PutAsync(
            vault, new BackupRequest("", "full", null), stored, sizeBytes: 4, _rig.Time.GetUtcNow(), _rig.Time, Cancel);
    }

    static int? DescriptorOf(string path) => Directory.GetFileSystemEntries("/proc/self/fd")
        .Where(link => new FileInfo(link).LinkTarget == path)
        .Select(link => (int?)int.Parse(Path.GetFileName(link), System.Globalization.CultureInfo.InvariantCulture))
        .FirstOrDefault();

    [LibraryImport("libc", EntryPoint = "dup2")]
    private static partial int Duplicate(int from, int to);
}
