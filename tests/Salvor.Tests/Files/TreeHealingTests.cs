using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Compaction;
using Salvor.Vault.Pruning;
using Salvor.Vault.Verify;

namespace Salvor.Tests.Files;

/// <summary>What a backup does about packs that are not as they were.</summary>
public sealed class TreeHealingTests : IDisposable
{
    readonly TreeRig _rig = new();
    readonly TemporaryDirectory folder = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public void Dispose()
    {
        _rig.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData("gone")]
    [InlineData("cut")]
    [InlineData("changed")]
    public async Task A_backup_after_a_verification_stores_again_what_it_found_damaged(string damage)
    {
        for (var i = 0; i < 40; i++)
        {
            _rig.Write($"f{i:d2}", TreeRig.Bytes(i, 20_000));
        }

        var config = folder["salvor.yaml"];
        File.WriteAllText(
            config,
            $$"""
            destinations: { local: { type: file, path: ./vaults } }
            sources: { tree: { type: files, paths: [{{_rig.Source}}], to: [local] } }

            """);
        Directory.CreateDirectory(folder["vaults"]);
        await SalvorAsync(0, "backup");
        foreach (var pack in Directory.GetFiles(folder["vaults/tree/packs"], "*", SearchOption.AllDirectories))
        {
            Damage(pack, damage);
        }

        var verified = await SalvorAsync(5, "verify", "--json");
        await SalvorAsync(0, "backup");
        await SalvorAsync(0, "restore", "--output", folder["out"]);

        Assert.Contains("stores again what the source has of it still", verified.Stdout, StringComparison.Ordinal);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, folder["out"] + _rig.Source));

        async Task<ProcessResult> SalvorAsync(int expected, string verb, params string[] arguments)
        {
            var result = await SalvorHere.RunAsync([verb, "tree", "--config", config, .. arguments]);
            Assert.True(result.ExitCode == expected, $"{verb}: {result}");
            return result;
        }
    }

    [Fact]
    public async Task Files_that_did_not_change_are_read_again_where_their_chunks_are_damaged()
    {
        var store = new FileStore(folder.Path);
        _rig.Write("a", TreeRig.Bytes(1, 200_000));
        await _rig.BackUpAsync(store: store);
        var packs = Directory.GetFiles(folder["tree/packs"]);
        foreach (var pack in packs)
        {
            Damage(pack, "changed");
        }

        var report = await new VaultVerifier(await _rig.OpenAsync(store), new VerifyOptions()).RunAsync(Cancel);
        var second = await _rig.BackUpAsync(store: store, damaged: [.. report.Findings.Select(finding => finding.Key)]);
        var third = await _rig.BackUpAsync(store: store);

        Assert.Equal((1, 0), (second.FilesRead, third.FilesRead));
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("out", store: store)));
    }

    [Fact]
    public async Task A_pack_that_is_gone_is_missed_without_a_verification()
    {
        var store = new FileStore(folder.Path);
        _rig.Write("a", TreeRig.Bytes(1, 200_000));
        await _rig.BackUpAsync(store: store);
        File.Delete(Directory.GetFiles(folder["tree/packs"]).MaxBy(pack => new FileInfo(pack).Length)!);
        var second = await _rig.BackUpAsync(store: store);

        Assert.Equal(1, second.FilesRead);
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("out", store: store)));
    }

    [Fact]
    public async Task What_a_prune_moved_is_found_where_it_is_and_not_read_again()
    {
        var store = new FileStore(folder.Path);
        for (var i = 0; i < 3; i++)
        {
            _rig.Write("large", TreeRig.Bytes(100 + i, 3_000_000));
            _rig.Write($"small{i}", TreeRig.Bytes(i, 20_000));
            await _rig.BackUpAsync(store: store);
        }

        var policy = new PrunePolicy(Ladder.Default) { Backups = new BackupRules { Last = 1 } };
        _rig.Time.Advance(TimeSpan.FromDays(3));
        var pruner = new Pruner(await _rig.OpenAsync(store), _rig.Time);
        await pruner.CondemnAsync(policy, proven: null, Pruner.GraceMin, Cancel);
        var before = await _rig.BackUpAsync(store: store);
        _rig.Time.Advance(TimeSpan.FromDays(3));
        await new Pruner(await _rig.OpenAsync(store), _rig.Time).DeleteAsync(dryRun: false, Cancel);
        var after = await _rig.BackUpAsync(store: store);

        Assert.Equal((0, 0), (before.FilesRead, after.FilesRead));
        Assert.True(before.Record.AddedBytes < 100_000, $"{before.Record.AddedBytes} bytes were added");
        Assert.Equal("", await TreeRig.DifferenceAsync(_rig.Source, await _rig.RestoreAsync("out", store: store)));
    }

    [Fact]
    public async Task A_restore_fetches_about_as_much_as_is_stored()
    {
        // Digits: what is in one pack is more than is read at once.
        _rig.Write("digits", Convert.ToHexString(TreeRig.Bytes(9, 20_000_000)));
        await _rig.BackUpAsync();
        var counting = new CountingStore(_rig.Store);
        await _rig.RestoreAsync("out", store: counting);

        Assert.InRange(counting.ReadBytes, 20_000_000, 24_000_000);
    }

    static void Damage(string pack, string damage)
    {
        var bytes = File.ReadAllBytes(pack);
        File.Delete(pack);
        if (damage != "gone")
        {
            bytes[bytes.Length / 3] ^= 1;
            File.WriteAllBytes(pack, damage == "cut" ? bytes[..(bytes.Length / 2)] : bytes);
        }
    }

    sealed class CountingStore(IObjectStore inner) : ForwardingStore(inner)
    {
        long readBytes;

        public long ReadBytes => Interlocked.Read(ref readBytes);

        public override async Task<int> ReadAsync(string key, long offset, Memory<byte> buffer, CancellationToken cancellationToken)
        {
            var count = await base.ReadAsync(key, offset, buffer, cancellationToken);
            Interlocked.Add(ref readBytes, count);
            return count;
        }
    }
}
