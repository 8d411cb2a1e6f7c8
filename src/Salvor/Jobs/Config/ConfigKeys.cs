using static Salvor.Jobs.Config.ConfigValue;

namespace Salvor.Jobs.Config;

/// <summary>
/// Every key that there is: what the readers accept, what <c>config schema</c> prints for editors, and what the tests misspell one by one.
/// A section is made when it is asked for: all of them would be a tenth of the time of a short command.
/// </summary>
static partial class ConfigKeys
{
    static readonly string[] Off = ["off"];

    static ConfigKey[] OfEveryDestination => field ??=
    [
        new("required", YesNo, "true", "Whether a commit counts as durable only when it is here too (default: false)."),
        new("on_incomplete", Plain, "backfill", "What becomes of a further destination that lacks older history (default: backfill).")
        {
            Words = ["backfill", "refuse", "warn"],
        },
        new("price_per_gb_month", Amount, "0.023", "What a gigabyte costs here in a month, for 'salvor usage'."),
    ];

    /// <summary>Where a network is between.</summary>
    static ConfigKey[] OfEveryRemote => field ??=
    [
        new("max_upload", Rate, "20MiB/s", "How much a second may be sent there (default: as much as goes)."),
        new("max_download", Rate, "50MiB/s", "How much a second may be fetched from there (default: as much as goes)."),
        new("max_concurrent_uploads", Count, "10", "How many calls may be under way at once (default: what its type can do)."),
    ];

    public static ConfigSection File => field ??= Destination(
        "file", new ConfigKey("path", ConfigValue.Path, "/var/backups/salvor", "The folder; made if it does not exist."));

    public static ConfigSection ObjectLock => field ??= new(
        "object_lock",
        [
            new("mode", Plain, "governance", "Who may end a lock before its time.") { Words = ["governance", "compliance"] },
            new("days", Count, "30", "How long what is put cannot be deleted."),
        ]);

    public static ConfigSection Maintain => field ??= new(
        "maintain",
        [
            new("access_key_id", Secret, "${S3_MAINTAIN_KEY_ID}", "As ${NAME}, file:PATH or cmd:COMMAND."),
            new("secret_access_key", Secret, "${S3_MAINTAIN_SECRET_KEY}", "As ${NAME}, file:PATH or cmd:COMMAND."),
            new("session_token", Secret, "${S3_MAINTAIN_SESSION_TOKEN}", "As ${NAME}, file:PATH or cmd:COMMAND."),
            new("profile", Plain, "backups-maintain", "A section of ~/.aws/credentials and ~/.aws/config."),
        ]);

    public static ConfigSection S3 => field ??= Destination(
        "s3",
        new("bucket", Plain, "acme-backups", "The bucket, which is there already."),
        new("prefix", Plain, "salvor", "A folder in it."),
        new("region", Plain, "eu-west-1", "Default: AWS_REGION, AWS_DEFAULT_REGION, the profile, us-east-1."),
        new("endpoint", Plain, "https://s3.example.com", "The URL of another service than Amazon's."),
        new("path_style", YesNo, "true", "Whether the bucket is named in the path (default: with every service but Amazon's)."),
        new("storage_class", Plain, "STANDARD_IA", "The class of large objects that are rarely read."),
        new("sse", Plain, "aes256", "How the service encrypts, besides what Salvor does.") { Words = ["aes256", "aws:kms"] },
        new("kms_key", Plain, "alias/backups", "The key of sse: aws:kms."),
        new("object_lock", Section, "{ mode: governance, days: 30 }", "For how long what is put cannot be deleted.")
        {
            Below = () => [ObjectLock],
        },
        new("profile", Plain, "backups", "A section of ~/.aws/credentials and ~/.aws/config."),
        new("allow_insecure", YesNo, "true", "Whether http may leave this machine (default: false)."),
        new("access_key_id", Secret, "${S3_KEY_ID}", "Default: what the environment, a profile or the machine says."),
        new("secret_access_key", Secret, "${S3_SECRET_KEY}", "As ${NAME}, file:PATH or cmd:COMMAND."),
        new("session_token", Secret, "${S3_SESSION_TOKEN}", "As ${NAME}, file:PATH or cmd:COMMAND."),
        new("maintain", Section, "{ profile: backups-maintain }", "Who deletes for prunes, where the others may not.")
        {
            Below = () => [Maintain],
        });

    public static ConfigSection Google => field ??= Destination(
        "gcs",
        new("bucket", Plain, "acme-backups", "The bucket, which is there already."),
        new("prefix", Plain, "salvor", "A folder in it."),
        new("endpoint", Plain, "https://storage.googleapis.com", "The URL of another service than Google's."),
        new("storage_class", Plain, "NEARLINE", "The class of large objects that are rarely read."),
        new("allow_insecure", YesNo, "true", "Whether http may leave this machine (default: false)."),
        new("access_key_id", Secret, "${GCS_KEY_ID}", "Of an HMAC key; default: GCS_ACCESS_KEY_ID."),
        new("secret_access_key", Secret, "${GCS_SECRET_KEY}", "As ${NAME}, file:PATH or cmd:COMMAND; default: GCS_SECRET_ACCESS_KEY."));

    public static ConfigSection Sftp => field ??= Destination(
        "sftp",
        new("host", Plain, "backup.example.com", "A name, an address, or a Host of the SSH configuration."),
        new("port", Count, "22", "Default: what the SSH configuration says, else 22."),
        new("user", Plain, "salvor", "Default: what the SSH configuration says."),
        new("path", Plain, "/srv/salvor", "The folder; without a slash in front it begins where a login does."),
        new("key_file", ConfigValue.Path, "/etc/salvor/id_ed25519", "The private key."),
        new("key_passphrase", Secret, "${NAS_KEY_PASSPHRASE}", "Of the private key, as ${NAME}, file:PATH or cmd:COMMAND."),
        new("password", Secret, "${NAS_PASSWORD}", "Where no key lets in, as ${NAME}, file:PATH or cmd:COMMAND."),
        new("known_hosts", ConfigValue.Path, "/etc/salvor/known_hosts", "The file of known host keys."),
        new("host_key", Plain, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI...", "The only host key that is accepted."),
        new("allow_weak", YesNo, "true", "Whether a server is written to that cannot promise what backups rest on (default: false)."));

    public static ConfigSection Azure => field ??= Destination(
        "azure",
        new("account", Plain, "acmebackups", "The storage account (default: AZURE_STORAGE_ACCOUNT)."),
        new("container", Plain, "salvor", "The container, which is there already."),
        new("prefix", Plain, "production", "A folder in it."),
        new("endpoint", Plain, "https://acmebackups.blob.core.windows.net", "Where the account's blobs are."),
        new("account_key", Secret, "${AZURE_STORAGE_KEY}", "As ${NAME}, file:PATH or cmd:COMMAND (default: AZURE_STORAGE_KEY)."),
        new("sas_token", Secret, "${AZURE_STORAGE_SAS_TOKEN}", "As ${NAME}, file:PATH or cmd:COMMAND (default: AZURE_STORAGE_SAS_TOKEN)."),
        new("auth", Plain, "identity", "Which of them lets us in.") { Words = ["key", "sas", "identity"] },
        new("allow_insecure", YesNo, "true", "Whether http may leave this machine (default: false)."));

    public static ConfigSection Compression => field ??= new(
        "compression",
        [
            new("codec", Plain, "zstd", "The codec.") { Words = ["zstd", "lz4", "gzip", "none", "true", "false"] },
            new("level", Count, "3", "More is smaller and slower."),
        ]);

    public static ConfigSection Keep => field ??= new(
        "keep",
        [
            new("commits", Duration, "24h", "How long every commit stays a restore point."),
            new("minutes", Duration, "7d", "How long one restore point a minute stays."),
            new("hours", Duration, "30d", "How long one restore point an hour stays."),
            new("days", Duration, "1y", "How long one restore point a day stays."),
        ]);

    public static ConfigSection Verify => field ??= new(
        "verify",
        [
            new("every", Duration, "24h", "The time between two verifications (default: 24h)."),
            new("deep", YesNo, "true", "Whether it restores, and does not only read (default: true)."),
            new("keep_image", YesNo, "true", "Whether what was restored is kept, so that the next time only what is new is applied."),
        ]);

    static ConfigKey CheckName => field ??= new("name", Plain, "users are there", "What reports call it (default: as it is written).");

    static ConfigKey CheckTimeout => field ??= new("timeout", Duration, "1m", "How long it may take (default: 1m).");

    static ConfigKey CheckExpect => field ??= new("expect", Plain, "\">= 100\"", "What the value is to be: a text, or a comparison.");

    /// <summary>What is asked of a restored database: the key of its own name says which it is.</summary>
    public static ConfigSection[] Checks => field ??=
    [
        new("sql", [CheckName, CheckTimeout, new("sql", Plain, "SELECT count(*) FROM users", "A statement with one value."), CheckExpect]),
        new("command", [CheckName, CheckTimeout, new("command", Plain, "test -s {path}", "A command for a shell."), CheckExpect])
        {
            Definition = "command_check",
        },
        new(
            "url",
            [
                CheckName, CheckTimeout, new("url", Plain, "http://127.0.0.1:8080/health", "A page that is to answer."),
                new("status", Count, "200", "The status that it answers with (default: 200)."),
                new("contains", Plain, "ok", "A text in the answer."),
            ]),
    ];

    static ConfigSection Exists => field ??= new(
        "exists", [CheckName, CheckTimeout, new("exists", Plain, "/srv/app/config.yml", "A file that is to be there, with content.")]);

    /// <summary>A cluster has databases to ask, and is a directory.</summary>
    public static ConfigSection DrillOfCluster => field ??= new(
        "drill_of_cluster",
        [
            .. Drill.Keys.Where(key => key.Name != "checks"),
            new("checks", List, "[ { sql: SELECT count(*) FROM users, expect: \">= 100\" } ]", "What is asked of the recovered server.")
            {
                Below = () => [SqlOfCluster, .. Checks.Where(check => check.Name != "sql"), Exists],
            },
        ]);

    static ConfigSection SqlOfCluster => field ??= new(
        "sql",
        [
            .. Checks.First(check => check.Name == "sql").Keys,
            new("database", Plain, "app", "The database that is asked (default: the one of the connection)."),
        ])
    {
        Definition = "sql_of_cluster",
    };

    /// <summary>Of files there is no table to ask.</summary>
    public static ConfigSection DrillOfFiles => field ??= new(
        "drill_of_files",
        [
            .. Drill.Keys.Where(key => key.Name is not ("checks" or "max_shrink")),
            new("checks", List, "[ { exists: /srv/app/config.yml } ]", "What is asked of the restored files.")
            {
                Below = () => [.. Checks.Where(check => check.Name != "sql"), Exists],
            },
        ]);

    public static ConfigSection Drill => field ??= new(
        "drill",
        [
            new("every", Duration, "monthly", "The time between two drills (default: monthly).")
            {
                Words = ["off", "daily", "weekly", "monthly"],
            },
            new("checks", List, "[ { sql: SELECT count(*) FROM users, expect: \">= 100\" } ]", "What is asked of the restored database.")
            {
                Below = () => Checks,
            },
            new("rto", Duration, "5m", "How long a recovery may take."),
            new("rpo", Duration, "15m", "How much of the newest work may be lost."),
            new("max_age", Duration, "25h", "How old a destination's newest complete state may be."),
            new("max_shrink", Plain, "20%", "By how much a table may shrink from one drill to the next (default: by half is a warning)."),
            new("keep_reports", Count, "12", "How many drills the history keeps (default: 12)."),
        ]);

    public static ConfigSection Prune => field ??= new(
        "prune",
        [
            new("every", Duration, "24h", "The time between two prunes (default: 24h)."),
            new("grace", Duration, "7d", "How long what was condemned can be taken back (default: 7d; at least 24h)."),
        ]);

    public static ConfigSection Encryption => field ??= new(
        "encryption",
        [
            new("key_file", ConfigValue.Path, "/etc/salvor/app.key", "A file of random bytes, or an exported key, for its owner only."),
            new("passphrase", Secret, "${APP_PASSPHRASE}", "As ${NAME}, file:PATH or cmd:COMMAND."),
            new("passphrase_file", ConfigValue.Path, "/etc/salvor/app.passphrase", "A file with the passphrase, for its owner only."),
            new("passphrase_command", Secret, "pass show salvor/app", "A command that prints the passphrase."),
            new("passphrase_fd", Count, "3", "A file descriptor from which the passphrase is read."),
            new("credential", Plain, "app-passphrase", "A credential that systemd gives to the service."),
            new("key_saved", YesNo, "true", "Whether the key is safe elsewhere, so that no export is waited for (default: false)."),
        ]);

    public static ConfigSection Hooks => field ??= new(
        "hooks",
        [
            .. HooksConfig.Names.Select(name => new ConfigKey(
                name, Texts, "[systemctl, stop, app]", $"A program with its arguments, run {name.Replace('_', ' ')}s.")),
            new("timeout", Duration, "5m", "How long each may take (default: 5m)."),
        ]);

    public static ConfigSection Source => field ??= new(
        "sqlite",
        [
            new("type", Plain, "sqlite", "What is protected.") { Words = ["sqlite"] },
            new("path", ConfigValue.Path, "/var/lib/app/app.db", "The database file."),
            new("paths", Texts, "/data/tenants/*.db", "A pattern: each file that matches is a database with a vault of its own."),
            new("to", Texts, "[local]", "Names of destinations."),
            new("batch", Duration, "50ms", "How long a commit may wait for others (default: 50ms to a folder, 1s elsewhere)."),
            new("max_block", Duration, "200ms", "How long a writer of a rollback-journal database may be kept waiting (default: 200ms)."),
            new("max_wal", Size, "1GiB", "How large the WAL may grow before Salvor lets go of it (default: 1GiB)."),
            new("max_outbox", Size, "4GiB", "How much may wait on this machine for a destination that does not work (default: 4GiB)."),
            new("max_total_size", Size, "5GB", "How large each vault may grow before the oldest is dropped."),
            new("snapshot_every", Duration, "24h", "How long after a snapshot the next one is made (default: 24h)."),
            new("compression", Section, "zstd:3", "How what is stored is compressed: a codec with a level (default: zstd:1).")
            {
                Words = ["zstd", "lz4", "gzip", "none", "true", "false"], Below = () => [Compression],
            },
            new("keep", Section, "{ commits: 24h, days: 1y }", "How fine restore points stay as they age.") { Below = () => [Keep] },
            new("max_backups", Count, "30", "How many backups stay that did not ask for days of their own."),
            new("retention_days", Count, "90", "For how many days backups stay that did not ask for days of their own."),
            new("verify", Section, "{ every: 24h }", "How the daemon proves that the source can be restored.")
            {
                Words = ["off"], Below = () => [Verify],
            },
            new("drill", Section, "{ every: monthly }", "How the daemon rehearses a recovery (default: off).")
            {
                Words = ["off"], Below = () => [Drill],
            },
            new("prune", Section, "{ every: 24h }", "How the daemon drops what nothing keeps.") { Words = ["off"], Below = () => [Prune] },
            new("hooks", Section, "{ before_backup: [sync] }", "What is run before and after backups and restores.")
            {
                Below = () => [Hooks],
            },
            new("state_dir", ConfigValue.Path, "/var/lib/salvor", "The folder of local state (default: .salvor beside the database)."),
            new("encryption", Section, "{ key_file: /etc/salvor/app.key }", "Where the secret is that opens the vaults.")
            {
                Below = () => [Encryption],
            },
            new("rpo", Duration, "10m", "How old the oldest commit may be that is not durable (default: 10m).") { Words = Off },
            new("max_backup_age", Duration, "26h", "How old the last snapshot or backup may be (default: 26h).") { Words = Off },
            new("max_verify_age", Duration, "36h", "How old the last good verification may be (default: 36h).") { Words = Off },
            new("max_drill_age", Duration, "35d", "How old the last good drill may be (default: 35d, once there was one).") { Words = Off },
        ]);

    /// <summary>Of every source that has snapshots alone.</summary>
    static ConfigKey[] OfSnapshots => field ??=
    [
        new("schedule", Section, "every 15m", "When the daemon makes a backup: every so often, or five fields of cron (default: never).")
        {
            Words = Off, Below = () => [Schedule],
        },
        .. Source.Keys.Where(key => key.Name is "to" or "compression" or "max_backups" or "retention_days" or "verify" or "prune"
            or "hooks" or "state_dir" or "encryption" or "max_verify_age" or "max_drill_age"),
        new("drill", Section, "{ every: monthly }", "How the daemon rehearses a recovery (default: off).")
        {
            Words = Off, Below = () => [DrillOfFiles],
        },
        new("max_backup_age", Duration, "26h", "How old the last backup may be (default: what the schedule says, else 26h).")
        {
            Words = Off,
        },
    ];

    public static ConfigSection Schedule => field ??= new(
        "schedule",
        [
            new("cron", Plain, "30 2 * * *", "Five fields of cron: minute, hour, day of the month, month, day of the week."),
            new("every", Duration, "15m", "The time between two backups, in place of cron."),
            new("time_zone", Plain, "Europe/Berlin", "Whose clocks cron goes by (default: UTC)."),
            new("jitter", Duration, "5m", "By how much a backup may be later, so that many do not begin at once (default: 0s)."),
            new("catch_up", YesNo, "false", "Whether what was missed while nothing ran is made up for, once (default: true)."),
        ]);

    public static ConfigSection Files => field ??= new(
        "files",
        [
            new("type", Plain, "files", "What is protected.") { Words = ["files"] },
            new("paths", Texts, "[/srv/app/uploads]", "Directories and files."),
            new("exclude", Texts, "[\"*.tmp\"]", "Patterns of what is left out, as in .gitignore."),
            new("exclude_if_present", Texts, "[.nobackup]", "Leaves out what is in a directory with a file of this name."),
            new("exclude_caches", YesNo, "true", "Leaves out what is in a directory with a CACHEDIR.TAG (default: false)."),
            new("one_file_system", YesNo, "true", "Leaves out what is mounted below the paths (default: false)."),
            new("warn_of_anomalies", YesNo, "false", "Whether backups warn of what ransomware leaves behind (default: true)."),
            new("databases", Plain, "copy", "How databases of SQLite that apps write to are kept (default: copy, as of one commit).")
            {
                Words = ["copy", "as_files"],
            },
            new("restore", Section, "{ chown: \"app:app\" }", "Owners and permissions of what is restored.")
            {
                Below = () => [OwnersRestored],
            },
            .. OfSnapshots,
        ]);

    public static ConfigSection OwnersRestored => field ??= new(
        "restore of files",
        [
            new("chown", Plain, "app:app", "The user and group that all is given to (default: owners stay)."),
            new("owner_by", Plain, "name", "By what owners are found again (default: name).") { Words = ["name", "number"] },
            new("owner_map", ConfigValue.Path, "/etc/salvor/owners", "The file that says whom owners become."),
            new("chmod", Plain, "D750,F640", "Permissions of directories and files, in octal (default: they stay)."),
        ]);

    public static ConfigSection Command => field ??= new(
        "command",
        [
            new("type", Plain, "command", "What is protected.") { Words = ["command"] },
            new("command", Texts, "[pg_dumpall, --clean]", "A program with its arguments: what it prints is backed up."),
            new("environment", Variables, "{ PGPASSWORD: \"${DB_PASSWORD}\" }", "Variables that the command is given."),
            new("timeout", Duration, "1h", "How long the command may take (default: 1h)."),
            new("file_name", Plain, "app.sql", "What its output is called in backups (default: the name of the source)."),
            new("allow_empty", YesNo, "true", "Whether a command that prints nothing makes a backup (default: false)."),
            .. OfSnapshots,
        ]);

    public static ConfigSection Postgres => field ??= new(
        "postgres",
        [
            new("type", Plain, "postgres", "What is protected.") { Words = ["postgres"] },
            new("connection", Secret, "postgresql://salvor@localhost/postgres", "The server, as psql takes it: a URI or words."),
            new("slot", Plain, "salvor", "The replication slot, made where it is absent (default: salvor_ and the name of the source)."),
            new("max_spool", Size, "8GiB", "How much log may wait on this machine for a destination that does not work (default: 8GiB)."),
            new("full_every", Duration, "7d", "How long after a full base backup only what changed is read; 0s: never (default: 7d)."),
            Source.Keys.First(key => key.Name == "rpo"),
            .. OfSnapshots.Where(key => key.Name is not ("schedule" or "drill")),
            new("drill", Section, "{ every: monthly }", "How the daemon rehearses a recovery (default: off).")
            {
                Words = Off, Below = () => [DrillOfCluster],
            },
            new("schedule", Section, "every 24h", "When the daemon makes a base backup, as every so often or by cron (default: every 24h).")
            {
                Words = Off, Below = () => [Schedule],
            },
        ]);

    public static ConfigSection Restore => field ??= new(
        "restore", [new("scratch", ConfigValue.Path, "/var/tmp/salvor", "Where restores without --output make their folders.")]);

    public static ConfigSection Log => field ??= new(
        "log",
        [
            new("level", Plain, "info", "How much the log tells (default: info).") { Words = ["info", "debug", "warning"] },
            new("format", Plain, "json", "How each line is written (default: text).") { Words = ["text", "json"] },
        ]);

    public static ConfigSection Metrics => field ??= new(
        "metrics",
        [
            new("listen", Plain, "127.0.0.1:9188", "The address and port where the daemon answers."),
            new("token", Secret, "${SALVOR_METRICS_TOKEN}", "What others must know, as ${NAME}, file:PATH or cmd:COMMAND."),
            new("token_file", ConfigValue.Path, "/etc/salvor/metrics.token", "The file with it."),
            new("otlp", Plain, "http://127.0.0.1:4318", "The collector that metrics are sent to (default: OTEL_EXPORTER_OTLP_ENDPOINT)."),
        ]);

    /// <summary>The whole file.</summary>
    public static ConfigSection Root => field ??= new(
        "configuration",
        [
            new("destinations", Named, "{ local: { type: file, path: /var/backups/salvor } }", "Where copies are kept.")
            {
                Below = () => [File, S3, Sftp, Azure, Google],
            },
            new("sources", Named, "{ app: { type: sqlite, path: /var/lib/app/app.db, to: [local] } }", "What is protected.")
            {
                Below = () => [Source, Files, Command, Postgres],
            },
            new("restore", Section, "{ scratch: /var/tmp/salvor }", "Where restores go.") { Below = () => [Restore] },
            new("log", Section, "{ level: info }", "How much the log tells.") { Below = () => [Log] },
            new("metrics", Section, "{ listen: \"127.0.0.1:9188\" }", "Where the daemon answers Prometheus and probes (default: nowhere).")
            {
                Below = () => [Metrics],
            },
            new("notifications", Section, "{ ping: { url: \"https://hc-ping.com/1\" } }", "Who is told what (default: nobody).")
            {
                Sections = [Notifications],
            },
        ]);

    static ConfigSection Destination(string type, params ConfigKey[] keys) => new(
        type, [
            new("type", Plain, type, "What kind of place it is.") { Words = [type] }, .. keys,
            .. type == "file" ? [] : OfEveryRemote, .. OfEveryDestination,
        ]);
}
