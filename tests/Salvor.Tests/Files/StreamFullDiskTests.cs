using Salvor.Files;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;

namespace Salvor.Tests.Files;

/// <summary>A disk that fills while a stream is restored to it, although there was room at first.</summary>
public sealed class StreamFullDiskTests
{
    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_file_is_named_and_nothing_of_it_is_left()
    {
        using var rig = new TreeRig();
        Directory.CreateDirectory(rig["small"]);
        using var mount = TemporaryMount.OfOneMebibyte(rig["small"]);
        var filling = new FillingStore(rig.Store, rig["small/other"]);
        var backup = new StreamBackup(await rig.OpenAsync(), "dump", rig.Time);
        using var content = new MemoryStream(TreeRig.Bytes(1, 700_000));
        await backup.RunAsync(
            new BackupRequest("", "full", RetentionDays: null),
            async (readToEnd, cancel) =>
            {
                await readToEnd(content, cancel);
                return [];
            },
            Cancel);
        var restorer = new StreamRestorer(await rig.SnapshotAsync(store: filling));
        var error = await Assert.ThrowsAnyAsync<SalvorException>(
            () => restorer.WriteFileAsync(rig["small/dump"], replaces: false, progressed: null, Cancel));

        Assert.Equal(FailureKind.Failure, error.Kind);
        Assert.Equal($"cannot write {rig["small/dump"]}: no space left on device", error.Message);
        Assert.Equal($"Free space: 'df -h {rig["small"]}' shows how much is left.", error.Hint);
        Assert.Equal([rig["small/other"]], Directory.GetFileSystemEntries(rig["small"]));
    }

    /// <summary>Somebody else writes to the disk while a pack is read.</summary>
    sealed class FillingStore(IObjectStore store, string path) : ForwardingStore(store)
    {
        public override Task<ObjectEnd?> ReadEndAsync(string key, int lengthMax, CancellationToken cancellationToken)
        {
            if (key.Contains("/packs/", StringComparison.Ordinal) && !File.Exists(path))
            {
                File.WriteAllBytes(path, new byte[900_000]);
            }

            return base.ReadEndAsync(key, lengthMax, cancellationToken);
        }
    }
}
