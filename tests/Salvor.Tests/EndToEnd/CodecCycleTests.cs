using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault.Format;

namespace Salvor.Tests.EndToEnd;

/// <summary>An app writes, Salvor stores with one codec or with several in turn, and what is restored is judged by the ledgers.</summary>
[Trait("Category", "EndToEnd")]
public sealed class CodecCycleTests
{
    [Theory]
    [InlineData("zstd:3", false)]
    [InlineData("lz4", false)]
    [InlineData("lz4", true)]
    [InlineData("gzip:1", false)]
    [InlineData("gzip", true)]
    [InlineData("none", false)]
    public async Task What_is_stored_with_a_codec_is_restored(string compression, bool isEncrypted)
    {
        await using var rig = new ReplicationRig(Options(), writerCount: 2) { IsEncrypted = isEncrypted, Compression = compression };
        await rig.App.StartAsync();
        await LiveAsync(rig);
        await rig.App.StopAsync();

        await ExpectRestorableAsync(rig);
        var codecs = await CodecsAsync(rig);
        Assert.Equal(new[] { Compressions.Of(compression).Codec }.Except([Codec.None]), codecs.Except([Codec.None]));
    }

    [Fact]
    public async Task A_setting_may_change_as_often_as_it_likes()
    {
        await using var rig = new ReplicationRig(Options(), writerCount: 2);
        await rig.App.StartAsync();
        foreach (var compression in (string[])["gzip:9", "none", "lz4", "zstd:1"])
        {
            rig.Compression = compression;
            await LiveAsync(rig);
        }

        await rig.App.StopAsync();
        await ExpectRestorableAsync(rig);
        Assert.Equal(Enum.GetValues<Codec>(), await CodecsAsync(rig));
    }

    static WorkloadOptions Options() => new() { Profile = "mixed", Rate = 100, Checkpoint = "random", Seed = TestSeed.Take() };

    /// <summary>One start, with a snapshot in it that is not the first copy.</summary>
    static async Task LiveAsync(ReplicationRig rig)
    {
        await rig.StartSalvorAsync();
        await rig.SalvorReadyAsync();
        Assert.True(await rig.TrySyncAsync(), rig.LastSync);
        await Task.Delay(TimeSpan.FromSeconds(0.5));
        var backup = await SalvorProcess.RunAsync("backup", rig.Database, "--quiet");
        Assert.True(backup.ExitCode == 0, $"{backup}");
        await rig.StopSalvorAsync();
    }

    static async Task ExpectRestorableAsync(ReplicationRig rig)
    {
        await rig.RestoreLatestAsync();
        await rig.RestoreListedAsync(new Random(TestSeed.Take()), count: 6);
        var verified = await SalvorProcess.RunAsync(["verify", "--from", rig.Vault, "--deep", .. rig.KeyArguments]);
        Assert.True(verified.ExitCode == 0, $"{verified}");
    }

    static Task<IEnumerable<Codec>> CodecsAsync(ReplicationRig rig) => Compressions.FoundAsync(new FileStore(rig.Destination), "app/");
}
