using System.Globalization;
using System.Text.Json.Nodes;
using Salvor.Text;

namespace Salvor.Jobs.Config.Conversion;

/// <summary>The <c>backup:</c> of a Geode server: one bucket, full and incremental backups by a schedule, archived WAL.</summary>
sealed class GeodeConversion(ConversionResult result)
{
    const string PlaceHolder = "/var/lib/app/app.db";
    const string NoMultipart = "no stored object exceeds 16 MiB, so every one is put by one request";
    const string NoSchedule =
        "every commit is stored within a second, and a snapshot (which stores only what changed) is made each day";

    static readonly (string Old, string New)[] Names =
        [("bucket", "bucket"), ("prefix", "prefix"), ("region", "region"), ("endpoint", "endpoint"), ("storage_class", "storage_class")];

    readonly JsonObject destination = new() { ["type"] = "s3" };
    readonly JsonObject source = new() { ["type"] = "sqlite" };

    public JsonObject Convert(YamlDotNet.RepresentationModel.YamlMappingNode node, string? path)
    {
        var root = result.Root(node);
        var backup = root.Section("backup")!;
        source["path"] = path ?? PlaceHolder;
        source["to"] = new JsonArray("s3");
        backup.YesNo("enabled");
        backup.Became("enabled", "(nothing)", "what is configured is protected");
        var s3 = backup.Section("s3") ?? throw backup.Error("s3", "backup has no s3", "There is nothing to convert.");
        ReadBucket(s3);
        ReadCommon(s3);
        ReadCommon(backup);
        ReadSchedule(backup.Section("schedule"));
        ReadWal(backup.Section("wal_archiving"));
        ReadVerify(backup.Section("verify"));
        var notifications = GeodeNotifications.Read(backup.Section("notifications"));
        s3.End();
        backup.End();
        root.End();
        var ours = new JsonObject
        {
            ["destinations"] = new JsonObject { ["s3"] = destination },
            ["sources"] = new JsonObject { ["app"] = source },
        };
        if (notifications is not null)
        {
            ours["notifications"] = notifications;
        }

        return ours;
    }

    void ReadBucket(OldMapping s3)
    {
        if (s3.YesNo("enabled") == false)
        {
            throw s3.Error("enabled", "backup.s3 is not enabled, so nothing would be kept anywhere", "Enable it in the old file first.");
        }

        s3.Became("enabled", "(nothing)", "what is configured is protected");
        foreach (var (old, name) in Names)
        {
            if (s3.Text(old) is { } text)
            {
                destination[name] = old == "prefix" ? text.Trim('/') : text;
                s3.Became(old, $"destinations.s3.{name}");
            }
        }

        Credentials.Take(s3, "access_key_id", destination, "access_key_id", "S3_KEY_ID");
        Credentials.Take(s3, "secret_access_key", destination, "secret_access_key", "S3_SECRET_KEY");
    }

    /// <summary>What stands in the bucket's part, or one level above.</summary>
    void ReadCommon(OldMapping part)
    {
        if (part.Text("compression") is { } compression)
        {
            source["compression"] = compression;
            part.Became("compression", "sources.app.compression");
        }

        if (part.Text("encryption") is { } encryption)
        {
            if (encryption != "false")
            {
                destination["sse"] = encryption is "true" or "AES256" or "aes256" ? "aes256" : encryption;
            }

            part.Became("encryption", "destinations.s3.sse", "the service encrypts; 'encryption' of a source does so before it leaves");
        }

        if (part.Text("kms_key_id") is { } key)
        {
            destination["kms_key"] = key;
            part.Became("kms_key_id", "destinations.s3.kms_key");
        }

        ReadDays(part);
        part.Drop("multipart_threshold", NoMultipart);
        part.Drop("max_concurrent_uploads", "uploads are few and small, and go beside each other by themselves");
    }

    void ReadDays(OldMapping part)
    {
        if (part.Text("retention_days") is { } days)
        {
            source["retention_days"] = Number(part, "retention_days", days);
            part.Became("retention_days", "sources.app.retention_days", "the daemon prunes, and only what is older than a proven point");
        }
    }

    void ReadSchedule(OldMapping? schedule)
    {
        if (schedule is null)
        {
            return;
        }

        schedule.Drop("enabled", NoSchedule);
        schedule.Drop("full_backup", $"{NoSchedule}; 'salvor backup' from a timer makes one with a number at a time of its own");
        schedule.Drop("incremental_backup", NoSchedule);
        ReadDays(schedule);
        source["snapshot_every"] = "24h";
        schedule.End();
    }

    void ReadWal(OldMapping? wal)
    {
        if (wal is null)
        {
            return;
        }

        wal.Drop("enabled", "every commit is stored when it is made");
        wal.Drop("interval", "every commit is stored when it is made, not once in an interval");
        if (wal.Text("retention_hours") is { } text)
        {
            var hours = Number(wal, "retention_hours", text);
            var days = (int?)source["retention_days"] ?? 0;
            var keep = new JsonObject { ["commits"] = DurationText.Format(TimeSpan.FromHours(hours)) };
            if (days * 24 > hours)
            {
                keep["days"] = $"{days}d";
            }

            source["keep"] = keep;
            wal.Became(
                "retention_hours", "sources.app.keep.commits",
                days * 24 > hours ? $"then one restore point a day, for {days} days" : "");
        }

        wal.End();
    }

    void ReadVerify(OldMapping? verify)
    {
        if (verify is null)
        {
            return;
        }

        source["verify"] = verify.YesNo("enabled") == false ? "off" : new JsonObject { ["every"] = "24h", ["deep"] = true };
        verify.Became("enabled", "sources.app.verify", "a real restore each day, of what is new since the last");
        verify.Drop("after_backup", "the daily verification restores it; 'salvor backup --verify' does so at once");
        verify.Drop("weekly_full_verify", "the daily one is deep; 'salvor verify --deep --full' from a timer reads every object too");
        verify.End();
    }

    static int Number(OldMapping part, string key, string text) =>
        int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number is > 0 and < 1_000_000
            ? number
            : throw part.Error(key, $"{part.PathOf(key)} is \"{text}\", which is not a whole number from 1 on", $"Write {key}: 90.");
}
