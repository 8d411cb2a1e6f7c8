using System.Globalization;
using System.Text;
using System.Text.Json;
using Salvor.Platform;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Tests.Vault.Wal;
using Salvor.Vault;
using Salvor.Vault.Trees;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>
/// A real server that was backed up while it worked, with all of its log in a vault, and what was committed when: outside of Salvor.
/// </summary>
public sealed class ClusterVault : IAsyncLifetime
{
    readonly ScratchDirectory scratch = new();

    internal VaultAccess Vault { get; private set; } = null!;

    internal ClusterBackup Backup { get; private set; } = null!;

    internal TreeSnapshot Snapshot { get; private set; } = null!;

    /// <summary>After each statement: the server's time, the address, the last transaction, and the digest of the table.</summary>
    internal List<Moment> Moments { get; } = [];

    internal sealed record Moment(DateTimeOffset At, Lsn Address, uint Xid, string Digest);

    public async ValueTask InitializeAsync()
    {
        await using var server = await PostgresServer.StartAsync(scratch, "pg", "wal_keep_size = 512MB");
        await server.SqlAsync("create table t (id serial primary key, body text)");
        await server.SqlAsync("create unlogged table u (i int); insert into u values (1)");
        await WorkAsync(server, 3);
        var copy = Path.Combine(server.Folder, "copy");
        var made = await PostgresServer.RunAsync(
            "pg_basebackup", "-h", server.Folder, "-p", $"{server.Port}", "-U", "postgres", "-D", copy, "-X", "none", "--checkpoint=fast");
        Assert.True(made.ExitCode == 0, made.ToString());
        await WorkAsync(server, 4);
        await server.SqlAsync("select pg_create_restore_point('before the drop')");
        await server.SqlAsync("drop table t");
        var oldest = Directory.GetFiles(server.Wal).Where(path => Path.GetFileName(path).Length == 24).Min()!;
        var shape = WalShape.TryRead(File.ReadAllBytes(oldest))!;
        await StoreAsync(server, copy, shape);
    }

    /// <summary>Plans and restores.</summary>
    internal async Task<RecoveryPlan> PlanAsync(RecoveryTarget target) =>
        await new RecoveryPlanner(await WalCatalog.LoadAsync(Vault, default), [Backup])
            .PlanAsync(target, timeline: null, backupId: null, RecoveryAction.Promote, default);

    public ValueTask DisposeAsync()
    {
        scratch.Dispose();
        return default;
    }

    async Task WorkAsync(PostgresServer server, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var answer = await server.SqlAsync(
                "begin; insert into t (body) select md5(random()::text) from generate_series(1, 500); select txid_current(); commit; "
                    + "select pg_current_wal_lsn(); select clock_timestamp() at time zone 'utc'; " + DigestSql);
            var lines = answer.Split('\n');
            Assert.True(Lsn.TryParse(lines[1], out var address));
            var at = DateTimeOffset.Parse(lines[2], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
            Moments.Add(new(at, address, uint.Parse(lines[0], CultureInfo.InvariantCulture), lines[3]));
        }
    }

    internal const string DigestSql = "select count(*) || ' ' || md5(string_agg(id || body, ',' order by id)) from t";

    async Task StoreAsync(PostgresServer server, string copy, WalShape shape)
    {
        Vault = await VaultAccess.OpenOrCreateAsync(
            new MemoryStore(), "pg", VaultIdentity.Postgres, "pg", null, TimeProvider.System, default);
        var branch = await WalBranches.EnsureAsync(Vault, shape.SystemId, TimelineHistory.Read(1, default), TimeProvider.System, default);
        var now = TimeProvider.System.GetUtcNow();
        Assert.True(Lsn.TryParse(await server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        var first = default(Lsn?);
        var bytes = new List<byte>();
        foreach (var name in Directory.GetFiles(server.Wal).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal))
        {
            if (WalSegment.TryParse(name, shape.SegmentBytes, out var segment) && segment.Range.First < end)
            {
                first ??= segment.Range.First;
                bytes.AddRange(File.ReadAllBytes(Path.Combine(server.Wal, name)));
            }
        }

        var log = bytes.ToArray().AsMemory(0, (int)(end - first!.Value));
        await new WalWriter(Vault, branch, 1, shape).StoreAsync(first.Value, log, now, now, default);
        using var manifest = JsonDocument.Parse(File.ReadAllText(Path.Combine(copy, "backup_manifest")));
        var range = manifest.RootElement.GetProperty("WAL-Ranges")[0];
        Assert.True(Lsn.TryParse(range.GetProperty("Start-LSN").GetString(), out var from));
        Assert.True(Lsn.TryParse(range.GetProperty("End-LSN").GetString(), out var to));
        Backup = new ClusterBackup(1, 1, new WalRange(from, to), Moments[2].At);

        var catalog = await VaultCatalog.LoadAsync(Vault, default);
        await using var writer = await TreeSnapshotWriter.BeginAsync(catalog, new HashSet<string>(), default);
        var totals = new long[4];
        await AddAsync(writer, copy, totals);
        var stored = await writer.FinishAsync(new TreeTotals(totals[0], totals[1], totals[2], totals[3], 0, 0), now, default);
        Snapshot = await TreeSnapshot.OpenAsync(Vault, new SnapshotRef(1, stored.Position), default);
    }

    static async Task AddAsync(TreeSnapshotWriter writer, string folder, long[] totals)
    {
        foreach (var path in Directory.GetFileSystemEntries(folder).Order(StringComparer.Ordinal))
        {
            var stat = FileStat.Of(path)!.Value;
            var isFolder = Directory.Exists(path);
            var entry = new TreeEntry
            {
                Kind = isFolder ? TreeEntryKind.Directory : TreeEntryKind.File, Name = Encoding.UTF8.GetBytes(Path.GetFileName(path)),
                Permissions = stat.Permissions, UserId = stat.UserId, GroupId = stat.GroupId, SizeBytes = isFolder ? 0 : stat.SizeBytes,
            };
            totals[isFolder ? 1 : 0]++;
            for (var rest = isFolder ? default : File.ReadAllBytes(path).AsMemory(); !rest.IsEmpty;)
            {
                var length = Math.Min(rest.Length, 16 << 10);
                await writer.Content.AddAsync(rest[..length], default);
                (rest, totals[3]) = (rest[length..], totals[3] + length);
            }

            await writer.AddAsync(entry, default);
            if (isFolder)
            {
                await AddAsync(writer, path, totals);
                await writer.AddAsync(TreeEntry.End, default);
            }
        }
    }
}
