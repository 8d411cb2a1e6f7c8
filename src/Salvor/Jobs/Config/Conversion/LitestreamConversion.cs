using System.Text.Json.Nodes;
using Salvor.Text;

namespace Salvor.Jobs.Config.Conversion;

/// <summary>Litestream's <c>dbs:</c>, of 0.3 (replicas) and 0.5 (replica).</summary>
sealed class LitestreamConversion(ConversionResult result)
{
    const string Checkpoints = "Salvor never checkpoints, and holds the log without it";
    const string Levels = "the log is merged by itself, and every commit stays a restore point as long as keep.commits says";
    const string Figures = "metrics: { listen: \"127.0.0.1:9188\" } answers Prometheus; who asks from elsewhere needs its token";
    const string Socket = "the daemon has a socket of its own";
    static readonly TimeSpan BatchMax = SqliteSourceConfig.BatchMax;

    readonly JsonObject destinations = [];
    readonly JsonObject sources = [];

    public JsonObject Convert(YamlDotNet.RepresentationModel.YamlMappingNode node)
    {
        var root = result.Root(node);
        var settings = new LitestreamSettings(root);
        settings.TakeGlobal();
        foreach (var key in (string[])["addr", "socket", "mcp-addr"])
        {
            root.Drop(key, key == "socket" ? Socket : Figures);
        }

        root.Drop("exec", "start it by 'salvor daemon --exec CMD'");
        root.Drop("logging", "log.level: info, debug or warning; on standard error");
        root.Drop("levels", Levels);
        root.Drop("l0-retention", Levels);
        root.Drop("l0-retention-check-interval", Levels);
        root.Drop("verify-compaction", "what is merged is always proved equal");
        root.Drop("retention", "'prune' of a source says whether what is not kept is dropped");
        root.Drop("heartbeat-url", "let a timer ask 'salvor status --check', and ping when it is 0");
        root.Drop("heartbeat-interval", "see heartbeat-url");
        root.Drop("shutdown-sync-timeout", "a stop publishes what is committed");
        root.Drop("shutdown-sync-interval", "a stop publishes what is committed");
        foreach (var database in root.Sections("dbs"))
        {
            ReadDatabase(database, settings);
        }

        root.End();
        return new() { ["destinations"] = destinations, ["sources"] = sources };
    }

    void ReadDatabase(OldMapping database, LitestreamSettings global)
    {
        var source = new JsonObject { ["type"] = "sqlite" };
        var name = ReadPath(database, source);
        foreach (var key in (string[])
            ["monitor-interval", "checkpoint-interval", "min-checkpoint-page-count", "max-checkpoint-page-count", "truncate-page-n"])
        {
            database.Drop(key, key == "monitor-interval" ? "the kernel tells of each commit; nothing is polled" : Checkpoints);
        }

        database.Drop("busy-timeout", "Salvor never makes a writer wait");
        database.Drop("max-sync-wal-bytes", "a transaction of any size is stored in pieces, in bounded memory");
        database.Drop("restore-if-db-not-exists", "run 'salvor restore --if-db-not-exists --if-replica-exists' before the app");
        database.Drop("meta-path", "local state is in .salvor beside the database; state_dir names another folder");
        database.Drop("meta-dir", "local state is in .salvor beside the database; state_dir names another folder");
        var settings = new LitestreamSettings(database) { Name = name, Source = source };
        settings.TakeSnapshots(global);
        var to = new List<string>();
        OldMapping?[] replicas = [.. database.Sections("replicas"), database.Section("replica")];
        foreach (var replica in replicas.OfType<OldMapping>())
        {
            to.Add(Destination(replica, global.Keys));
            settings.TakeReplica(replica);
            replica.End();
        }

        if (to.Count == 0)
        {
            throw database.Error("replicas", $"{database.PathOf("replicas")} is empty, so nothing would be kept", "Add a replica.");
        }

        source["to"] = new JsonArray([.. to.Distinct().Select(item => JsonValue.Create(item))]);
        settings.Write();
        database.End();
        sources[name] = source;
    }

    string ReadPath(OldMapping database, JsonObject source)
    {
        var (path, dir) = (database.Text("path"), database.Text("dir"));
        if ((path ?? dir) is not { } place)
        {
            throw database.Error("path", $"{database.PathOf("path")} is missing", "Write the path of the database there.");
        }

        place = Credentials.Variables(place);
        var name = Free(place);
        if (path is not null)
        {
            source["path"] = place;
            database.Became("path", $"sources.{name}.path");
            return name;
        }

        var pattern = database.Text("pattern") ?? "*.db";
        var below = database.YesNo("recursive") == true ? "/**" : "";
        source["paths"] = $"{place.TrimEnd('/')}{below}/{pattern}";
        database.Became("dir", $"sources.{name}.paths");
        database.Became("pattern", $"sources.{name}.paths");
        database.Became("recursive", $"sources.{name}.paths");
        database.Drop("watch", "new files join by themselves");
        return name;
    }

    /// <summary>The name of a file as that of a source, with a number where two files are called the same.</summary>
    string Free(string path)
    {
        var stem = new string([.. Path.GetFileNameWithoutExtension(path.TrimEnd('/'))
            .Where(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-')]).TrimStart('.', '_', '-');
        stem = stem.Length == 0 ? "app" : stem;
        var name = stem;
        for (var number = 2; sources.ContainsKey(name); number++)
        {
            name = $"{stem}-{number}";
        }

        return name;
    }

    string Destination(OldMapping replica, JsonObject credentials)
    {
        var (type, keys) = LitestreamReplica.Read(replica, credentials);
        foreach (var (name, known) in destinations)
        {
            if (JsonNode.DeepEquals(known, keys))
            {
                return name;
            }
        }

        var free = replica.Text("name") is { } given && Suggestion.For(given, [type]) is null ? given : type;
        replica.Became("name", "the name of the destination");
        var next = free;
        for (var number = 2; destinations.ContainsKey(next); number++)
        {
            next = $"{free}-{number}";
        }

        destinations[next] = keys;
        return next;
    }

    /// <summary>The longest batch that ours takes.</summary>
    public static TimeSpan Batch(TimeSpan interval) =>
        interval > BatchMax ? BatchMax : interval < SqliteSourceConfig.BatchMin ? SqliteSourceConfig.BatchMin : interval;
}
