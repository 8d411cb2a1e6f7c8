using System.Globalization;
using Salvor.Postgres;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Protocol;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Wal;
using Salvor.Vault;
using Salvor.Vault.Verify;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Postgres;

/// <summary>A receiver that follows a real server into a vault, and what is there when either of them ends.</summary>
public sealed class WalReceiverTests : WalReceiverRig
{
    [Fact]
    public async Task The_vault_gets_what_the_server_has_while_both_are_killed_again_and_again()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        await server.SqlAsync("create table t (i int, body text)");
        for (var round = 0; round < 3; round++)
        {
            var publishing = Follow(server);
            await server.SqlAsync($"insert into t select i, md5(i::text) from generate_series(1, {20000 + round}) i");
            await ReachedAsync(server, publishing, 1);

            // Neither says goodbye: what the receiver had not flushed is gone, and the server ends in the middle of its work.
            var work = server.SqlAsync("insert into t select i, md5(i::text) from generate_series(1, 300000) i");
            await Task.Delay(100);
            await StopAllAsync();
            await server.StopAsync(Signal.Kill);
            await Task.WhenAny(work);
            await server.StartAsync();
        }

        var last = Follow(server);
        await server.SqlAsync("create table the_last (i int)");
        await ReachedAsync(server, last, 1);
        await AssertSameAsync(server, 1);
        Assert.Equal("1", await server.SqlAsync("select count(*) from pg_replication_slots"));
    }

    [Fact]
    public async Task A_timeline_is_followed_to_the_next_one_and_its_history_comes_first()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        var publishing = Follow(server);
        await server.SqlAsync("create table t as select i from generate_series(1, 10000) i");
        await ReachedAsync(server, publishing, 1);
        for (var timeline = 2U; timeline <= 3; timeline++)
        {
            await PromoteAsync(server);
            await server.SqlAsync($"create table of_timeline_{timeline} as select i from generate_series(1, 5000) i");
            await ReachedAsync(server, publishing, timeline);
        }

        await AssertSameAsync(server, 3);
        var catalog = await WalCatalog.LoadAsync(await VaultAsync(), default);
        Assert.Equal([(1U, 0U), (2, 1), (3, 2)], catalog.Branches.Select(branch => (branch.Record.Timeline!.Value, branch.Record.Parent)));
        Assert.Equal(
            await File.ReadAllBytesAsync(Path.Combine(server.Wal, "00000003.history")),
            WalBranches.HistoryOf(catalog.Branches[2]).Bytes.ToArray());
        Assert.Empty(catalog.Gaps(3));
        Assert.True(catalog.Reach(3, catalog.Spans(1)[0].First) >= catalog.EndOf(3));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_server_that_was_set_back_and_promoted_is_followed_to_its_new_timeline(bool isSpoolKept)
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        var publishing = Follow(server);
        await server.SqlAsync("create table t as select i from generate_series(1, 60000) i");
        await ReachedAsync(server, publishing, 1);
        await server.StopAsync();
        await ExpectAsync(ChildProcess.RunAsync("cp", ["-a", server.Data, Scratch["before"]]));
        await server.StartAsync();
        for (var i = 0; i < 3; i++)
        {
            await server.SqlAsync("insert into t select i from generate_series(1, 1000) i");
            await server.SqlAsync("select pg_switch_wal()");
        }

        await server.SqlAsync("create table of_the_abandoned_end (i int)");
        await ReachedAsync(server, publishing, 1);
        await StopAllAsync();
        await server.StopAsync();
        Directory.Delete(server.Data, recursive: true);
        Directory.Move(Scratch["before"], server.Data);
        if (!isSpoolKept)
        {
            Directory.Delete(Scratch["spool"], recursive: true);
        }

        await PromoteAsync(server);
        publishing = Follow(server);
        await server.SqlAsync("create table of_the_new_timeline (i int)");
        await ReachedAsync(server, publishing, 2);
        await AssertSameAsync(server, 2);
        var catalog = await WalCatalog.LoadAsync(await VaultAsync(), default);
        Assert.True(catalog.Branches[1].Record.ForkPosition < catalog.EndOf(1).Value);
        Assert.Empty(catalog.Gaps(2));
        Assert.True(catalog.Reach(2, catalog.Spans(1)[0].First) >= catalog.EndOf(2));
    }

    [Fact]
    public async Task A_slot_that_keeps_log_of_an_older_timeline_is_followed_from_that_on()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        await server.SqlAsync("select pg_create_physical_replication_slot('salvor', true)");
        await server.SqlAsync("create table t as select i from generate_series(1, 60000) i");
        await PromoteAsync(server);
        var publishing = Follow(server);
        await server.SqlAsync("create table of_the_new_timeline (i int)");
        await ReachedAsync(server, publishing, 2);

        await AssertSameAsync(server, 2);
        Assert.DoesNotContain(Heard, text => text.StartsWith("a gap", StringComparison.Ordinal));
        Assert.True((await WalCatalog.LoadAsync(await VaultAsync(), default)).EndOf(1) > Lsn.None);
    }

    [Fact]
    public async Task A_backup_takes_its_log_from_whoever_has_the_folder_already()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        var publishing = Follow(server);
        await server.SqlAsync("create table t as select i from generate_series(1, 1000) i");
        await ReachedAsync(server, publishing, 1);

        var vault = await VaultAsync();
        await new CompleteBackup(vault, Options(server), TimeProvider.System).RunAsync(
            new BackupRequest("ours", "full", RetentionDays: null), default);

        Assert.False(Runs[^1].Run.IsCompleted, Told());
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default)).Findings);
    }

    [Fact]
    public async Task A_slot_that_was_lost_is_told_and_what_is_missing_has_a_name()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", "max_slot_wal_keep_size = '1MB'");
        var publishing = Follow(server);
        await server.SqlAsync("create table t as select i from generate_series(1, 10000) i");
        await ReachedAsync(server, publishing, 1);
        await StopAllAsync();
        for (var i = 0; i < 4; i++)
        {
            await server.SqlAsync("insert into t select i from generate_series(1, 60000) i");
            await server.SqlAsync("checkpoint");
        }

        Assert.Equal("lost", await server.SqlAsync("select wal_status from pg_replication_slots"));
        publishing = Follow(server);
        await server.SqlAsync("create table after_the_gap (i int)");
        await ReachedAsync(server, publishing, 1);

        Assert.Contains(Heard, text => text.StartsWith("slot salvor was lost: the server removed log", StringComparison.Ordinal));
        var gap = Assert.Single((await WalCatalog.LoadAsync(await VaultAsync(), default)).Gaps(1));
        Assert.Contains(
            Heard, text => text.StartsWith("a gap: the server no longer has the log", StringComparison.Ordinal)
                && text.Contains($"-{gap.Range.End} of timeline 1", StringComparison.Ordinal));
        var report = await new VaultVerifier(await VaultAsync(), new VerifyOptions()).RunAsync(default);
        Assert.Equal(0, report.FindingCount);
        Assert.Equal([gap], report.WalGaps);
    }

    [Fact]
    public async Task What_is_received_waits_for_no_vault_and_for_no_more_than_the_disk_may_hold()
    {
        const int SpoolMax = 16 << 20;
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        IsAway = true;
        var publishing = Follow(server, options => options with { SpoolBytesMax = SpoolMax });
        await server.SqlAsync("create table t as select i from generate_series(1, 600000) i");
        await Eventually.HoldsAsync(
            () => Heard.Count(it => it.EndsWith("nothing more is received, and the server keeps its log", StringComparison.Ordinal)) > 3,
            Told, Eventually.StartMax);
        Assert.Contains(Heard, text => text == "the log is not published: nobody answers");
        Assert.InRange(publishing.Receiver!.Spool!.SizeBytes, SpoolMax, SpoolMax + (2 * PostgresServer.SegmentBytes));

        IsAway = false;
        await ReachedAsync(server, publishing, 1);
        await AssertSameAsync(server, 1);
    }

    [Fact]
    public async Task What_was_received_comes_into_the_vault_also_where_the_server_refuses_to_go_on()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        IsAway = true;
        var publishing = Follow(server);
        await server.SqlAsync("create table t as select i from generate_series(1, 60000) i; create role nobody login");
        Assert.True(Lsn.TryParse(await server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        await Eventually.HoldsAsync(() => publishing.Receiver?.Spool?.Flushed >= end, Told, Eventually.StartMax);
        await StopAllAsync();
        IsAway = false;

        var refused = new WalPublishing(
            Options(server) with { Server = server.At($"host={server.Folder} user=nobody") }, _ => VaultAsync(), TimeProvider.System);
        await Assert.ThrowsAsync<PostgresException>(() => refused.RunAsync(default));

        Assert.True((await WalCatalog.LoadAsync(await VaultAsync(), default)).EndOf(1) >= end);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task After_the_loss_of_the_server_and_its_disk_nearly_all_acknowledged_rows_are_there(bool isSynchronous)
    {
        await using var server = await PostgresServer.StartAsync(
            Scratch, "pg", RealWal.KeepAll, $"synchronous_standby_names = '{(isSynchronous ? "salvor" : "")}'");
        await using var restored = await PostgresServer.AtAsync(Scratch, "restored");
        var publishing = Follow(server);
        await Eventually.HoldsAsync(
            () => Heard.Any(text => text.StartsWith("follows timeline 1 of", StringComparison.Ordinal)), Told, Eventually.StartMax);
        Assert.Equal(isSynchronous, publishing.Receiver!.IsSynchronous);
        await server.SqlAsync("create table t (i int primary key)");
        await ExpectAsync(PostgresServer.RunAsync(
            "pg_basebackup", "-h", server.Folder, "-p", $"{server.Port}", "-U", "postgres", "-D", restored.Data, "-X", "none",
            "-c", "fast"));
        var acknowledged = 0;
        var stop = false;
        var writing = Task.Run(async () =>
        {
            await using var connection = await PostgresConnection.OpenAsync(
                server.Connection, SessionKind.Sql, TimeProvider.System, default);
            while (!Volatile.Read(ref stop))
            {
                await connection.QueryAsync($"insert into t values ({acknowledged + 1})", default);
                acknowledged++;
            }
        });
        await Eventually.HoldsAsync(() => Volatile.Read(ref acknowledged) > 3000 || writing.IsCompleted, Told, Eventually.StartMax);
        await server.StopAsync(Signal.Kill);
        Volatile.Write(ref stop, true);
        await Assert.ThrowsAnyAsync<Exception>(() => writing);
        Directory.Delete(server.Data, recursive: true);
        var end = publishing.Receiver.Spool!.Flushed;
        await Eventually.HoldsAsync(() => publishing.PublishedOf(1) >= end, Told, Eventually.StartMax);
        await StopAllAsync();

        await RestoreAsync(restored);
        var there = int.Parse(await restored.SqlAsync("select count(*) from t"), CultureInfo.InvariantCulture);
        Assert.Equal($"{there}", await restored.SqlAsync("select coalesce(max(i), 0) from t"));
        TestContext.Current.TestOutputHelper!.WriteLine($"acknowledged {acknowledged}, lost {Math.Max(0, acknowledged - there)}");
        Assert.InRange(acknowledged - there, -1, isSynchronous ? 0 : 200);
    }

    [Fact]
    public async Task A_backup_that_lacks_log_is_damaged_once_it_is_offered()
    {
        await using var server = await PostgresServer.StartAsync(Scratch, "pg", RealWal.KeepAll);
        var publishing = Follow(server);
        await server.SqlAsync("create table t as select i from generate_series(1, 1000) i");
        await ReachedAsync(server, publishing, 1);
        var (vault, maker) = (await VaultAsync(), new BaseBackup(await VaultAsync(), TimeProvider.System) { ScratchFolder = Scratch.Path });
        await using var replication = await ReplicationConnection.OpenAsync(server.Connection, TimeProvider.System, default);
        var backup = await maker.RunAsync(replication, new BaseBackupOptions { Label = "test" }, 1, default);
        await server.SqlAsync("create table u (i int)");
        await ReachedAsync(server, publishing, 1);
        await StopAllAsync();

        Assert.Equal(0, (await RemoveLogAsync(vault, backup.Log)).FindingCount);
        await maker.OfferAsync(
            backup, await WalCatalog.LoadAsync(vault, default), new BackupRequest("ours", "full", RetentionDays: null), default);
        var finding = Assert.Single((await RemoveLogAsync(vault, backup.Log)).Findings);
        Assert.Equal(
            (VaultKeys.Snapshot(1, new Position(backup.Log.End.Value)), FindingLayer.Lineage), (finding.Key, finding.Layer));
        Assert.StartsWith($"it needs the log {backup.Log}, and that is missing from ", finding.What, StringComparison.Ordinal);
        Assert.Empty((await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default)).Findings);
    }

    /// <summary>What a verification finds while the log of a range is away.</summary>
    static async Task<VerifyReport> RemoveLogAsync(VaultAccess vault, WalRange range)
    {
        var removed = new Dictionary<string, byte[]>();
        foreach (var entry in (await WalCatalog.LoadAsync(vault, default)).Objects(1))
        {
            if (!entry.Range.Within(range).IsEmpty)
            {
                removed[entry.Key] = (await vault.GetAsync(entry.Key, default))!;
                await vault.DeleteAsync(entry.Key, default);
            }
        }

        Assert.NotEmpty(removed);
        var report = await new VaultVerifier(vault, new VerifyOptions()).RunAsync(default);
        foreach (var (key, bytes) in removed)
        {
            await vault.PutAsync(key, bytes, default);
        }

        return report;
    }

    /// <summary>Recovers from the vault alone.</summary>
    async Task RestoreAsync(PostgresServer restored)
    {
        var archive = Scratch.Subdirectory("archive");
        var catalog = await WalCatalog.LoadAsync(await VaultAsync(), default);
        foreach (var span in catalog.Spans(1))
        {
            for (var segment = WalSegment.Of(1, span.First, PostgresServer.SegmentBytes); segment.Range.First < span.End;
                segment = segment with { Number = segment.Number + 1 })
            {
                var target = Path.Combine(archive, segment.Name);
                Assert.Equal(
                    WalGet.Delivered, await WalGet.RunAsync([VaultAsync], segment.Name, target, e => Heard.Enqueue(e.Message), default));
                File.SetUnixFileMode(target, (UnixFileMode)0b110_100_100);
            }
        }

        File.SetUnixFileMode(archive, (UnixFileMode)0b111_101_101);
        await File.WriteAllTextAsync(Path.Combine(restored.Data, "recovery.signal"), "");
        await restored.ConfigureAsync($"restore_command = 'cp {archive}/%f %p'", "synchronous_standby_names = ''");
        await restored.StartAsync();
        await Eventually.HoldsAsync(
            async () => await restored.SqlAsync("select pg_is_in_recovery()") == "f", () => restored.Log, Eventually.StartMax);
    }
}
