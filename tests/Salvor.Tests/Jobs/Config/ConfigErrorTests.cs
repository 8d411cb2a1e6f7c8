using Salvor.Jobs.Config;
using static Salvor.Tests.Jobs.Config.ConfigTesting;

namespace Salvor.Tests.Jobs.Config;

public sealed class ConfigErrorTests
{
    const string SourceKeys =
        "Known keys are type, path, paths, to, batch, max_block, max_wal, max_outbox, max_total_size, snapshot_every, compression, keep, "
        + "max_backups, retention_days, verify, drill, prune, hooks, state_dir, encryption, rpo, max_backup_age, max_verify_age "
        + "and max_drill_age.";

    [Theory]
    [InlineData("typ", "type")]
    [InlineData("pth", "path")]
    [InlineData("pahts", "paths")]
    [InlineData("too", "to")]
    [InlineData("Batch", "batch")]
    [InlineData("max-block", "max_block")]
    [InlineData("maxwal", "max_wal")]
    [InlineData("statedir", "state_dir")]
    public void A_misspelt_key_of_a_source_is_named_with_the_key_that_was_meant(string key, string meant) => AssertError(
        "4:57",
        $"unknown key \"{key}\" in source app",
        $"Did you mean \"{meant}\"? {SourceKeys}",
        Minimal.Replace("to: [local] }", $"to: [local], {key}: 1 }}"));

    [Fact]
    public void A_key_like_no_other_is_named_with_the_known_keys() => AssertError(
        "4:57", "unknown key \"retention\" in source app", SourceKeys, Minimal.Replace("to: [local] }", "to: [local], retention: 1 }"));

    [Theory]
    [InlineData("destination", "destinations")]
    [InlineData("surces", "sources")]
    [InlineData("Restore", "restore")]
    [InlineData("logs", "log")]
    public void A_misspelt_section_is_named_with_the_section_that_was_meant(string key, string meant) => AssertError(
        "5:1",
        $"unknown key \"{key}\" in the configuration",
        $"Did you mean \"{meant}\"? Known keys are destinations, sources, restore, log, metrics and notifications.",
        $"{Minimal}\n{key}: 1");

    [Fact]
    public void A_misspelt_key_of_a_destination_is_named() => AssertError(
        "2:34",
        "unknown key \"paht\" in destination local",
        "Did you mean \"path\"? Known keys are type, path, required, on_incomplete and price_per_gb_month.",
        Minimal.Replace("path: /backups", "path: /b, paht: /c"));

    [Theory]
    [InlineData("4:87", "{ commits: 7d, minutes: 1d }", "keep of source app has minutes for no longer than commits")]
    [InlineData("4:84", "{ minutes: 7d, days: 7d }", "keep of source app has days for no longer than minutes")]
    public void A_rung_that_does_not_reach_further_than_a_finer_one_is_named(string place, string keep, string message) => AssertError(
        place,
        message,
        "Each rung reaches further back than the finer one before it, for example "
            + "{ commits: 24h, minutes: 7d, hours: 30d, days: 1y }.",
        Minimal.Replace("to: [local] }", $"to: [local], keep: {keep} }}"));

    [Fact]
    public void A_ladder_without_rungs_is_refused() => AssertError(
        "4:63",
        "keep of source app is empty",
        "Write keep: { commits: 24h, minutes: 7d, hours: 30d, days: 1y }.",
        Minimal.Replace("to: [local] }", "to: [local], keep: {} }"));

    [Fact]
    public void A_misspelt_rung_is_named() => AssertError(
        "4:65",
        "unknown key \"minute\" in keep of source app",
        "Did you mean \"minutes\"? Known keys are commits, minutes, hours and days.",
        Minimal.Replace("to: [local] }", "to: [local], keep: { minute: 1d } }"));

    [Fact]
    public void A_misspelt_key_of_the_log_is_named() => AssertError(
        "5:8", "unknown key \"levle\" in log", "Did you mean \"level\"? Known keys are level and format.",
        $"{Minimal}\nlog: {{ levle: info }}");

    [Theory]
    [InlineData(
        "command: pg_dump app", "4:44", "command of source db is one text with blanks, and no shell takes it apart",
        "Write each argument by itself: command: [pg_dumpall, --clean].")]
    [InlineData(
        "command: \"true\", environment: { 1A: x }", "4:67", "\"1A\" in environment of source db is not the name of a variable",
        "Names are letters, digits and _: environment: { PGPASSWORD: \"file:/etc/salvor/pg.password\" }.")]
    [InlineData(
        "command: \"true\", file_name: a/b", "4:63", "file_name of source db is \"a/b\", which is no name of a file",
        "Write a name without a folder: app.sql.")]
    [InlineData(
        "schedule: every 1h", "4:45", "source db has a schedule and no command", "Add command: [pg_dumpall, --clean].")]
    [InlineData(
        "command: \"true\", hooks: { before_backup: app stop }", "4:76",
        "before_backup of hooks of source db is one text with blanks, and no shell takes it apart",
        "Write each argument by itself: before_backup: [systemctl, stop, app].")]
    public void What_is_wrong_with_a_command_is_named(string keys, string place, string message, string hint) => AssertError(
        place, message, hint,
        $"destinations:\n  local: {{ type: file, path: /backups }}\nsources:\n  db: {{ type: command, to: local, {keys} }}\n");

    [Theory]
    [InlineData(
        "{ chmod: 640 }", "4:65", "chmod of restore of source a is \"640\", which is no permissions",
        "Write octal permissions of directories and files: chmod: \"D750,F640\".")]
    [InlineData(
        "{ chown: \":\" }", "4:65", "chown of restore of source a names nobody", "Write chown: USER, USER:GROUP or :GROUP.")]
    [InlineData(
        "{ chwon: app }", "4:58", "unknown key \"chwon\" in restore of source a",
        "Did you mean \"chown\"? Known keys are chown, owner_by, owner_map and chmod.")]
    [InlineData("{ owner_by: uid }", "4:68", "unknown owner_by \"uid\" in restore of source a", "Known are name and number.")]
    public void What_is_wrong_with_the_owners_of_what_is_restored_is_named(
        string restore, string place, string message, string hint) => AssertError(
        place, message, hint,
        "destinations:\n  local: { type: file, path: /backups }\nsources:\n"
            + $"  a: {{ type: files, paths: [/srv], to: local, restore: {restore} }}\n");

    [Fact]
    public void A_misspelt_key_of_restore_is_named() => AssertError(
        "5:12",
        "unknown key \"scrach\" in restore",
        "Did you mean \"scratch\"? Known keys are scratch.",
        $"{Minimal}\nrestore: {{ scrach: x }}");

    [Theory]
    [InlineData(
        "postgresql://localhost:123456/x", "4:36", "connection of source a: port 123456 is none", "A port is a number from 1 to 65535.")]
    [InlineData(
        "host=localhost sslmode=verify", "4:36", "connection of source a: sslmode=verify is not known",
        "It is one of disable, allow, prefer, require, verify-ca and verify-full.")]
    public void A_connection_that_no_client_would_take_is_named(string connection, string place, string message, string hint) =>
        AssertError(
            place, message, hint,
            "destinations:\n  local: { type: file, path: /backups }\nsources:\n"
                + $"  a: {{ type: postgres, connection: \"{connection}\", to: local }}\n");

    [Theory]
    [InlineData("Salvor")]
    [InlineData("a-b")]
    public void A_slot_that_no_server_would_make_is_named(string slot) => AssertError(
        "4:50", $"slot of source a is \"{slot}\", which cannot be the name of a replication slot",
        "Use at most 63 of the characters a-z 0-9 _.",
        "destinations:\n  local: { type: file, path: /backups }\nsources:\n"
            + $"  a: {{ type: postgres, connection: port=1, slot: {slot}, to: local }}\n");

    [Fact]
    public void A_misspelt_type_is_named_with_the_type_that_was_meant()
    {
        AssertError(
            "2:18",
            "unknown type \"flie\" in destination local",
            "Did you mean \"file\"? Available are file, s3, sftp, azure and gcs.",
            Minimal.Replace("type: file", "type: flie"));
        AssertError(
            "4:16",
            "unknown type \"SQLite\" in source app",
            "Did you mean \"sqlite\"? Available are sqlite, files, command and postgres.",
            Minimal.Replace("type: sqlite", "type: SQLite"));
        AssertError(
            "4:16", "unknown type \"mysql\" in source app", "Available are sqlite, files, command and postgres.",
            Minimal.Replace("type: sqlite", "type: mysql"));
    }

    [Theory]
    [InlineData("type: sqlite, ", "4:8", "type: sqlite")]
    [InlineData("path: /data/app.db, ", "4:8", "path: /var/lib/app/app.db")]
    [InlineData(", to: [local]", "4:8", "to: [local]")]
    public void A_source_without_a_key_that_it_needs_is_refused(string removed, string place, string example) => AssertError(
        place, $"source app has no {example[..example.IndexOf(':')]}", $"Add {example}.", Minimal.Replace(removed, ""));

    [Theory]
    [InlineData("type: file, ", "type: file")]
    [InlineData(", path: /backups", "path: /var/backups/salvor")]
    public void A_destination_without_a_key_that_it_needs_is_refused(string removed, string example) => AssertError(
        "2:10", $"destination local has no {example[..example.IndexOf(':')]}", $"Add {example}.", Minimal.Replace(removed, ""));

    [Fact]
    public void A_source_has_either_path_or_paths() => AssertError(
        "4:57",
        "source app has both path and paths",
        "Keep path for one database, or paths for a pattern.",
        Minimal.Replace("to: [local] }", "to: [local], paths: /x/*.db }"));

    [Theory]
    [InlineData("lcal", "Did you mean \"local\"? ")]
    [InlineData("offsite", "")]
    public void A_dangling_name_is_refused(string name, string suggestion) => AssertError(
        "4:49",
        $"source app goes to \"{name}\", which is not a destination",
        $"{suggestion}Configured are local.",
        Minimal.Replace("[local]", $"[{name}]"));

    [Fact]
    public void A_destination_is_named_once_per_source() => AssertError(
        "4:56", "source app goes to local twice", "Keep one of the two.", Minimal.Replace("[local]", "[local, local]"));

    [Theory]
    [InlineData("[]", "4:48", "to of source app is empty")]
    [InlineData("\"\"", "4:48", "to of source app is empty")]
    [InlineData("{ a: b }", "4:48", "to of source app has a mapping where a text is expected")]
    [InlineData("[[local]]", "4:49", "to of source app has a list where a text is expected")]
    public void A_source_goes_somewhere(string to, string place, string message) =>
        AssertError(place, message, "Write to: [local].", Minimal.Replace("[local]", to));

    [Fact]
    public void Two_sources_cannot_be_one_database() => AssertError(
        "5:3",
        "sources app and b both name /data/app.db",
        "Keep one of them; 'to' takes more than one destination.",
        $"{Minimal}\n  b: {{ type: sqlite, path: /data/x/../app.db, to: [local] }}");

    [Theory]
    [InlineData("path: /data/app.db", "paths: /data/*.db", "/data/app.db")]
    [InlineData("paths: /data/*.db", "path: /data/app.db", "/data/app.db")]
    [InlineData("paths: /data/*.db", "paths: [/data/*.x, /data/*.db]", "/data/*.db")]
    public void A_pattern_cannot_contain_another_source(string first, string second, string shared) => AssertError(
        "5:3",
        $"sources app and b both name {shared}",
        "Keep one of them; 'to' takes more than one destination.",
        $"{Minimal.Replace("path: /data/app.db", first)}\n  b: {{ type: sqlite, {second}, to: [local] }}");

    [Fact]
    public void Two_destinations_in_one_directory_are_one_copy() => AssertError(
        "3:3",
        "destinations local and other are the same place /backups",
        "Move one of them: two copies in one place are one copy.",
        Minimal.Replace("sources:", "  other: { type: file, path: /backups/ }\nsources:"));

    [Theory]
    [InlineData("fast", "batch of source app is \"fast\", which is not a duration")]
    [InlineData("50", "batch of source app is \"50\", which is not a duration")]
    public void What_is_no_duration_is_refused(string text, string message) => AssertError(
        "4:64",
        message,
        "Write a whole number and a unit, for example 250ms, 10m, 36h, 7d, 1y or 1h30m.",
        Minimal.Replace("[local] }", $"[local], batch: {text} }}"));

    [Theory]
    [InlineData("batch", "0s", "4:64", "1ms to 10s")]
    [InlineData("batch", "11s", "4:64", "1ms to 10s")]
    [InlineData("max_block", "999us", "4:68", "1ms to 1m")]
    [InlineData("max_wal", "1023KiB", "4:66", "1MiB to 1TiB")]
    [InlineData("max_wal", "2TiB", "4:66", "1MiB to 1TiB")]
    [InlineData("snapshot_every", "500ms", "4:73", "1s to 30d")]
    [InlineData("snapshot_every", "31d", "4:73", "1s to 30d")]
    [InlineData("max_total_size", "1023KiB", "4:73", "1MiB to 1PiB")]
    public void A_value_out_of_its_range_is_refused(string key, string text, string place, string range) => AssertError(
        place,
        $"{key} of source app is {text}, outside of {range}",
        $"Write {key}: with a value in that range.",
        Minimal.Replace("[local] }", $"[local], {key}: {text} }}"));

    [Theory]
    [InlineData("cheap")]
    [InlineData("-1")]
    [InlineData("1,5")]
    public void A_price_is_an_amount(string price) => AssertError(
        "2:60",
        $"price_per_gb_month of destination local is \"{price}\", which is not an amount",
        "Write price_per_gb_month: 0.023.",
        Minimal.Replace("/backups }", $"/backups, price_per_gb_month: '{price}' }}"));

    [Theory]
    [InlineData("max_backups", "0", "4:70", "1 to 1000000")]
    [InlineData("retention_days", "36501", "4:73", "1 to 36500")]
    public void A_count_out_of_its_range_is_refused(string key, string text, string place, string range) => AssertError(
        place,
        $"{key} of source app is {text}, outside of {range}",
        $"Write {key}: with a value in that range.",
        Minimal.Replace("[local] }", $"[local], {key}: {text} }}"));

    [Fact]
    public void What_is_no_whole_number_is_refused() => AssertError(
        "4:70",
        "max_backups of source app is \"many\", which is not a whole number",
        "Write max_backups: 30.",
        Minimal.Replace("[local] }", "[local], max_backups: many }"));

    [Fact]
    public void A_grace_shorter_than_a_backup_may_take_is_refused() => AssertError(
        "4:73",
        "grace of prune of source app is 23h, and has to be at least 1d",
        "A backup that is being made may need for up to 1d what is condemned meanwhile: write prune: { grace: 7d }.",
        Minimal.Replace("[local] }", "[local], prune: { grace: 23h } }"));

    [Fact]
    public void An_unknown_key_of_prune_is_refused() => AssertError(
        "4:66",
        "unknown key \"evry\" in prune of source app",
        "Did you mean \"every\"? Known keys are every and grace.",
        Minimal.Replace("[local] }", "[local], prune: { evry: 1h } }"));

    [Fact]
    public void An_unknown_key_of_verify_is_refused() => AssertError(
        "4:67",
        "unknown key \"evry\" in verify of source app",
        "Did you mean \"every\"? Known keys are every, deep and keep_image.",
        Minimal.Replace("[local] }", "[local], verify: { evry: 1h } }"));

    [Fact]
    public void What_is_no_size_is_refused() => AssertError(
        "4:66",
        "max_wal of source app is \"big\", which is not a size",
        "Write a number and a unit, for example 512KiB, 16MiB, 5GB or 100 (bytes).",
        Minimal.Replace("[local] }", "[local], max_wal: big }"));

    [Fact]
    public void An_unknown_level_of_the_log_is_refused() => AssertError(
        "5:15",
        "unknown level \"warn1ng\" in log",
        "Did you mean \"warning\"? Known are info, debug and warning.",
        $"{Minimal}\nlog: {{ level: warn1ng }}");

    [Theory]
    [InlineData("/x/[ab].db", "contains [, which patterns here do not know")]
    [InlineData("/x/", "names a directory, not files")]
    [InlineData("/x/a**.db", "has ** inside of a name, where it can only stand for whole directories")]
    public void A_malformed_pattern_is_refused(string pattern, string problem) => AssertError(
        "4:31",
        $"pattern \"{pattern}\" of source app {problem}",
        "Write it like /data/tenants/*.db: * is part of a name, ? one character, ** any directories.",
        Minimal.Replace("path: /data/app.db", $"paths: \"{pattern}\""));

    [Fact]
    public void Patterns_that_begin_in_two_directories_are_refused() => AssertError(
        "4:42",
        "the patterns of source app begin in two directories, /a and /b",
        "Make them two sources.",
        Minimal.Replace("path: /data/app.db", "paths: [ /a/*.db, /b/*.db ]"));

    [Fact]
    public void A_tilde_is_refused_because_only_a_shell_knows_it() => AssertError(
        "4:30",
        "path \"~/app.db\" begins with ~, which has no meaning here",
        "Write ${HOME}/app.db instead.",
        Minimal.Replace("/data/app.db", "~/app.db"));

    [Theory]
    [InlineData("path: /data/app.db", "path: [/a]", "4:30", "path of source app has a list where a text is expected")]
    [InlineData("path: /data/app.db", "path: ", "4:30", "path of source app is empty")]
    public void A_path_is_one_text(string from, string to, string place, string message) =>
        AssertError(place, message, "Write path: /var/lib/app/app.db.", Minimal.Replace(from, to));

    [Theory]
    [InlineData("{ type: sqlite, path: /data/app.db, to: [local] }", "/data/app.db", "a text")]
    [InlineData("{ type: sqlite, path: /data/app.db, to: [local] }", "[]", "a list")]
    public void A_source_is_a_mapping(string from, string to, string kind) => AssertError(
        "4:8",
        $"source app is {kind}, but a mapping of keys to values is expected",
        "Write it as { key: value }.",
        Minimal.Replace(from, to));

    [Fact]
    public void A_configuration_has_destinations_and_sources()
    {
        AssertError(
            "1:1",
            "the configuration has no destinations",
            "Add destinations: with at least one, for example local: { type: file, path: /var/backups/salvor }.",
            "log: { level: info }");
        AssertError(
            "1:1",
            "the configuration has no sources",
            "Add sources: with at least one, for example app: { type: sqlite, path: /var/lib/app/app.db, to: [d] }.",
            "destinations: { d: { type: file, path: /b } }");
        AssertError(
            "2:9",
            "sources is empty",
            "Add at least one, for example app: { type: sqlite, path: /var/lib/app/app.db, to: [d] }.",
            "destinations: { d: { type: file, path: /b } }\nsources:\n");
    }
}
