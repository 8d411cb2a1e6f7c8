using Salvor.Jobs.Config;
using Salvor.Tests.Tidy;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

/// <summary>Each key of the table once: misspelt, of a wrong type, as its example, in the schema, and in what is effective.</summary>
public sealed class ConfigKeysTests
{
    /// <summary>What a mapping needs besides the key in question.</summary>
    static readonly Dictionary<string, string[]> Needed = new()
    {
        ["configuration"] = ["destinations", "sources"],
        ["file"] = ["type", "path"], ["s3"] = ["type", "bucket"], ["gcs"] = ["type", "bucket"], ["sftp"] = ["type", "host", "path"],
        ["azure"] = ["type", "account", "container"], ["sqlite"] = ["type", "path", "to"], ["files"] = ["type", "paths", "to"],
        ["object_lock"] = ["mode", "days"],
        ["maintain"] = ["access_key_id", "secret_access_key"], ["sql"] = ["sql"], ["command_check"] = ["command"], ["url"] = ["url"],
        ["command"] = ["type", "command", "to"], ["postgres"] = ["type", "connection", "to"],
        ["sql_of_cluster"] = ["sql"], ["exists"] = ["exists"],
        ["metrics"] = ["listen"], ["email"] = ["host", "from", "to"], ["webhook"] = ["url"], ["ping"] = ["url"],
        ["schedule"] = ["cron"],
    };

    /// <summary>Each mapping of the file, with the keys that lead to it.</summary>
    static readonly (ConfigSection Section, ConfigKey[] Way)[] Sections = [.. Walk(ConfigKeys.Root, [])];

    public static TheoryData<string, string> All
    {
        get
        {
            var all = new TheoryData<string, string>();
            foreach (var (section, key) in Sections.SelectMany(item => item.Section.Keys.Select(key => (item.Section, key))))
            {
                all.Add(section.Definition, key.Name);
            }

            return all;
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Misspelt_it_is_named_with_its_place_and_what_was_meant(string section, string key)
    {
        var (text, line, column) = Write(section, key, $"{key}x", ExampleOf(section, key));

        var problem = Assert.Single(Problems(text), problem => problem.Message.Contains("unknown key", StringComparison.Ordinal));
        Assert.StartsWith($"{FileName}:{line}:{column}: unknown key \"{key}x\" in ", problem.Message, StringComparison.Ordinal);
        Assert.StartsWith($"Did you mean \"{key}\"? Known keys are ", problem.Hint, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Of_a_wrong_type_it_is_named_with_its_place(string section, string key)
    {
        var known = Find(section, key);
        foreach (var wrong in WrongFor(known))
        {
            var (text, line, column) = Write(section, key, key, wrong);
            var place = $"{FileName}:{line}:{column + key.Length + 2}: ";
            Assert.True(
                Problems(text).Any(problem => problem.Message.StartsWith(place, StringComparison.Ordinal) && problem.Hint.Length > 0),
                $"{wrong} for {key} of {section} at {place} is not found among {string.Join('\n', Problems(text).Select(e => e.Message))}");
        }
    }

    [Theory]
    [MemberData(nameof(All))]
    public void Its_example_is_right(string section, string key)
    {
        var (text, line, _) = Write(section, key, key, ExampleOf(section, key));

        Assert.DoesNotContain(Problems(text), problem => problem.Message.StartsWith($"{FileName}:{line}:", StringComparison.Ordinal));
    }

    [Fact]
    public void The_schema_in_the_documentation_has_each_of_them_as_it_is()
    {
        var schema = ConfigSchema.Make();
        foreach (var row in All)
        {
            var (section, key) = row.Data;
            var place = section == ConfigKeys.Root.Name ? schema : schema["$defs"]![section]!;
            Assert.NotNull(place["properties"]![key]!["description"]);
        }

        var written = System.Text.Json.Nodes.JsonNode.Parse(Checkout.Read("docs/json/config.schema.json"));
        Assert.True(
            System.Text.Json.Nodes.JsonNode.DeepEquals(schema, written),
            "run 'salvor config schema > docs/json/config.schema.json'");
    }

    [Fact]
    public void What_is_effective_says_each_key_of_a_source_and_means_the_same_again()
    {
        const string Text = """
            destinations:
              local: { type: file, path: /backups, required: true, on_incomplete: warn, price_per_gb_month: 0.02 }
              slow:
                { type: sftp, host: h, path: /p, password: "${B}", max_upload: 20MiB/s, max_download: 500KB/s, max_concurrent_uploads: 3 }
              bucket:
                { type: s3, bucket: acme, prefix: a/b, region: eu-west-1, endpoint: "https://s3.example.com", path_style: false,
                  storage_class: STANDARD_IA, sse: "aws:kms", kms_key: alias/k, access_key_id: "${A}", secret_access_key: "${B}",
                  object_lock: { mode: compliance, days: 30 }, maintain: { access_key_id: "${A}", secret_access_key: "${B}" } }
              cloud: { type: gcs, bucket: acme, storage_class: NEARLINE, access_key_id: "${A}", secret_access_key: "${B}" }
              nas: { type: sftp, host: nas, port: 2222, user: "me", path: /srv, key_file: /k, known_hosts: /h, host_key: ssh-ed25519 AAAA }
              blobs: { type: azure, account: acme1, container: salvor, prefix: p, account_key: "aaaa" }
            sources:
              app:
                { type: sqlite, path: "/data/a $$b.db", to: [local, bucket, nas, blobs], batch: 2s, max_block: 100ms, max_wal: 2GiB,
                  max_outbox: 1GiB, max_total_size: 5GiB, snapshot_every: 12h, compression: "zstd:3", keep: { commits: 2d, days: 30d },
                  max_backups: 3, retention_days: 4, verify: { every: 2d, deep: false, keep_image: false }, prune: { grace: 2d },
                  drill: { every: weekly, rto: 5m, rpo: 1h, max_age: 25h, max_shrink: 20%, keep_reports: 3, checks: [
                    { name: there, sql: "SELECT '${B}'", expect: ">= 1" }, { command: "true", timeout: 1s } ] },
                  hooks: { before_restore: [stop, app] }, rpo: 5m, max_backup_age: off, max_verify_age: 2d, max_drill_age: 40d,
                  state_dir: /state, encryption: { key_file: /key, key_saved: true } }
              many: { type: sqlite, paths: [/t/*.db, /t/*.sqlite], to: [local], verify: off, encryption: { passphrase: "secret one" } }
            restore: { scratch: /scratch }
            log: { level: debug }
            metrics: { listen: "127.0.0.1:9188", token: "${B}" }
            """;
        var shown = YamlOutput.Write(EffectiveConfig.Of(Parse(Text, ("A", "id-of-mine"), ("B", "a secret that is two"))));

        var app = EffectiveConfig.Of(Parse(Text, ("A", "a"), ("B", "b of sixteen bytes")).Sources["app"]);
        Assert.Equal(
            ConfigKeys.Source.Names.Except(["paths"]).Order(), app.Select(item => item.Key).Order());
        Assert.DoesNotContain("secret one", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("a secret that is two", shown, StringComparison.Ordinal);
        Assert.DoesNotContain("id-of-mine", shown, StringComparison.Ordinal);
        var again = shown.Replace(EffectiveConfig.Masked, "aaaaaaaaaaaaaaaa", StringComparison.Ordinal);
        Assert.Equal(shown, YamlOutput.Write(EffectiveConfig.Of(Parse(again))));
        Assert.Equal("/data/a $b.db", Parse(again).Sources["app"].Path);
    }

    [Fact]
    public void What_is_effective_says_each_key_of_a_source_of_files_and_means_the_same_again()
    {
        const string Text = """
            destinations: { local: { type: file, path: /backups } }
            sources:
              tree:
                { type: files, paths: [/srv/a, /srv/b], exclude: ["*.tmp", /srv/a/cache/], exclude_if_present: .nobackup,
                  exclude_caches: true, one_file_system: true, to: local, verify: off, databases: as_files,
                  warn_of_anomalies: false,
                  restore: { chown: "app:app", owner_by: number, owner_map: /etc/owners, chmod: "D750,F640" },
                  schedule: { cron: 30 2 * * *, time_zone: Europe/Berlin, jitter: 5m, catch_up: false },
                  compression: "zstd:3", max_backups: 3, retention_days: 4,
                  prune: { grace: 2d }, max_backup_age: 2d, max_verify_age: 3d, state_dir: /state, hooks: { before_backup: sync },
                  max_drill_age: 40d, drill: { every: weekly, rto: 5m, checks: [ { exists: /srv/a/x, name: there } ] },
                  encryption: { key_file: /key } }
            """;
        var shown = EffectiveConfig.Of(Parse(Text));

        Assert.Equal(ConfigKeys.Files.Names.Order(), shown["sources"]!["tree"]!.AsObject().Select(item => item.Key).Order());
        var again = YamlOutput.Write(shown);
        Assert.Equal(again, YamlOutput.Write(EffectiveConfig.Of(Parse(again))));
    }

    [Fact]
    public void What_is_effective_says_each_key_of_a_source_of_a_command_and_shows_no_argument()
    {
        const string Text = """
            destinations: { local: { type: file, path: /backups } }
            sources:
              db:
                { type: command, command: [pg_dump, "--dbname=postgres://me:${B}@host/app"], environment: { PGPASSWORD: "${A}" },
                  timeout: 2h, file_name: app.sql, allow_empty: true, schedule: every 15m, to: local, compression: "zstd:3",
                  verify: off, max_verify_age: 3d, max_backups: 3, retention_days: 4, prune: { grace: 2d },
                  max_backup_age: 2d, max_drill_age: 40d, state_dir: /state,
                  hooks: { before_backup: [curl, "http://x/${B}"], after_backup: "true", timeout: 2m }, encryption: { key_file: /key } }
            """;
        var shown = EffectiveConfig.Of(Parse(Text, ("A", "first secret"), ("B", "second secret")));

        Assert.Equal(ConfigKeys.Command.Names.Order(), shown["sources"]!["db"]!.AsObject().Select(item => item.Key).Order());
        var again = YamlOutput.Write(shown);
        Assert.Equal(again, YamlOutput.Write(EffectiveConfig.Of(Parse(again))));
        Assert.Equal(EffectiveConfig.Masked, $"{shown["sources"]!["db"]!["command"]![1]}");
        Assert.DoesNotContain("first secret", again, StringComparison.Ordinal);
        Assert.DoesNotContain("second secret", again, StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_effective_says_each_key_of_a_cluster_and_no_password()
    {
        const string Text = """
            destinations: { local: { type: file, path: /backups } }
            sources:
              pg:
                { type: postgres, connection: "host=db user=me password=${B}", slot: mine, max_spool: 1GiB, full_every: 2d, rpo: 1m,
                  to: local, schedule: every 6h, compression: "zstd:3", verify: off, max_verify_age: 3d, max_backups: 3, retention_days: 4,
                  prune: { grace: 2d }, max_backup_age: 2d, max_drill_age: 40d, state_dir: /state, drill: { every: weekly,
                    max_shrink: 20%, checks: [ { sql: "SELECT '${B}'", database: app, expect: 1 }, { exists: /PG_VERSION } ] },
                  hooks: { before_backup: "true" }, encryption: { key_file: /key } }
              open: { type: postgres, connection: "postgresql://me@db/x", to: local }
            """;
        var shown = EffectiveConfig.Of(Parse(Text, ("B", "second-secret")));

        Assert.Equal(ConfigKeys.Postgres.Names.Order(), shown["sources"]!["pg"]!.AsObject().Select(item => item.Key).Order());
        Assert.DoesNotContain("second-secret", YamlOutput.Write(shown), StringComparison.Ordinal);
        Assert.Equal("app", $"{shown["sources"]!["pg"]!["drill"]!["checks"]![0]!["database"]}");
        var open = shown["sources"]!["open"]!;
        Assert.Equal("postgresql://me@db/x", $"{open["connection"]}");
        Assert.Equal("salvor_open", $"{open["slot"]}");
        Assert.Contains("1d", $"{open["schedule"]}", StringComparison.Ordinal);
    }

    [Fact]
    public void What_is_effective_has_the_defaults_filled_in() => Assert.Equal(
        """
        destinations:
          local:
            type: file
            path: /backups
            required: false
            on_incomplete: backfill
        sources:
          app:
            type: sqlite
            path: /data/app.db
            to: [local]
            batch: 50ms
            max_block: 200ms
            max_wal: 1GiB
            max_outbox: 4GiB
            snapshot_every: 1d
            compression: zstd:1
            keep: { commits: 1d, minutes: 7d, hours: 30d, days: 1y }
            verify: { every: 1d, deep: true, keep_image: true }
            prune: off
            drill: { every: off, keep_reports: 12 }
            rpo: 10m
            max_backup_age: 1d2h
            max_verify_age: 1d12h
        log:
          level: info
          format: text

        """,
        YamlOutput.Write(EffectiveConfig.Of(Parse(Minimal))));

    [Fact]
    public void All_problems_are_found_and_one_slip_is_one_problem()
    {
        const string Text = """
            destinations:
              local: { type: file, path: /backups, pth: /x }
              broken: { type: flie }
            sources:
              app: { type: sqlite, path: /data/app.db, to: [local, broken], batch: soon, max_wal: big }
              other: { type: sqlite, paht: /data/other.db, to: [locl] }
            log: { levl: debug }
            """;

        Assert.Equal(
            [
                "2:40: unknown key \"pth\" in destination local",
                "3:19: unknown type \"flie\" in destination broken",
                "5:72: batch of source app is \"soon\", which is not a duration",
                "5:87: max_wal of source app is \"big\", which is not a size",
                "6:26: unknown key \"paht\" in source other",
                "6:53: source other goes to \"locl\", which is not a destination",
                "7:8: unknown key \"levl\" in log",
            ],
            Problems(Text).Select(problem => problem.Message[(FileName.Length + 1)..]));
    }

    static IEnumerable<(ConfigSection Section, ConfigKey[] Way)> Walk(ConfigSection section, ConfigKey[] way) =>
        section.Keys.SelectMany(key => key.Sections.SelectMany(inner => Walk(inner, [.. way, key]))).Prepend((section, way));

    static IReadOnlyList<SalvorException> Problems(string text) => ConfigFile.Check(
        text, FileName,
        name => name.Contains("SAS", StringComparison.Ordinal) ? "sig=aaaa"
            : name.StartsWith("PG", StringComparison.Ordinal) ? null
            : new string('a', 24)).Problems;

    static ConfigKey Find(string section, string key) =>
        Sections.First(item => item.Section.Definition == section).Section.Keys.First(item => item.Name == key);

    static string ExampleOf(string section, string key) => Find(section, key).Example is var example && example.StartsWith('$')
        ? $"\"{example}\""
        : example;

    static IEnumerable<string> WrongFor(ConfigKey key) => key.Value switch
    {
        ConfigValue.Texts => ["{ a: b }", "[]"],
        ConfigValue.List => ["{ a: b }", "[]", "nonsense"],
        ConfigValue.Section when key.Words.Count == 0 => ["[a]", "word"],
        ConfigValue.Section or ConfigValue.Named or ConfigValue.Variables => ["[a]", "nonsense"],
        ConfigValue.Plain when key.Words.Count == 0 => ["[a]", "{ a: b }", "\"\""],
        ConfigValue.Path or ConfigValue.Secret => ["[a]", "{ a: b }", "\"\""],
        _ => ["[a]", "{ a: b }", "nonsense", "\"\""],
    };

    /// <summary>A file in which the key stands alone on its line, with what else it takes around it; and where the key is.</summary>
    static (string Text, int Line, int Column) Write(string section, string key, string spelling, string value)
    {
        var (target, way) = Sections.First(item => item.Section.Definition == section);
        var lines = new List<string>();
        var owner = ConfigKeys.Root;
        var indent = "";
        foreach (var (step, inner) in way.Zip(way.Skip(1).Select(OwnerOf).Append(target)))
        {
            AddNeeded(owner.Definition, step.Name);
            lines.Add($"{indent}{step.Name}:");
            indent += "  ";
            if (step.Value is ConfigValue.Named or ConfigValue.List)
            {
                lines.Add(indent + (step.Value == ConfigValue.List ? "-" : step.Name == "sources" ? "app:" : "local:"));
                indent += "  ";
            }

            owner = inner;
        }

        AddNeeded(section, key);
        lines.Add($"{indent}{spelling}: {value}");
        return (string.Join('\n', lines) + "\n", lines.Count, indent.Length + 1);

        ConfigSection OwnerOf(ConfigKey step) => Sections.First(item => item.Section.Keys.Contains(step)).Section;

        void AddNeeded(string name, string besides)
        {
            string[] needed = (name, besides) switch
            {
                ("encryption", "key_saved") => ["key_file"],
                ("maintain", "profile") => [],
                ("schedule", "every") => [],
                ("sqlite", "paths") => ["type", "to"],
                ("email", "password") => ["host", "from", "to", "username"],
                ("email", "username") => ["host", "from", "to", "password"],
                _ => Needed.GetValueOrDefault(name, []),
            };
            lines.AddRange(needed.Where(item => item != besides).Select(item => $"{indent}{item}: {ExampleOf(name, item)}"));
        }
    }
}
