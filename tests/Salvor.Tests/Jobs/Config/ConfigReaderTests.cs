using Microsoft.Extensions.Logging;
using Salvor.Jobs.Config;
using Salvor.Vault.Compaction;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class ConfigReaderTests
{
    [Fact]
    public void Five_lines_are_enough()
    {
        var config = Parse(Minimal);

        Assert.Equal(FileName, config.FileName);
        Assert.Equal(new FileDestinationConfig { Name = "local", Path = "/backups" }, Assert.Single(config.Destinations).Value);
        var source = Assert.Single(config.Sources).Value;
        Assert.Equal("app", source.Name);
        Assert.Equal("/data/app.db", source.Path);
        Assert.Null(source.Paths);
        Assert.Equal(["local"], source.To);
        Assert.Equal(TimeSpan.FromMilliseconds(50), source.Batch);
        Assert.Equal(TimeSpan.FromMilliseconds(200), source.BlockMax);
        Assert.Equal(1L << 30, source.WalMaxBytes);
        Assert.Equal(TimeSpan.FromHours(24), source.SnapshotEvery);
        Assert.Null(source.StateDirectory);
        Assert.Equal(new Ladder(TimeSpan.FromDays(1), TimeSpan.FromDays(7), TimeSpan.FromDays(30), TimeSpan.FromDays(365)), source.Keep);
        Assert.Null(source.TotalSizeMax);
        Assert.Null(config.Restore.Scratch);
        Assert.Equal(LogLevel.Information, config.Log.Level);
    }

    [Fact]
    public void Every_key_can_be_set()
    {
        var config = Parse("""
            log: { level: debug }
            restore: { scratch: /scratch }
            destinations:
              one: { type: file, path: /one }
              two: { type: file, path: /two, price_per_gb_month: 0.023 }
            sources:
              app:
                type: sqlite
                path: /data/app.db
                to: [two, one]
                batch: 1s
                max_block: 20ms
                max_wal: 16MiB
                snapshot_every: 6h
                max_total_size: 5GB
                state_dir: /var/lib/salvor
                keep: { commits: 1h, hours: 2d, days: 10y }
                verify: { every: 7d, deep: false, keep_image: false }
                max_backups: 30
                retention_days: 90
                prune: { every: 12h, grace: 2d }
            """);

        var source = config.Sources["app"];
        Assert.Equal(["two", "one"], source.To);
        Assert.Equal(TimeSpan.FromSeconds(1), source.Batch);
        Assert.Equal(TimeSpan.FromMilliseconds(20), source.BlockMax);
        Assert.Equal(16 << 20, source.WalMaxBytes);
        Assert.Equal(TimeSpan.FromHours(6), source.SnapshotEvery);
        Assert.Equal("/var/lib/salvor", source.StateDirectory);
        Assert.Equal(new Ladder(TimeSpan.FromHours(1), null, TimeSpan.FromDays(2), TimeSpan.FromDays(3650)), source.Keep);
        Assert.Equal(5_000_000_000, source.TotalSizeMax);
        Assert.Equal([null, 0.023m], config.Destinations.Values.Select(destination => destination.PricePerGbMonth));
        Assert.Equal(new VerifyConfig { Every = TimeSpan.FromDays(7), Deep = false, KeepImage = false }, source.Verify);
        Assert.Equal(30, source.BackupsMax);
        Assert.Equal(90, source.RetentionDays);
        Assert.Equal(new PruneConfig { Every = TimeSpan.FromHours(12), Grace = TimeSpan.FromDays(2) }, source.Prune);
        Assert.Equal("/scratch", config.Restore.Scratch);
        Assert.Equal(LogLevel.Debug, config.Log.Level);
    }

    [Fact]
    public void A_source_is_verified_every_day_unless_that_is_turned_off()
    {
        Assert.Equal(TimeSpan.FromDays(1), Parse(Minimal).Sources.Values.Single().Verify.Every);
        Assert.Null(Parse(Minimal.Replace("[local] }", "[local], verify: off }")).Sources.Values.Single().Verify.Every);
    }

    [Theory]
    [InlineData("", null)]
    [InlineData(", keep: { days: 1y }", 24)]
    [InlineData(", max_backups: 3", 24)]
    [InlineData(", retention_days: 3", 24)]
    [InlineData(", max_total_size: 1GiB", 24)]
    [InlineData(", prune: { grace: 2d }", 24)]
    [InlineData(", prune: { every: 6h }", 6)]
    [InlineData(", keep: { days: 1y }, prune: off", null)]
    public void The_daemon_prunes_a_source_that_says_what_to_keep_and_no_other(string keys, int? hours) => Assert.Equal(
        hours is { } known ? TimeSpan.FromHours(known) : null,
        Parse(Minimal.Replace("[local] }", $"[local]{keys} }}")).Sources.Values.Single().Prune.Every);

    [Theory]
    [InlineData("info", LogLevel.Information)]
    [InlineData("debug", LogLevel.Debug)]
    [InlineData("warning", LogLevel.Warning)]
    public void The_log_has_three_levels(string text, LogLevel level) =>
        Assert.Equal(level, Parse($"{Minimal}\nlog: {{ level: {text} }}").Log.Level);

    [Fact]
    public void Things_keep_the_order_of_the_file()
    {
        var config = Parse("""
            destinations:
              z: { type: file, path: /z }
              a: { type: file, path: /a }
            sources:
              y: { type: sqlite, path: /y.db, to: z }
              b: { type: sqlite, path: /b.db, to: a }
            """);

        Assert.Equal(["z", "a"], config.Destinations.Keys);
        Assert.Equal(["y", "b"], config.Sources.Keys);
    }

    [Fact]
    public void Relative_paths_begin_at_the_folder_of_the_file()
    {
        var config = Parse("""
            destinations: { local: { type: file, path: backups } }
            sources: { app: { type: sqlite, path: ../../data/app.db, to: local, state_dir: state } }
            restore: { scratch: ./restored }
            """);

        Assert.Equal("/etc/salvor/backups", ((FileDestinationConfig)config.Destinations["local"]).Path);
        Assert.Equal("/data/app.db", config.Sources["app"].Path);
        Assert.Equal("/etc/salvor/state", config.Sources["app"].StateDirectory);
        Assert.Equal("/etc/salvor/restored", config.Restore.Scratch);
    }

    [Theory]
    [InlineData("paths: /data/tenants/*.db", "/data/tenants/*.db")]
    [InlineData("paths: tenants/*.db", "/etc/salvor/tenants/*.db")]
    [InlineData("paths: [/data/t/*.db, /data/t/**/*.sqlite]", "/data/t/*.db", "/data/t/**/*.sqlite")]
    public void A_source_can_be_many_databases(string keys, params string[] patterns)
    {
        var source = ParseSource($"{{ type: sqlite, {keys}, to: local }}");

        Assert.Null(source.Path);
        Assert.Equal(patterns, source.Paths!.Patterns);
    }

    [Theory]
    [InlineData("no")]
    [InlineData("null")]
    [InlineData("1")]
    [InlineData("1e3")]
    [InlineData("0x10")]
    [InlineData("2026-08-01")]
    [InlineData("A.b_c-9")]
    public void A_name_is_what_is_written_even_where_yaml_would_guess_another_type(string name)
    {
        var config = Parse($$"""
            destinations: { {{name}}: { type: file, path: {{name}} } }
            sources: { {{name}}: { type: sqlite, path: /data/{{name}}, to: [{{name}}] } }
            """);

        Assert.Equal(name, config.Destinations.Keys.Single());
        Assert.Equal($"/etc/salvor/{name}", ((FileDestinationConfig)config.Destinations[name]).Path);
        Assert.Equal([name], config.Sources[name].To);
    }

    [Theory]
    [InlineData("_app")]
    [InlineData(".app")]
    [InlineData("-app")]
    [InlineData("a/b")]
    [InlineData("a b")]
    [InlineData("caf\u00e9")]
    [InlineData("..")]
    public void A_name_that_cannot_be_a_folder_of_a_vault_is_refused(string name)
    {
        const string hint = "Use at most 100 of the characters A-Z a-z 0-9 . _ -, and begin with a letter or a digit.";
        AssertError("4:3", $"\"{name}\" cannot be the name of a source", hint, Minimal.Replace("app:", $"{name}:"));
        AssertError("2:3", $"\"{name}\" cannot be the name of a destination", hint, Minimal.Replace("local:", $"{name}:"));
    }

    [Fact]
    public void A_name_may_have_a_hundred_characters()
    {
        Assert.NotNull(Parse(Minimal.Replace("app:", $"{new string('a', 100)}:")));
        Assert.Throws<SalvorException>(() => Parse(Minimal.Replace("app:", $"{new string('a', 101)}:")));
    }

    [Fact]
    public void An_anchor_gives_its_value_again() => Assert.Equal(
        ["local"],
        Parse("""
            destinations: { local: { type: file, path: /backups } }
            sources:
              a: { type: sqlite, path: /a.db, to: &to [local] }
              b: { type: sqlite, path: /b.db, to: *to }
            """).Sources["b"].To);

    [Fact]
    public void A_merged_anchor_gives_the_keys_that_are_not_written()
    {
        var sources = Parse("""
            destinations: { local: { type: file, path: /backups } }
            sources:
              a: &a { type: sqlite, path: /a.db, to: [local], batch: 1s }
              b: &b { <<: *a, path: /b.db, max_block: 1s }
              c: { <<: [*b, *a], path: /c.db }
            """).Sources;

        Assert.Equal("/c.db", sources["c"].Path);
        Assert.Equal(TimeSpan.FromSeconds(1), sources["c"].Batch);
        Assert.Equal(TimeSpan.FromSeconds(1), sources["c"].BlockMax);
    }
}
