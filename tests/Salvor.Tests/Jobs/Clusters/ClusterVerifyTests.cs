using System.Text.Json;
using System.Text.RegularExpressions;
using Salvor.Jobs;
using Salvor.Postgres.Restore;
using Salvor.Tests.Cli;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Wal;

namespace Salvor.Tests.Jobs.Clusters;

/// <summary>A deep verification of a cluster says that it comes back only where a server brought it back.</summary>
public sealed class ClusterVerifyTests(ClusterVault real) : IClassFixture<ClusterVault>, IAsyncLifetime
{
    readonly ScratchDirectory scratch = new();

    static CancellationToken Cancel => TestContext.Current.CancellationToken;

    /// <summary>An address in the record of a commit, after which there are others.</summary>
    Lsn Behind => Inside(real.Moments[4].Address);

    /// <summary>One in the last record that the backup needs to be consistent.</summary>
    Lsn Within => Inside(real.Backup.Log.End);

    public async ValueTask InitializeAsync()
    {
        await real.CopyAsync(scratch);
        ClusterVault.Configure(scratch, "verify: { every: 1s }");
    }

    [Fact]
    public async Task What_a_server_recovered_and_checked_is_proved_and_nothing_of_it_stays()
    {
        var plan = await real.PlanAsync(new RecoveryTarget.Latest());

        var deep = await RunAsync("verify", "pg", "--deep");
        var shallow = await RunAsync("verify", "pg", "--json");
        var status = await RunAsync("status", "pg");

        Assert.True(deep.ExitCode == 0, $"{deep}");
        var said = Regex.Match(
            deep.Stdout,
            $@"recovered to ([0-9A-F/]+) of timeline 1 by PostgreSQL {PostgresServer.Major} from backup 1: 5 transaction\(s\) of its log, "
                + @"the last of [-0-9T:.Z]+, checked with pg_amcheck \(");
        Assert.True(said.Success, deep.Stdout);
        Assert.True(Lsn.TryParse(said.Groups[1].Value, out var replayed) && replayed >= plan.Promised, $"{plan.Promised}: {deep}");
        Assert.Matches(@"\ncan be recovered to: timeline 1 from ", deep.Stdout);
        Assert.True(shallow.ExitCode == 0, $"{shallow}");
        JsonTests.AssertDocument("verify", shallow);
        Assert.Contains(
            $"proved restorable up to {replayed}, by PostgreSQL {PostgresServer.Major}\n", status.Stdout, StringComparison.Ordinal);
        AssertNothingStays();
    }

    [Theory]
    [InlineData("a lost object", @"no base backup leads past [0-9A-F/]+, and the log of timeline 1 goes on to [0-9A-F/]+ \(recovery\)")]
    [InlineData("a rotten object", @"wal/000001/\S+ at \S+/pg: .+ \(\w+\); .+\nhint: There is no other copy")]
    [InlineData(
        "a record that is none",
        @"the server stopped at [0-9A-F/]+, and the log goes on to [0-9A-F/]+: at [0-9A-F/]+ the record there does not match its checksum "
            + @"\(recovery\); the cluster does not come back with all that was committed\nhint: Make a base backup now with ")]
    public async Task A_log_that_does_not_lead_to_its_end_is_damage(string damage, string expected)
    {
        await DamageAsync(damage);

        var deep = await RunAsync("verify", "pg", "--deep");

        Assert.Equal(damage == "a lost object", deep.Stdout.Contains("\ngap: ", StringComparison.Ordinal));
        Assert.True(deep.ExitCode == 5, $"{deep}");
        Assert.Matches(expected, deep.Stderr);
        Assert.DoesNotContain(" by PostgreSQL ", deep.Stdout, StringComparison.Ordinal);
        AssertNothingStays();
    }

    [Fact]
    public async Task A_backup_without_all_of_its_own_log_is_damage_and_opens_no_window()
    {
        await RewriteAsync(scratch["vaults"], Within, flips: false);

        var result = await RunAsync("verify", "pg");

        Assert.True(result.ExitCode == 5, $"{result}");
        Assert.Contains($": it needs the log {real.Backup.Log}, and that is missing from ", result.Stderr, StringComparison.Ordinal);
        Assert.Contains("\ncan be recovered to: nothing\n", result.Stdout, StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_is_stopped_leaves_nothing()
    {
        await using var process = SalvorProcess.Start("verify", "pg", "--deep", "--config", scratch["salvor.yaml"]);
        await Eventually.HoldsAsync(() => File.Exists(scratch["restored/verify-pg/data/PG_VERSION"]), () => process.Stderr);
        process.Send(Signal.Interrupt);
        var result = await process.ExitAsync();

        Assert.True(result.ExitCode == 130, $"{result}");
        AssertNothingStays();
    }

    [Fact]
    public async Task Where_no_server_of_its_version_is_nothing_is_said_to_be_proved()
    {
        var lack = $"PostgreSQL {PostgresServer.Major} is not installed here: ";
        var hint = $"Install it ('apt-get install postgresql-{PostgresServer.Major}'): no other version can read this cluster.";
        await using var verifying = ClusterVault.Without(scratch, "/usr/lib/postgresql", "verify", "pg", "--deep");
        var result = await verifying.ExitAsync();
        var status = await RunAsync("status", "pg");

        Assert.True(result.ExitCode == 1, $"{result}");
        Assert.StartsWith(
            $"salvor: every chunk of a base backup of pg was read, and it was not recovered, so nothing proves that it can be: {lack}",
            result.Stderr, StringComparison.Ordinal);
        Assert.EndsWith($"\nhint: {hint}\n", result.Stderr, StringComparison.Ordinal);
        Assert.DoesNotContain(" by PostgreSQL ", result.Stdout, StringComparison.Ordinal);
        Assert.Contains($"warning: it was not recovered, so nothing new is proved: {lack}", status.Stdout, StringComparison.Ordinal);
        Assert.DoesNotContain("proved restorable", status.Stdout, StringComparison.Ordinal);

        await using var daemon = ClusterVault.Without(scratch, "/usr/lib/postgresql", "daemon");
        await Eventually.HoldsAsync(
            () => daemon.Stderr.Contains(
                $"pg: its copies were verified, and nothing proves that they can be recovered: {lack}", StringComparison.Ordinal),
            () => daemon.Stderr);
        await daemon.KillAsync();
    }

    [Fact]
    public async Task Without_the_extension_of_the_check_every_row_is_read()
    {
        await using var verifying = ClusterVault.Without(
            scratch, $"/usr/share/postgresql/{PostgresServer.Major}/extension", "verify", "pg", "--deep", "--json");
        var result = await verifying.ExitAsync();

        Assert.True(result.ExitCode == 0, $"{result}");
        JsonTests.AssertDocument("verify", result);
        var restore = JsonElement.Parse(result.Stdout).GetProperty("sources")[0].GetProperty("restore");
        Assert.Equal("pg_dumpall", restore.GetProperty("check").GetString());
        Assert.Equal(PostgresServer.Major, restore.GetProperty("cluster").GetProperty("major").GetInt32());
    }

    public ValueTask DisposeAsync()
    {
        scratch.Dispose();
        return default;
    }

    /// <summary>No page begins there, so that it is a record that is hit.</summary>
    internal static Lsn Inside(Lsn end)
    {
        Assert.True(end.Value % 8192 > 64, $"{end} is at the beginning of a page");
        return new Lsn(end.Value - 12);
    }

    Task<ProcessResult> RunAsync(params string[] arguments) =>
        SalvorProcess.RunAsync([.. arguments, "--config", scratch["salvor.yaml"]]);

    void AssertNothingStays() => Assert.Empty(Directory.GetDirectories(scratch["restored"]));

    async Task DamageAsync(string damage)
    {
        Directory.CreateDirectory(scratch["restored"]);
        if (damage != "a rotten object")
        {
            await RewriteAsync(scratch["vaults"], Behind, flips: damage != "a lost object");
            return;
        }

        var vault = await Destinations.FindVaultAsync(scratch["vaults"], "pg", null, Cancel);
        var entry = (await WalCatalog.LoadAsync(vault, Cancel)).Objects(1).First(item => item.Range.Has(Behind));
        using var file = File.OpenHandle(Path.Combine(scratch["vaults"], "pg", entry.Key), FileMode.Open, FileAccess.ReadWrite);
        var (at, bytes) = (RandomAccess.GetLength(file) / 2, new byte[1]);
        RandomAccess.Read(file, bytes, at);
        bytes[0] ^= 1;
        RandomAccess.Write(file, bytes, at);
    }

    /// <summary>Stores the log anew as if the server had written another byte there, or as if it had never been had.</summary>
    internal static async Task RewriteAsync(string vaults, Lsn address, bool flips)
    {
        var vault = await Destinations.FindVaultAsync(vaults, "pg", null, Cancel);
        var catalog = await WalCatalog.LoadAsync(vault, Cancel);
        var hit = catalog.Objects(1).Where(entry => entry.Range.Has(address)).ToList();
        var shape = await WalReader.ShapeAsync(vault, hit[0], Cancel);
        var whole = new WalRange(hit.Min(entry => entry.Range.First), hit.Max(entry => entry.Range.End));
        var bytes = new byte[whole.Length];
        using (var reader = new WalReader(catalog))
        {
            await reader.ReadAsync(1, whole.First, bytes, Cancel);
        }

        foreach (var entry in hit)
        {
            File.Delete(Path.Combine(vaults, "pg", entry.Key));
        }

        bytes[address - whole.First] ^= (byte)(flips ? 1 : 0);
        WalRange[] parts = flips ? [whole] : [whole with { End = address }, whole with { First = address + 1 }];
        foreach (var part in parts.Where(part => !part.IsEmpty))
        {
            var content = bytes.AsMemory((int)(part.First - whole.First), (int)part.Length);
            await new WalWriter(vault, 1, 1, shape).StoreAsync(part.First, content, default, default, Cancel);
        }
    }
}
