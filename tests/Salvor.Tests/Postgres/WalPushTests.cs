using Salvor.Postgres;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Wal;
using Salvor.Vault;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>Files of a real server into a vault and back.</summary>
public sealed class WalPushTests(RealLog real) : IClassFixture<RealLog>
{
    static readonly byte[] History = "1\t0/500000\tno recovery target specified\n"u8.ToArray();

    readonly SteppedTime time = new();
    readonly MemoryStore store = new();
    readonly List<SalvorException> failures = [];

    [Fact]
    public async Task Segments_come_back_to_the_byte_and_are_stored_again_without_harm()
    {
        using var scratch = new ScratchDirectory();
        var vault = await VaultAsync();
        foreach (var segment in real.Segments.SkipLast(1).Concat(real.Segments.Take(2)))
        {
            await WalPush.RunAsync(vault, Path.Combine(real.Cluster.Wal, segment.Name), time, default);
        }

        // The server archives an open one at a promotion: with what an older file of that name had behind its end.
        var last = real.Segments[^1];
        var open = RealWal.Read(real.Cluster, last);
        new Random(TestSeed.Take()).NextBytes(open.AsSpan((int)(real.End - last.Range.First) + 8));
        await File.WriteAllBytesAsync(scratch[last.Name + ".partial"], open, default);
        await WalPush.RunAsync(vault, scratch[last.Name + ".partial"], time, default);

        foreach (var segment in real.Segments)
        {
            Assert.Equal(WalGet.Delivered, await GetAsync(vault, segment.Name, scratch["got"]));
            var expected = RealWal.Read(real.Cluster, segment);
            expected.AsSpan((int)(Lsn.Min(segment.Range.End, real.End) - segment.Range.First)).Clear();
            var got = await File.ReadAllBytesAsync(scratch["got"], default);
            var same = expected.AsSpan().CommonPrefixLength(got);
            Assert.True(same == expected.Length, $"{segment.Name} differs at {segment.Range.First + same}; the log ends at {real.End}");
        }

        Assert.Equal(WalGet.Absent, await GetAsync(vault, (last with { Number = last.Number + 1 }).Name, scratch["none"]));
        Assert.Equal(WalGet.Absent, await GetAsync(vault, "00000002.history", scratch["none"]));
        Assert.False(File.Exists(scratch["none"]));
        Assert.Empty(failures);
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default)).Findings);
    }

    [Fact]
    public async Task What_is_missing_between_others_is_never_told_as_the_end()
    {
        using var scratch = new ScratchDirectory();
        var vault = await VaultAsync();
        await PushAsync(vault, real.Segments[0]);
        await PushAsync(vault, real.Segments[2]);

        Assert.Equal(WalGet.Unknown, await GetAsync(vault, real.Segments[1].Name, scratch["got"]));
        Assert.Equal(
            $"the log of timeline 1 is missing from {real.Segments[1].Range.First} on in vault memory/pg", Assert.Single(failures).Message);
        Assert.False(File.Exists(scratch["got"]));
    }

    [Fact]
    public async Task A_vault_that_cannot_be_reached_and_a_damaged_object_are_not_the_end_either()
    {
        using var scratch = new ScratchDirectory();
        var vault = await VaultAsync();
        await PushAsync(vault, real.Segments[0]);
        var away = new StorageException(StorageFailure.Unreachable, "nobody answers", "Wait.");
        var unreachable = WalGet.RunAsync(
            [() => Task.FromException<VaultAccess>(away)], real.Segments[0].Name, scratch["got"], failures.Add, default);
        Assert.Equal(WalGet.Unknown, await unreachable);
        Assert.Same(away, Assert.Single(failures));

        var entry = (await WalCatalog.LoadAsync(vault, default)).Objects(1).Single();
        var bytes = (await vault.GetAsync(entry.Key, default))!;
        bytes[bytes.Length / 2] ^= 1;
        await vault.ReplaceAsync(entry.Key, bytes, default);
        Assert.Equal(WalGet.Unknown, await GetAsync(vault, real.Segments[0].Name, scratch["got"]));
        Assert.Equal(FailureKind.Integrity, failures[^1].Kind);
        using var stopped = new CancellationTokenSource();
        await stopped.CancelAsync();
        Assert.Equal(
            WalGet.Unknown,
            await WalGet.RunAsync([() => Task.FromResult(vault)], real.Segments[0].Name, scratch["got"], failures.Add, stopped.Token));
        Assert.Equal(WalGet.Unknown, await GetAsync(await VaultAsync(), real.Segments[0].Name, scratch["no/where"]));
    }

    [Fact]
    public async Task What_does_not_belong_there_is_refused()
    {
        using var scratch = new ScratchDirectory();
        var vault = await VaultAsync();
        var (name, bytes) = (real.Segments[1].Name, RealWal.Read(real.Cluster, real.Segments[1]));
        await PushAsync(vault, real.Segments[1]);

        await RefusedAsync("x", bytes, "is not archived: that is no name of a segment of 1048576 bytes");
        await RefusedAsync(name, bytes[..^1], "is not archived: its segments have 1048576 bytes, and it has 1048575");
        await RefusedAsync(name, new byte[bytes.Length], "is not archived: it does not begin as a segment of the log does");
        await RefusedAsync(real.Segments[2].Name, bytes, $"the page there belongs to {real.Segments[1].Range.First}");
        await RefusedAsync("00000002" + name[8..], bytes, "is not archived: the history of its timeline,");
        await RefusedAsync(name, With(bytes, 24, 1), "and this server has");
        await RefusedAsync(name, With(bytes, 500_000, 1), "holds other bytes at");
        await RefusedAsync("00000002.history", History, "is not archived: no segment is beside it that says of which cluster it is");
        await RefusedAsync("00000009.history", [], "the history of timeline 9 cannot be used: it is empty");
        Assert.Equal(name, (await WalCatalog.LoadAsync(vault, default)).Objects(1).Select(NameOf).Distinct().Single());
        await WalPush.RunAsync(vault, scratch[name + ".00000028.backup"], time, default);

        async Task RefusedAsync(string file, byte[] content, string what)
        {
            await File.WriteAllBytesAsync(scratch[file], content, default);
            var e = await Assert.ThrowsAnyAsync<SalvorException>(() => WalPush.RunAsync(vault, scratch[file], time, default));
            Assert.Contains(what, e.Message, StringComparison.Ordinal);
            File.Delete(scratch[file]);
        }

        string NameOf(WalRef entry) => WalSegment.Of(1, entry.Range.First, real.Shape.SegmentBytes).Name;
    }

    [Fact]
    public async Task A_history_that_was_pushed_comes_back_and_is_never_replaced()
    {
        using var scratch = new ScratchDirectory();
        var vault = await VaultAsync();
        File.Copy(Path.Combine(real.Cluster.Wal, real.Segments[0].Name), scratch[real.Segments[0].Name]);
        await File.WriteAllBytesAsync(scratch["00000002.history"], History, default);
        await WalPush.RunAsync(vault, scratch["00000002.history"], time, default);
        await WalPush.RunAsync(vault, scratch["00000002.history"], time, default);

        Assert.Equal(WalGet.Delivered, await GetAsync(vault, "00000002.history", scratch["got"]));
        Assert.Equal(History, await File.ReadAllBytesAsync(scratch["got"], default));
        await File.WriteAllBytesAsync(scratch["00000002.history"], [.. "1\t0/500008\tother\n"u8], default);
        var e = await Assert.ThrowsAsync<SalvorException>(() => WalPush.RunAsync(vault, scratch["00000002.history"], time, default));
        Assert.Equal(FailureKind.Integrity, e.Kind);
    }

    [Fact]
    public async Task A_server_recovers_from_the_vault_to_its_last_row()
    {
        using var scratch = new ScratchDirectory();
        var vault = await VaultAsync();
        await using var source = await PostgresServer.StartAsync(scratch, "source", RealWal.KeepAll);
        await using var restored = await PostgresServer.AtAsync(scratch, "restored");
        var backup = await PostgresServer.RunAsync(
            "pg_basebackup", "-h", source.Folder, "-p", $"{source.Port}", "-U", "postgres", "-D", restored.Data, "-X", "none",
            "-c", "fast");
        Assert.True(backup.ExitCode == 0, backup.ToString());
        await source.SqlAsync("create table t as select i, md5(i::text) from generate_series(1, 50000) i");
        await source.SqlAsync("insert into t select i, 'last' from generate_series(1, 10) i");
        var (rows, shape) = (await source.SqlAsync("select count(*), sum(hashtext(t::text)) from t"), RealWal.ShapeOf(source));
        var segments = await RealWal.SegmentsAsync(source, shape);
        Directory.CreateDirectory(scratch["open"]);
        foreach (var segment in segments)
        {
            var path = Path.Combine(source.Wal, segment.Name);
            if (segment == segments[^1])
            {
                File.Copy(path, path = Path.Combine(scratch["open"], segment.Name + ".partial"));
            }

            await WalPush.RunAsync(vault, path, time, default);
        }

        await source.StopAsync(Signal.Kill);
        var archive = scratch.Subdirectory("archive");
        foreach (var segment in segments)
        {
            Assert.Equal(WalGet.Delivered, await GetAsync(vault, segment.Name, Path.Combine(archive, segment.Name)));
            File.SetUnixFileMode(Path.Combine(archive, segment.Name), (UnixFileMode)0b110_100_100);
        }

        File.SetUnixFileMode(archive, (UnixFileMode)0b111_101_101);
        await File.WriteAllTextAsync(Path.Combine(restored.Data, "recovery.signal"), "", default);
        await restored.ConfigureAsync($"restore_command = 'cp {archive}/%f %p'");
        await restored.StartAsync();
        await Eventually.HoldsAsync(
            async () => await restored.SqlAsync("select pg_is_in_recovery()") == "f", () => restored.Log, Eventually.StartMax);

        Assert.Equal(rows, await restored.SqlAsync("select count(*), sum(hashtext(t::text)) from t"));
    }

    static byte[] With(byte[] bytes, int at, byte change)
    {
        var other = (byte[])bytes.Clone();
        other[at] ^= change;
        return other;
    }

    Task<VaultAccess> VaultAsync() => VaultAccess.OpenOrCreateAsync(store, "pg", VaultIdentity.Postgres, "pg", time, default);

    Task PushAsync(VaultAccess vault, WalSegment segment) =>
        WalPush.RunAsync(vault, Path.Combine(real.Cluster.Wal, segment.Name), time, default);

    Task<int> GetAsync(VaultAccess vault, string name, string target) =>
        WalGet.RunAsync([() => Task.FromResult(vault)], name, target, failures.Add, default);
}
