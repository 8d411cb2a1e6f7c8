using System.Text.Json;
using Salvor.Storage;
using Salvor.Tests.Support;
using Salvor.Vault;
using Salvor.Vault.Usage;

namespace Salvor.Tests.Cli;

/// <summary><c>salvor usage</c>: every byte is counted, under the right name.</summary>
public sealed class UsageVerbTests : IAsyncDisposable
{
    readonly CliRig _rig = new();

    public ValueTask DisposeAsync() => _rig.DisposeAsync();

    [Fact]
    public async Task Every_byte_of_a_vault_is_counted_by_kind()
    {
        await MakeVaultAsync();

        using var document = JsonDocument.Parse((await _rig.ExpectAsync(0, "usage", "--from", "vaults", "--json")).Stdout);

        var vault = document.RootElement.GetProperty("vaults")[0];
        var kinds = vault.GetProperty("kinds").EnumerateArray().ToDictionary(
            kind => kind.GetProperty("kind").GetString()!,
            kind => (kind.GetProperty("objects").GetInt64(), kind.GetProperty("bytes").GetInt64()));
        Assert.Equal(OnDisk("log"), kinds["log"]);
        Assert.Equal(OnDisk("packs"), kinds["packs"]);
        Assert.Equal(OnDisk("snapshots"), kinds["snapshots"]);
        Assert.Equal((0, 0), kinds["compacted"]);
        var all = OnDisk("");
        Assert.Equal(all, (vault.GetProperty("objects").GetInt64(), vault.GetProperty("bytes").GetInt64()));
        Assert.Equal(all.Item2, document.RootElement.GetProperty("total").GetProperty("bytes").GetInt64());
        Assert.Equal(new FileInfo(_rig.Database).Length, vault.GetProperty("database_bytes").GetInt64());
        var dedup = (double)new FileInfo(_rig.Database).Length / kinds["packs"].Item2;
        Assert.Equal(Math.Round(dedup, 2), vault.GetProperty("dedup_ratio").GetDouble());
        Assert.True(vault.GetProperty("compression_ratio").GetDouble() > 1);
        Assert.Equal(JsonValueKind.Null, vault.GetProperty("growth_per_day").GetProperty("days1").ValueKind);
        Assert.True(document.RootElement.GetProperty("destinations")[0].GetProperty("free_bytes").GetInt64() > 0);
    }

    [Fact]
    public async Task Growth_is_what_was_stored_in_the_last_days_and_is_still_there()
    {
        await MakeVaultAsync();
        var vault = (await VaultAccess.FindAsync(new FileStore(_rig["vaults"]), "app", default))!;
        foreach (var file in Directory.GetFiles(_rig["vaults/app"], "*", SearchOption.AllDirectories))
        {
            File.SetLastWriteTimeUtc(file, DateTime.UnixEpoch);
        }

        var catalog = await VaultCatalog.LoadAsync(vault, default);
        var last = await catalog.ReadLogAsync(1, catalog.Logs(1).Last, default);
        var now = Micros.ToTime(last.Header.TimeLastMicros) + TimeSpan.FromDays(7);
        var pack = Directory.GetFiles(_rig["vaults/app/packs"])[0];
        var (packBytes, lastBytes) = (new FileInfo(pack).Length, LogBytes(last.Header.Number));
        File.SetLastWriteTimeUtc(pack, now.UtcDateTime - TimeSpan.FromHours(1));

        var usage = await UsageMeter.MeasureAsync(vault, now, default);

        Assert.Equal(new Growth(packBytes, (packBytes + lastBytes) / 7, null), usage.Growth);
        Assert.Equal(1000.0 / ((packBytes + lastBytes) / 7), usage.Growth.DaysTo(1000));
        Assert.Equal(0, usage.Growth.DaysTo(-5));
        Assert.Null(new Growth(0, 0, null).DaysTo(1000));
    }

    [Fact]
    public async Task The_log_is_listed_once()
    {
        await MakeVaultAsync();
        var store = new CountingStore(new FileStore(_rig["vaults"]));
        var vault = (await VaultAccess.FindAsync(store, "app", default))!;

        var usage = await UsageMeter.MeasureAsync(vault, DateTimeOffset.UtcNow, default);

        Assert.True(usage.DatabaseBytes > 0);
        Assert.Equal(1, store.Listed.Count(prefix => "app/log/".StartsWith(prefix, StringComparison.Ordinal)));
    }

    sealed class CountingStore(IObjectStore inner) : ForwardingStore(inner)
    {
        public List<string> Listed { get; } = [];

        public override IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? after, CancellationToken cancellationToken)
        {
            Listed.Add(prefix);
            return base.ListAsync(prefix, after, cancellationToken);
        }
    }

    [Fact]
    public async Task Limits_and_prices_come_from_the_configuration()
    {
        await MakeVaultAsync();
        await File.WriteAllTextAsync(
            _rig["salvor.yaml"],
            """
            destinations:
              local: { type: file, path: ./vaults, price_per_gb_month: 1000 }
              other: { type: file, path: ./other }
            sources:
              app: { type: sqlite, path: ./app/app.db, to: [local, other], max_total_size: 1MiB }

            """);

        var result = await _rig.ConfiguredAsync("usage", "app", "--json");

        Assert.True(result.ExitCode == 0, $"{result}");
        using var document = JsonDocument.Parse(result.Stdout);
        var vault = document.RootElement.GetProperty("vaults").EnumerateArray().Single();
        var bytes = OnDisk("").Bytes;
        Assert.Equal("local", vault.GetProperty("destination").GetString());
        Assert.Equal(1 << 20, vault.GetProperty("max_total_size").GetInt64());
        Assert.Equal((double)Math.Round(1000m * bytes / 1_000_000_000m, 4), vault.GetProperty("cost_per_month").GetDouble());
        var text = (await _rig.ConfiguredAsync("usage", "app")).Stdout;
        Assert.Contains($"  limit 1 MiB, {100.0 * bytes / (1 << 20):0}% of it used\n", text, StringComparison.Ordinal);
        CliRig.AssertError(
            await _rig.ConfiguredAsync("usage", "--dest", "loca"),
            2,
            "nothing is backed up at a destination 'loca'",
            "Did you mean \"local\"? There are vaults at local.");
    }

    [Fact]
    public async Task Without_a_vault_there_is_nothing_to_count()
    {
        _rig.Configure(CliRig.Source("app", "./app/app.db"));

        CliRig.AssertError(
            await _rig.ConfiguredAsync("usage"),
            6,
            "nothing is backed up yet at any destination",
            "Start 'salvor daemon', then try again.");
    }

    /// <summary>Three log objects, at three times.</summary>
    async Task MakeVaultAsync()
    {
        await _rig.CreateDatabaseAsync();
        var replicate = await _rig.ReplicateAsync();
        for (var x = 2; x < 4; x++)
        {
            await _rig.CommitAsync(x);
            await _rig.ExpectAsync(0, "sync", _rig.Database);
        }

        await CliRig.StopAsync(replicate);
        await Tool.SqlAsync(_rig.Database, "PRAGMA wal_checkpoint(TRUNCATE)");
    }

    (long Objects, long Bytes) OnDisk(string folder)
    {
        var files = Directory.GetFiles(_rig[$"vaults/app/{folder}"], "*", SearchOption.AllDirectories);
        return (files.Length, files.Sum(file => new FileInfo(file).Length));
    }

    long LogBytes(ulong number) => new FileInfo(_rig[$"vaults/app/log/000001/{number:D16}"]).Length;
}
