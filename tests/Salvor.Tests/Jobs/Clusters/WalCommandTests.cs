using Salvor.Postgres.Restore;
using Salvor.Tests.Cli;
using Salvor.Tests.Support;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>What a server calls for each file of its log, with the exit codes as PostgreSQL reads them.</summary>
public sealed class WalCommandTests(ClusterVault real) : IClassFixture<ClusterVault>, IDisposable
{
    readonly ScratchDirectory scratch = new();

    string Segment => Directory.GetFiles(real.Wal, "0*").Where(path => Path.GetFileName(path).Length == 24).Order().ElementAt(1);

    [Fact]
    public async Task A_server_archives_and_recovers_by_them_and_no_fault_ends_its_recovery_early()
    {
        await using var server = await PostgresServer.CreateAsync(scratch);
        var (folder, config) = (scratch.Subdirectory("keeper"), scratch["keeper/salvor.yaml"]);
        Directory.CreateDirectory(scratch["keeper/vaults"]);
        await File.WriteAllTextAsync(
            config,
            $$"""
            destinations: { local: { type: file, path: ./vaults } }
            sources:
              pg: { type: postgres, connection: "host={{server.Folder}} port={{server.Port}} user=postgres", to: local }

            """,
            TestContext.Current.CancellationToken);
        var salvor = string.Join(' ', SalvorProcess.CommandLine);
        await server.ConfigureAsync(
            "archive_mode = on", "wal_keep_size = 64MB", $"archive_command = '{salvor} wal-push %p --config {config} --source pg'");
        await server.StartAsync();
        await server.SqlAsync("create table t (id serial primary key, body text)");
        var backup = await SalvorProcess.RunAsync("backup", "pg", "--config", config);
        Assert.True(backup.ExitCode == 0, $"{backup}");
        await PostgresServer.OwnAsync(folder);
        var moments = new List<ClusterVault.Moment>();
        for (var i = 0; i < 3; i++)
        {
            await ClusterVault.WorkAsync(server, moments, 1);
            var last = await server.SqlAsync("select pg_walfile_name(pg_switch_wal())");
            await Eventually.HoldsAsync(
                async () => string.CompareOrdinal(await server.SqlAsync("select last_archived_wal from pg_stat_archiver"), last) >= 0,
                () => server.Log, Eventually.StartMax);
        }

        await server.StopAsync();
        await using var again = await PostgresServer.AtAsync(scratch, "again");
        var restored = await SalvorProcess.RunAsync("restore", "pg", "--config", config, "--output", again.Data);
        Assert.True(restored.ExitCode == 0, $"{restored}");
        Directory.Delete(Path.Combine(again.Data, "salvor_recovery"), recursive: true);
        await File.AppendAllTextAsync(
            Path.Combine(again.Data, "postgresql.auto.conf"), $"restore_command = '{salvor} wal-get %f %p --config {config} --source pg'\n",
            TestContext.Current.CancellationToken);

        // It gets the segments before that one.
        var newest = Directory.GetFiles(scratch["keeper/vaults/pg/wal"], "*", SearchOption.AllDirectories).Max()!;
        var bytes = await File.ReadAllBytesAsync(newest, TestContext.Current.CancellationToken);
        await File.WriteAllBytesAsync(newest, [.. bytes[..^200], .. new byte[200]], TestContext.Current.CancellationToken);
        var ended = await PostgresServer.RunAsync("postgres", "-D", again.Data, "-k", again.Folder, "-p", $"{again.Port}");
        Assert.True(ended.ExitCode == 1, $"{ended}");
        Assert.Contains("could not restore file", ended.Stderr, StringComparison.Ordinal);
        Assert.Contains("is damaged", ended.Stderr, StringComparison.Ordinal);
        Assert.Contains("restored log file \"0000000100000000000000", ended.Stderr, StringComparison.Ordinal);
        Assert.True(File.Exists(Path.Combine(again.Data, "recovery.signal")));

        await File.WriteAllBytesAsync(newest, bytes, TestContext.Current.CancellationToken);
        await again.StartAsync();
        await Eventually.HoldsAsync(
            async () => await again.SqlAsync("select pg_is_in_recovery()") == "f", () => again.Log, Eventually.StartMax);
        Assert.Equal(moments[^1].Digest, await again.SqlAsync(ClusterVault.DigestSql));
    }

    [Fact]
    public async Task The_same_is_stored_again_without_harm_and_anything_else_is_refused()
    {
        var bytes = await File.ReadAllBytesAsync(Segment, TestContext.Current.CancellationToken);
        var copy = Path.Combine(scratch.Path, Path.GetFileName(Segment));

        var same = await RunAsync("wal-push", Segment, "--source", "pg");
        bytes[^9000] ^= 1;
        await File.WriteAllBytesAsync(copy, bytes, TestContext.Current.CancellationToken);
        var other = await RunAsync("wal-push", copy);
        bytes[24] ^= 1;
        await File.WriteAllBytesAsync(copy, bytes, TestContext.Current.CancellationToken);
        var foreign = await RunAsync("wal-push", copy);
        var absent = await RunAsync("wal-push", scratch["none"]);
        var unknown = await RunAsync("wal-push", Segment, "--source", "gp");

        Assert.Equal((0, "", ""), (same.ExitCode, same.Stdout, same.Stderr));
        Assert.Equal(5, other.ExitCode);
        Assert.Matches("^salvor: .*/pg holds other bytes at [0-9A-F/]+ of timeline 1 than this server\n", other.Stderr);
        Assert.Equal(2, foreign.ExitCode);
        Assert.Contains("is of the cluster with system identifier", foreign.Stderr, StringComparison.Ordinal);
        Assert.Equal(3, absent.ExitCode);
        CliRig.AssertError(
            unknown, 2, $"{real.Config} has no source 'gp' of type postgres", "Name one with '--source': pg.");
    }

    [Fact]
    public async Task Only_what_is_proved_to_be_absent_ends_with_1()
    {
        var (name, later, target) = (Path.GetFileName(Segment), "0000000100000000000000FE", scratch["got"]);

        var got = await RunAsync("wal-get", name, target);
        Assert.True(got.ExitCode == 0, $"{got}");
        Assert.Equal(
            await File.ReadAllBytesAsync(Segment, TestContext.Current.CancellationToken),
            await File.ReadAllBytesAsync(target, TestContext.Current.CancellationToken));
        Assert.Equal(1, (await RunAsync("wal-get", later, target)).ExitCode);
        Assert.Equal(1, (await RunAsync("wal-get", "00000002.history", target)).ExitCode);
    }

    [Theory]
    [InlineData("wal-get {name}", "'salvor wal-get' needs PATH")]
    [InlineData("wal-get", "'salvor wal-get' needs NAME and PATH")]
    [InlineData("wal-get {name} {got} --nonsense", "unknown option '--nonsense'")]
    [InlineData("wal-get {name} {got} --source gp", "has no source 'gp' of type postgres")]
    [InlineData("wal-get {name} {nowhere}", "cannot be written")]
    [InlineData("wal-get {name} {got} --config {nowhere}", "configuration ")]
    [InlineData("wal-get {later} {got} --config {away}", "gone")]
    [InlineData("wal-get {begun} {got} --config {away}", "gone")]
    [InlineData("wal-get {name} {got} --config {damaged}", "is damaged")]
    public async Task Whatever_comes_in_the_way_ends_with_255(string line, string words)
    {
        Write("away", $"gone: {{ type: file, path: ./gone }}, there: {{ type: file, path: {real.Vaults} }}", "[gone, there]");
        Assert.True((await ChildProcess.RunAsync("cp", ["-a", real.Vaults, scratch["broken"]])).ExitCode == 0);
        foreach (var path in Directory.GetFiles(scratch["broken/pg/wal"], "*", SearchOption.AllDirectories))
        {
            var bytes = File.ReadAllBytes(path);
            bytes[bytes.Length / 2] ^= 1;
            File.WriteAllBytes(path, bytes);
        }

        Write("damaged", "there: { type: file, path: ./broken }", "there");
        line = line.Replace("{name}", Path.GetFileName(Segment), StringComparison.Ordinal)
            .Replace("{later}", "0000000100000000000000FE", StringComparison.Ordinal)
            .Replace("{begun}", await BegunAsync(), StringComparison.Ordinal)
            .Replace("{got}", scratch["got"], StringComparison.Ordinal)
            .Replace("{nowhere}", scratch["no/where"], StringComparison.Ordinal)
            .Replace("{away}", scratch["away.yaml"], StringComparison.Ordinal)
            .Replace("{damaged}", scratch["damaged.yaml"], StringComparison.Ordinal);
        string[] arguments = line.Split(' ');

        var result = await (arguments.Contains("--config") ? SalvorProcess.RunAsync(arguments) : RunAsync(arguments));

        Assert.True(result.ExitCode == 255, $"{result}");
        Assert.Contains(words, result.Stderr, StringComparison.Ordinal);
        Assert.False(File.Exists(scratch["got"]));
    }

    [Fact]
    public async Task A_whole_segment_is_taken_from_another_destination()
    {
        Write("away", $"gone: {{ type: file, path: ./gone }}, there: {{ type: file, path: {real.Vaults} }}", "[gone, there]");

        var result = await SalvorProcess.RunAsync(
            "wal-get", Path.GetFileName(Segment), scratch["got"], "--config", scratch["away.yaml"]);

        Assert.True(result.ExitCode == 0, $"{result}");
    }

    public void Dispose() => scratch.Dispose();

    Task<ProcessResult> RunAsync(params string[] arguments) => SalvorProcess.RunAsync([.. arguments, "--config", real.Config]);

    /// <summary>The last segment, of which the vault has the beginning.</summary>
    async Task<string> BegunAsync()
    {
        var plan = await real.PlanAsync(new RecoveryTarget.Latest());
        return Salvor.Vault.Wal.WalSegment.Of(1, plan.Log.End.Floor(PostgresServer.SegmentBytes), PostgresServer.SegmentBytes).Name;
    }

    void Write(string name, string destinations, string to) => File.WriteAllText(
        scratch[$"{name}.yaml"],
        $$"""
        destinations: { {{destinations}} }
        sources: { pg: { type: postgres, connection: "user=postgres", to: {{to}} } }

        """);
}
