using System.Globalization;
using Salvor.Postgres;
using Salvor.Postgres.Backup;
using Salvor.Postgres.Restore;
using Salvor.Storage;
using Salvor.Tests.Support;
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

    /// <summary>A configuration whose source <c>pg</c> has this vault.</summary>
    public string Config => scratch["salvor.yaml"];

    /// <summary>Where the vaults of that are.</summary>
    public string Vaults => scratch["vaults"];

    /// <summary>What the settings of the server name as its own, and no copy may touch.</summary>
    public string PidFile => scratch["pg/original.pid"];

    /// <summary>What the cluster has in its settings.</summary>
    public int Port { get; private set; }

    /// <summary>The log of the server as it left it.</summary>
    public string Wal => scratch["pg/data/pg_wal"];

    internal VaultAccess Vault { get; private set; } = null!;

    internal ClusterBackup Backup { get; private set; } = null!;

    internal TreeSnapshot Snapshot { get; private set; } = null!;

    /// <summary>After each statement: the server's time, the address, the last transaction, and the digest of the table.</summary>
    internal List<Moment> Moments { get; } = [];

    internal sealed record Moment(DateTimeOffset At, Lsn Address, uint Xid, string Digest);

    public async ValueTask InitializeAsync()
    {
        await using var server = await PostgresServer.CreateAsync(scratch);

        // As a server has them whose settings are its own alone: whoever starts a copy by them would start the original.
        await server.ConfigureAsync(
            "wal_keep_size = 512MB", "max_connections = 37", $"data_directory = '{server.Data}'",
            $"external_pid_file = '{server.Folder}/original.pid'", "port = 5000 # once", $"  port = '{server.Port}'", "#port = 6000");
        await server.StartAsync();
        Port = server.Port;
        await server.SqlAsync("create table t (id serial primary key, body text)");
        await server.SqlAsync("create unlogged table u (i int); insert into u values (1)");
        await WorkAsync(server, Moments, 3);
        Vault = await VaultAccess.OpenOrCreateAsync(
            new FileStore(scratch["vaults"], createRoot: true), "pg", VaultIdentity.Postgres, "pg", null, TimeProvider.System, default);
        var options = new WalReceiverOptions
        {
            Server = server.Connection, Folder = scratch["spool"], PublishEvery = TimeSpan.FromMilliseconds(50),
        };
        using var stopping = new CancellationTokenSource();
        var following = new WalPublishing(options, _ => Task.FromResult(Vault), TimeProvider.System).RunAsync(stopping.Token);
        var (record, _) = await new CompleteBackup(Vault, options, TimeProvider.System) { IsFollowed = true }
            .RunAsync(new BackupRequest("", "full", null), default);
        (Backup, Snapshot) = await ClusterBackup.OpenAsync(Vault, record, default);

        // So that the log has some segments, without another commit.
        await server.SqlAsync("select pg_logical_emit_message(false, 'x', repeat('x', 3000000))");
        await WorkAsync(server, Moments, 4);
        await server.SqlAsync("select pg_create_restore_point('before the drop')");
        await server.SqlAsync("drop table t");
        Assert.True(Lsn.TryParse(await server.SqlAsync("select pg_current_wal_flush_lsn()"), out var end));
        await Eventually.HoldsAsync(
            async () => (await WalCatalog.LoadAsync(Vault, default)).Reach(Backup.Branch, Backup.Log.First) >= end,
            () => following.Exception?.ToString() ?? "the log does not arrive");
        await stopping.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => following);
        await File.WriteAllTextAsync(
            Config,
            $$"""
            destinations: { local: { type: file, path: {{Vaults}} } }
            sources:
              pg: { type: postgres, connection: "host={{server.Folder}} port={{server.Port}} user=postgres", to: local }

            """);
    }

    /// <summary>Copies the vault into <c>vaults</c> of a folder that the user of a server may pass through.</summary>
    internal async Task CopyAsync(ScratchDirectory scratch)
    {
        Assert.Equal(0, (await ChildProcess.RunAsync("cp", ["-a", Vaults, scratch["vaults"]])).ExitCode);
        File.SetUnixFileMode(scratch.Path, File.GetUnixFileMode(scratch.Path) | UnixFileMode.OtherExecute);
    }

    /// <summary>A configuration with a source <c>pg</c> whose vault is in <c>vaults</c>; <c>restored</c> is for restores.</summary>
    /// <param name="scratch">The folder of the file.</param>
    /// <param name="more">Further keys of the source.</param>
    /// <param name="connection">Of a server; by default none answers.</param>
    internal static void Configure(ScratchDirectory scratch, string more, string connection = "host=/nowhere user=postgres") =>
        File.WriteAllText(
            scratch["salvor.yaml"],
            $$"""
            destinations: { local: { type: file, path: ./vaults } }
            restore: { scratch: ./restored }
            sources:
              pg: { type: postgres, connection: "{{connection}}", to: local, {{more}} }

            """);

    /// <summary>Starts a command with that configuration as if a folder of the machine were empty.</summary>
    internal static ChildProcess Without(ScratchDirectory scratch, string folder, params string[] arguments)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess && Directory.Exists(folder), $"only root can hide {folder}");
        var prefix = OtherHost.Prefix("other", scratch["boot"], scratch.Subdirectory("empty"), folder);
        return ChildProcess.Start(
            prefix[0], [.. prefix[1..], .. SalvorProcess.CommandLine, .. arguments, "--config", scratch["salvor.yaml"]]);
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

    /// <summary>Commits a few times, and notes after each what is there.</summary>
    internal static async Task WorkAsync(PostgresServer server, List<Moment> moments, int count)
    {
        for (var i = 0; i < count; i++)
        {
            var answer = await server.SqlAsync(
                "begin; insert into t (body) select md5(random()::text) from generate_series(1, 500); select txid_current(); commit; "
                    + "select pg_current_wal_lsn(); select clock_timestamp() at time zone 'utc'; " + DigestSql);
            var lines = answer.Split('\n');
            Assert.True(Lsn.TryParse(lines[1], out var address));
            var at = DateTimeOffset.Parse(lines[2], CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
            moments.Add(new(at, address, uint.Parse(lines[0], CultureInfo.InvariantCulture), lines[3]));
        }
    }

    internal const string DigestSql = "select count(*) || ' ' || md5(string_agg(id || body, ',' order by id)) from t";
}
